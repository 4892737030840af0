import type { ReceivedEvent } from "../bus/eventBus.js";
import { ChatError } from "../errors.js";
import { dedupeKey, type MessageSent, parseMessageSent } from "../events/messages.js";
import type { Queryable } from "../store/database.js";
import { findByDedupeKeys, type NewMessage } from "../store/messages.js";
import { findMemberPairs, lockRooms, type Room } from "../store/rooms.js";

/** An event that no retry can help, and why. */
export interface Refused {
  readonly event: ReceivedEvent;
  readonly error: ChatError;
  /** Set when it could be read, so that its sender can be told. */
  readonly message?: MessageSent;
}

/** The outcome of every event of a batch: it is stored, it was stored before (counted), or it is refused. */
export interface Decision {
  readonly messages: readonly NewMessage[];
  readonly repeats: number;
  readonly refused: readonly Refused[];
  /** The locked rooms as they were before. */
  readonly rooms: ReadonlyMap<number, Room>;
}

interface Readable {
  readonly event: ReceivedEvent;
  readonly message: MessageSent;
  readonly key: Buffer;
}

/**
 * Decides on each event and numbers the new messages, holding their rooms' locks: whoever changes a room's members
 * locks the room first, so nobody joins or leaves in between, and `seq` has no gaps.
 */
export async function decideMessages(tx: Queryable, events: readonly ReceivedEvent[]): Promise<Decision> {
  const refused: Refused[] = [];
  const readable = events.flatMap((event) => readEvent(event, refused));
  const rooms = await lockRooms(tx, distinct(readable.map(({ message }) => message.roomId)));
  const inRooms = readable.filter(({ message }) => rooms.has(message.roomId));
  const members = await findMemberPairs(
    tx,
    groupBy(
      inRooms,
      ({ message }) => message.senderId,
      (ids) => new Set(ids),
    ),
  );
  const stored = await findByDedupeKeys(
    tx,
    groupBy(
      inRooms,
      ({ key }) => key,
      (keys) => keys,
    ),
  );

  const seen = new Set(stored.keys());
  const lastSeq = new Map([...rooms].map(([roomId, room]) => [roomId, room.lastSeq]));
  const messages: NewMessage[] = [];
  let repeats = 0;
  for (const { event, message, key } of readable) {
    const place = `${message.roomId}:${key.toString("hex")}`;
    const error = refusal(message, rooms, members);
    if (seen.has(place)) repeats += 1;
    else if (error) refused.push({ event, message, error });
    else {
      seen.add(place);
      const seq = lastSeq.get(message.roomId)! + 1;
      lastSeq.set(message.roomId, seq);
      messages.push({ seq, dedupeKey: key, event: message });
    }
  }
  return { messages, repeats, refused, rooms };
}

function readEvent(event: ReceivedEvent, refused: Refused[]): Readable[] {
  try {
    const message = parseMessageSent(event.body);
    return [{ event, message, key: dedupeKey(message) }];
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    refused.push({ event, error });
    return [];
  }
}

function refusal(
  { roomId, senderId, clientMessageId }: MessageSent,
  rooms: ReadonlyMap<number, Room>,
  members: ReadonlySet<string>,
): ChatError | undefined {
  if (!rooms.has(roomId))
    return new ChatError("ROOM_NOT_FOUND", "The room of this message is gone.", { roomId, clientMessageId });
  if (!members.has(`${roomId}:${senderId}`))
    return new ChatError("NOT_A_MEMBER", "You are not a member of this room any more.", {
      roomId,
      clientMessageId,
    });
  return undefined;
}

const distinct = (ids: readonly number[]): number[] => [...new Set(ids)];

/** What is picked from the events of each room. */
function groupBy<T, G>(
  events: readonly Readable[],
  pick: (one: Readable) => T,
  finish: (picked: T[]) => G,
): Map<number, G> {
  const groups = new Map<number, T[]>();
  for (const one of events) {
    const known = groups.get(one.message.roomId);
    if (known) known.push(pick(one));
    else groups.set(one.message.roomId, [pick(one)]);
  }
  return new Map([...groups].map(([roomId, picked]) => [roomId, finish(picked)]));
}
