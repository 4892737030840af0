import type { IMessage } from "@stomp/stompjs";
import { connect, type Json, until } from "../client.js";
import type { User } from "./world.js";

/** One subscription of a client to a room and its reads, from its receipt to the end of the membership. */
export interface LiveRoom {
  readonly roomId: number;
  readonly userId: number;
  /** By seq, as they first came. */
  readonly messages: Map<number, Json>;
  /** Every seq as it came. */
  readonly arrived: number[];
  readonly moves: Json[];
  /** The room's last message when the subscription's receipt was there: everything after it must come. */
  subscribedAt: number;
  /** Set when the membership has ended: the last seq that may have come. */
  endedAt?: number;
  /** The last message that each member is known to have read: moves, and messages of their own. */
  readonly positions: Map<number, number>;
}

/** A user's STOMP connection. */
export interface LiveClient {
  readonly user: User;
  /** All subscriptions, the oldest first. */
  readonly rooms: LiveRoom[];
  /** Refusals that came on `/user/queue/errors`. */
  readonly errors: Json[];
  /** Resolves with what it was refused with, or nothing when its receipt is there. */
  send(destination: string, body: Json): Promise<{ code?: string }>;
  /** The same with a new subscription to a room and its reads, unless it is refused. */
  subscribe(roomId: number): Promise<LiveRoom | undefined>;
  close(): Promise<void>;
}

/** Connects as a client would that shows errors. */
export async function liveClient(user: User): Promise<LiveClient> {
  const isNameless = user.nickname.startsWith("User ");
  const connected = await connect(user.userId, isNameless ? {} : { nickname: user.nickname });
  const { client } = connected;
  const errors: Json[] = await connected.subscribe("/user/queue/errors");
  let receipts = 0;

  /** Finds the error by its room and `clientMessageId`: several SENDs may be under way. */
  async function refusal(
    start: (headers: Record<string, string>) => void,
    about: Json,
  ): Promise<{ code?: string }> {
    const receipt = `model-${++receipts}`;
    let received = false;
    const from = errors.length;
    client.watchForReceipt(receipt, () => {
      received = true;
    });
    start({ receipt });
    const ours = ({ roomId, clientMessageId }: Json): boolean =>
      roomId === about.roomId && (clientMessageId ?? null) === (about.clientMessageId ?? null);
    const error = (): Json => errors.slice(from).find(ours);
    await until(
      () => received || error() !== undefined || !client.connected,
      `an answer to ${JSON.stringify(about)}`,
    );
    if (received) return {};
    return { code: error()?.code ?? `closed after ${connected.errors.at(-1)?.body}` };
  }

  const rooms: LiveRoom[] = [];
  return {
    user,
    rooms,
    errors,
    send: (destination, body) =>
      refusal((headers) => client.publish({ destination, body: JSON.stringify(body), headers }), body),
    async subscribe(roomId) {
      const room = newLiveRoom(roomId, user.userId);
      const to = (destination: string, take: (body: Json) => void) =>
        refusal(
          (headers) => client.subscribe(destination, ({ body }: IMessage) => take(JSON.parse(body)), headers),
          { roomId },
        );
      // Reads first: who has a message must not miss who reads it.
      const reads = await to(`/sub/chat/room/${roomId}/read`, (body) => takeReads(room, body));
      if (reads.code !== undefined) return undefined;
      const { code } = await to(`/sub/chat/room/${roomId}`, (body) => takeMessage(room, body));
      if (code !== undefined) return undefined;
      rooms.push(room);
      return room;
    },
    close: () => connected.close(),
  };
}

/** The subscription to a room of a client that is a member of it. */
export const openRoom = ({ rooms }: LiveClient, roomId: number): LiveRoom | undefined =>
  rooms.find((one) => one.roomId === roomId && one.endedAt === undefined);

const newLiveRoom = (roomId: number, userId: number): LiveRoom => ({
  roomId,
  userId,
  messages: new Map(),
  arrived: [],
  moves: [],
  subscribedAt: 0,
  positions: new Map(),
});

/** Positions only move forward. */
export function moveTo({ positions }: LiveRoom, userId: number, messageId: number): void {
  positions.set(userId, Math.max(positions.get(userId) ?? 0, messageId));
}

/** A client drops repeats by their seq. */
function takeMessage(room: LiveRoom, message: Json): void {
  room.arrived.push(message.seq);
  if (!room.messages.has(message.seq)) room.messages.set(message.seq, message);
  moveTo(room, message.senderId, message.messageId);
}

/** Both forms of a read frame. A repeat counts once. */
function takeReads(room: LiveRoom, body: Json): void {
  for (const move of body.reads ?? [body]) {
    moveTo(room, move.userId, move.lastReadMessageId);
    if (!room.moves.some((one) => one.userId === move.userId && one.lastReadSeq === move.lastReadSeq))
      room.moves.push(move);
  }
}

/**
 * A message's count as a client shows it: one less for each move across it, which may come before the message
 * or after. System messages have no count.
 */
export function shownCount(room: LiveRoom, seq: number): number {
  if (room.messages.get(seq).type.startsWith("SYSTEM_")) return 0;
  const across = room.moves.filter((move) => move.previousLastReadSeq < seq && seq <= move.lastReadSeq);
  return room.messages.get(seq).unreadCount - across.length;
}

/** What is wrong with the order in which messages came: without repeats, each seq follows the one before. */
export function orderFaults(room: LiveRoom): string[] {
  const first = room.arrived.filter((seq, index) => room.arrived.indexOf(seq) === index);
  const broken = first.find((seq, index) => index > 0 && seq !== first[index - 1]! + 1);
  return broken === undefined
    ? []
    : [`user ${room.userId} in room ${room.roomId} got the seqs ${room.arrived.join(" ")}`];
}
