import type { ReceivedEvent } from "../bus/eventBus.js";
import { ChatError } from "../errors.js";
import type { MessageSent } from "../events/messages.js";
import type { Queryable } from "../store/database.js";
import { findByDedupeKeys, type NewMessage } from "../store/messages.js";
import { findMemberPairs, lockRooms, type Room } from "../store/rooms.js";
import { byRoom, placeOf, readEvents } from "./readableEvents.js";

/** An event that no retry can help, and why. */
export interface Refused {
  readonly event: ReceivedEvent;
  readonly error: ChatError;
  /** Set when it could be read, so that its sender can be told. */
  readonly message?: MessageSent;
}

/** The outcome of every event of a batch: it is stored, it was stored before and is left out, or it is refused. */
export interface Decision {
  readonly messages: readonly NewMessage[];
  readonly refused: readonly Refused[];
  /** The locked rooms as they were before. */
  readonly rooms: ReadonlyMap<number, Room>;
}

/**
 * Decides on each event and numbers the new messages, holding their rooms' locks: whoever changes a room's members
 * locks the room first, so nobody joins or leaves in between, and `seq` has no gaps.
 */
export async function decideMessages(tx: Queryable, events: readonly ReceivedEvent[]): Promise<Decision> {
  const { readable, unreadable } = readEvents(events);
  const refused: Refused[] = [...unreadable];
  const rooms = await lockRooms(tx, distinct(readable.map(({ message }) => message.roomId)));
  const inRooms = readable.filter(({ message }) => rooms.has(message.roomId));
  const senders = byRoom(inRooms, ({ message }) => message.senderId);
  const members = await findMemberPairs(tx, new Map([...senders].map(([room, ids]) => [room, new Set(ids)])));
  const stored = await findByDedupeKeys(
    tx,
    byRoom(inRooms, ({ key }) => key),
  );

  const seen = new Set(stored.keys());
  const lastSeq = new Map([...rooms].map(([roomId, room]) => [roomId, room.lastSeq]));
  const messages: NewMessage[] = [];
  for (const one of readable) {
    const { event, message, key } = one;
    const place = placeOf(one);
    if (seen.has(place)) continue;
    const error = refusal(message, rooms, members);
    if (error) refused.push({ event, message, error });
    else {
      seen.add(place);
      const seq = lastSeq.get(message.roomId)! + 1;
      lastSeq.set(message.roomId, seq);
      messages.push({ seq, dedupeKey: key, event: message });
    }
  }
  return { messages, refused, rooms };
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
