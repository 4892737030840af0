import { messageShownFrame, type ShownMessage, type StoredMessage } from "../events/messageShown.js";
import { packFrames } from "../stomp/packing.js";
import { prepareMessage } from "../stomp/serializer.js";
import { inTransaction, type Queryable } from "../store/database.js";
import { countUnread, findMember } from "../store/members.js";
import { listMessagesAfter, listMessagesBefore } from "../store/messages.js";
import { findRoom, holdRoom } from "../store/rooms.js";
import type { CommandDeps, Connection } from "./connection.js";

const REPLAYED = 200;

export interface Replay {
  readonly connection: Connection;
  readonly roomId: number;
  readonly wire: string;
  /** The seq of the last message the client has. */
  readonly after: number;
}

/**
 * Sends the messages after a seq, then runs `join`; nothing is missed and nothing comes out of its order. The last piece is sent, and the group
 * joined, while the room can take no message: one that comes live afterwards is newer than all that was sent, or a repeat.
 * Were there more than 200, the newest 200 are sent, with `gap:true` on the first.
 */
export async function replay(
  wanted: Replay,
  join: (db: Queryable) => Promise<void>,
  deps: CommandDeps,
): Promise<void> {
  const { roomId, connection } = wanted;
  const joinedSeq = await joinedSeqOf(roomId, connection.userId, deps);
  const from = Math.max(wanted.after, joinedSeq);
  // Most of it without holding up the room.
  const sent = await sendAfter(wanted, from, deps.database, deps);
  await inTransaction(deps.database, async (tx) => {
    await holdRoom(tx, roomId);
    await sendAfter(wanted, Math.max(from, sent), tx, deps);
    await join(tx);
  });
}

/** In a group nothing older than the membership is shown. */
async function joinedSeqOf(roomId: number, userId: number, { database }: CommandDeps): Promise<number> {
  const [room, member] = await Promise.all([
    findRoom(database, roomId),
    findMember(database, roomId, userId),
  ]);
  return room?.type === "GROUP" ? (member?.joinedSeq ?? 0) : 0;
}

/** Sends what stands after a seq and returns the last seq sent, or 0. */
async function sendAfter(
  wanted: Replay,
  after: number,
  db: Queryable,
  { broadcaster }: CommandDeps,
): Promise<number> {
  const { messages, gap } = await newest(wanted, after, db);
  if (messages.length === 0) return 0;
  const unread = await countUnread(db, wanted.roomId, messages);
  const frames = messages.map((message, index) =>
    frameOf({ message, unreadCount: unread(message.seq) }, gap && index === 0)(wanted.wire),
  );
  for (const text of packFrames(frames))
    await broadcaster.sendToConnection(wanted.connection.connectionId, text);
  return messages.at(-1)?.seq ?? 0;
}

function frameOf(shown: ShownMessage, gap: boolean): (wire: string) => string {
  const [headers, body] = messageShownFrame(shown);
  return prepareMessage(gap ? { ...headers, gap: "true" } : headers, body);
}

async function newest(
  { roomId, connection: { userId } }: Replay,
  after: number,
  db: Queryable,
): Promise<{ messages: readonly StoredMessage[]; gap: boolean }> {
  const messages = await listMessagesAfter(db, roomId, userId, after, REPLAYED + 1);
  if (messages.length <= REPLAYED) return { messages, gap: false };
  const latest = await listMessagesBefore(db, roomId, userId, Number.MAX_SAFE_INTEGER, after, REPLAYED);
  return { messages: latest.toReversed(), gap: true };
}
