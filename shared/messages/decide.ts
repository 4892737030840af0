import type { ReceivedEvent } from "../bus/eventBus.js";
import { otherOfPair } from "../chat/pair.js";
import type { Refused } from "../consumers/deadLetters.js";
import { isSystem, type MessageSent, saysTheSame } from "../events/messages.js";
import { ChatError } from "../platform/errors.js";
import type { Queryable } from "../store/database.js";
import { lockMembers, type Member, memberKey } from "../store/members.js";
import { findByDedupeKeys, type NewMessage } from "../store/messages.js";
import { lockRoomsToFill, type Room } from "../store/rooms.js";
import { byRoom, identityOf, type ReadableEvent, readMessages } from "./readable.js";

/**
 * The outcome of every event of a batch: it is stored, it was stored before and is skipped, or it is refused.
 */
export interface Decision {
  readonly messages: readonly NewMessage[];
  readonly refused: readonly Refused[];
  /** The locked rooms as they were before the batch. */
  readonly rooms: ReadonlyMap<number, Room>;
  /** The step between the ids of messages that are inserted together. */
  readonly idStep: number;
  /** The senders who are members, locked, by `memberKey`. */
  readonly members: ReadonlyMap<string, Member>;
  /** One-to-one rooms with new messages that one of the two had left: room to that user. */
  readonly reopened: ReadonlyMap<number, number>;
  /** When the latest of the new messages was sent. */
  readonly at: Date;
}

/** What is known in the transaction before anything is decided. */
interface Known {
  readonly rooms: ReadonlyMap<number, Room>;
  readonly idStep: number;
  readonly members: ReadonlyMap<string, Member>;
  /** What stands in the rooms under the batch's keys, by `identityOf`. */
  readonly stored: ReadonlyMap<string, Pick<MessageSent, "type" | "content">>;
}

/**
 * Decides on each event and numbers the new messages, holding their rooms' locks. Everyone who changes a
 * room's members locks the room first, so nobody joins or leaves in between, and `seq` has no gaps.
 */
export async function decideMessages(tx: Queryable, events: readonly ReceivedEvent[]): Promise<Decision> {
  const { readable, unreadable } = readMessages(events);
  const known = await lookUp(tx, readable);
  const { messages, refused } = decideEach(readable, known);
  return {
    messages,
    refused: [...unreadable, ...refused],
    rooms: known.rooms,
    idStep: known.idStep,
    members: known.members,
    reopened: reopenedBy(messages, known.rooms),
    at: new Date(messages.at(-1)?.event.sentAt ?? 0),
  };
}

/** All in one round trip: a transaction sends together what is asked for without awaiting in between. */
async function lookUp(tx: Queryable, readable: readonly ReadableEvent[]): Promise<Known> {
  const refs = readable.map(({ message: { roomId, senderId } }) => ({ roomId, userId: senderId }));
  const [{ rooms, idStep }, members, stored] = await Promise.all([
    lockRoomsToFill(tx, [...new Set(refs.map(({ roomId }) => roomId))]),
    lockMembers(tx, refs),
    findByDedupeKeys(
      tx,
      byRoom(readable, ({ key }) => key),
    ),
  ]);
  return { rooms, idStep, members, stored };
}

function decideEach(
  readable: readonly ReadableEvent[],
  { rooms, members, stored }: Known,
): Pick<Decision, "messages" | "refused"> {
  const seen = new Map(stored);
  const next = numbering(rooms);
  const messages: NewMessage[] = [];
  const refused: Refused[] = [];
  for (const one of readable) {
    const { event, message, key } = one;
    const before = seen.get(identityOf(one));
    if (before && saysTheSame(before, message)) continue;
    const error = before ? idReused(message) : refusal(message, rooms, members);
    if (error) {
      refused.push({ event, error, key: String(message.roomId), tellUserId: message.senderId });
      continue;
    }
    seen.set(identityOf(one), message);
    messages.push({ dedupeKey: key, event: message, ...next(message) });
  }
  return { messages, refused };
}

/** Numbers the new messages of each room, from the room's last one on. */
function numbering(
  rooms: ReadonlyMap<number, Room>,
): (message: MessageSent) => Pick<NewMessage, "seq" | "uncounted"> {
  const last = new Map<number, Pick<NewMessage, "seq" | "uncounted">>();
  return (message) => {
    const { lastSeq, lastUncounted } = rooms.get(message.roomId)!;
    const before = last.get(message.roomId) ?? { seq: lastSeq, uncounted: lastUncounted };
    const now = { seq: before.seq + 1, uncounted: before.uncounted + (isSystem(message) ? 1 : 0) };
    last.set(message.roomId, now);
    return now;
  };
}

function reopenedBy(
  messages: readonly NewMessage[],
  rooms: ReadonlyMap<number, Room>,
): ReadonlyMap<number, number> {
  const reopened = new Map<number, number>();
  for (const { event } of messages) {
    const { pairKey, memberCount } = rooms.get(event.roomId)!;
    const other = otherOfPair(pairKey, event.senderId);
    if (other !== undefined && memberCount < 2) reopened.set(event.roomId, other);
  }
  return reopened;
}

/**
 * A client has used an id of its own for another message before: this one can't be stored, and must not be
 * taken for a repeat.
 */
export const idReused = ({ roomId, clientMessageId }: MessageSent): ChatError =>
  new ChatError(
    "CLIENT_MESSAGE_ID_REUSED",
    "Another message with this clientMessageId is in the room; send this one with an id of its own.",
    { roomId, clientMessageId },
  );

/**
 * Why a message can't be stored, if it can't. The announcement of a leave is stored though its sender has
 * left by then.
 */
export function refusal(
  message: MessageSent,
  rooms: ReadonlyMap<number, Room>,
  members: { has(key: string): boolean },
): ChatError | undefined {
  const { roomId, senderId, clientMessageId } = message;
  const details = { roomId, clientMessageId };
  if (!rooms.has(roomId))
    return new ChatError("ROOM_NOT_FOUND", "The room of this message is gone.", details);
  if (!isSystem(message) && !members.has(memberKey(roomId, senderId)))
    return new ChatError("NOT_A_MEMBER", "You are not a member of this room any more.", details);
  return undefined;
}
