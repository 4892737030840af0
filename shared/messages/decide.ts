import type { ReceivedEvent } from "../bus/eventBus.js";
import type { Refused } from "../consumers/deadLetters.js";
import { isSystem, type MessageSent, saysTheSame } from "../events/messages.js";
import { ChatError } from "../platform/errors.js";
import type { Queryable } from "../store/database.js";
import { findMemberKeys, memberKey } from "../store/members.js";
import { findByDedupeKeys, type NewMessage } from "../store/messages.js";
import { lockRooms, type Room, usersOfPair } from "../store/rooms.js";
import { byRoom, placeOf, readEvents } from "./readable.js";

/** The outcome of every event of a batch: it is stored, it was stored before and is left out, or it is refused. */
export interface Decision {
  readonly messages: readonly NewMessage[];
  readonly refused: readonly Refused[];
  /** The locked rooms as they were before. */
  readonly rooms: ReadonlyMap<number, Room>;
  /** Which senders are members, by `memberKey`; their rooms' locks keep that so. */
  readonly members: ReadonlySet<string>;
  /** One-to-one rooms with new messages that the other one had left: room to that user. */
  readonly reopened: ReadonlyMap<number, number>;
  /** When the latest of the new messages was sent. */
  readonly at: Date;
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
  const members = await findMemberKeys(tx, new Map([...senders].map(([room, ids]) => [room, new Set(ids)])));
  const stored = await findByDedupeKeys(
    tx,
    byRoom(inRooms, ({ key }) => key),
  );

  const seen = new Map<string, Pick<MessageSent, "type" | "content">>(stored);
  const ends = new Map([...rooms].map(([roomId, room]) => [roomId, room]));
  const messages: NewMessage[] = [];
  for (const one of readable) {
    const { event, message, key } = one;
    const place = placeOf(one);
    const before = seen.get(place);
    if (before && saysTheSame(before, message)) continue;
    const error = before ? idReused(message) : refusal(message, rooms, members);
    const { roomId, senderId } = message;
    if (error) refused.push({ event, error, key: String(roomId), tellUserId: senderId });
    else {
      seen.set(place, message);
      const end = ends.get(roomId)!;
      const lastUncounted = end.lastUncounted + (isSystem(message) ? 1 : 0);
      ends.set(roomId, { ...end, lastSeq: end.lastSeq + 1, lastUncounted });
      messages.push({ seq: end.lastSeq + 1, uncounted: lastUncounted, dedupeKey: key, event: message });
    }
  }
  const at = new Date(messages.at(-1)?.event.sentAt ?? 0);
  return { messages, refused, rooms, members, reopened: reopenedBy(messages, rooms), at };
}

function reopenedBy(
  messages: readonly NewMessage[],
  rooms: ReadonlyMap<number, Room>,
): ReadonlyMap<number, number> {
  const reopened = new Map<number, number>();
  for (const { event } of messages) {
    const { pairKey, memberCount } = rooms.get(event.roomId)!;
    if (pairKey === null || memberCount === 2) continue;
    const other = usersOfPair(pairKey).find((userId) => userId !== event.senderId);
    if (other !== undefined) reopened.set(event.roomId, other);
  }
  return reopened;
}

/** A client has used an id of its own for another message before: this one can't be stored, and must not be taken for a repeat. */
export const idReused = ({ roomId, clientMessageId }: MessageSent): ChatError =>
  new ChatError(
    "CLIENT_MESSAGE_ID_REUSED",
    "Another message with this clientMessageId is in the room; send this one with an id of its own.",
    { roomId, clientMessageId },
  );

/** Why a message can't be stored, if it can't. A change of a room is announced also when whoever caused it has left by it. */
export function refusal(
  message: MessageSent,
  rooms: ReadonlyMap<number, Room>,
  members: ReadonlySet<string>,
): ChatError | undefined {
  const { roomId, senderId, clientMessageId } = message;
  if (!rooms.has(roomId))
    return new ChatError("ROOM_NOT_FOUND", "The room of this message is gone.", { roomId, clientMessageId });
  if (!isSystem(message) && !members.has(memberKey(roomId, senderId)))
    return new ChatError("NOT_A_MEMBER", "You are not a member of this room any more.", {
      roomId,
      clientMessageId,
    });
  return undefined;
}

const distinct = (ids: readonly number[]): number[] => [...new Set(ids)];
