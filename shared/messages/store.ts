import type { EventBatch } from "../bus/eventBus.js";
import { consumeBatch, type Reaction } from "../consumers/consumeBatch.js";
import type { StoreDeps } from "../consumers/storeDeps.js";
import { MESSAGES_DEAD_LETTER_HUB, type NamedUser } from "../events/messages.js";
import { type ShownMessage, type StoredMessage, shownWith } from "../frames/message.js";
import type { ReadMoved } from "../frames/read.js";
import { type NotedReads, noReads, noteWaiting, togetherNoted } from "../reads/show.js";
import type { Queryable } from "../store/database.js";
import {
  insertMembers,
  isAwaited,
  lockMembers,
  type Member,
  memberKey,
  setReadPositions,
} from "../store/members.js";
import { findMessageIds, insertMessages } from "../store/messages.js";
import { moveRoomsForward, type Room, setMemberCounts } from "../store/rooms.js";
import { awaitedAmong } from "../store/users.js";
import { type Decision, decideMessages } from "./decide.js";
import { showMessages, showMessagesAgain } from "./show.js";

/** A one-to-one room, and which of the two is a member of it again. */
export interface Reopened {
  readonly roomId: number;
  readonly userId: number;
  /** Who has written. */
  readonly by: NamedUser;
}

/** What one transaction stored. */
export interface StoredMessages {
  readonly shown: readonly ShownMessage[];
  /** Rooms that one of the two had left. */
  readonly reopened: readonly Reopened[];
  /** Older messages of others that the senders have read by sending. */
  readonly reads: NotedReads;
}

/**
 * Stores a batch of messages and shows it to the subscribers of their rooms. See `consumeBatch` for what becomes of
 * each event, and what it throws.
 */
export const storeMessages = (batch: EventBatch, deps: StoreDeps): Promise<void> =>
  consumeBatch(batch, messagesReaction(deps), deps);

function messagesReaction(deps: StoreDeps): Reaction<StoredMessages> {
  return {
    deadLetterHub: MESSAGES_DEAD_LETTER_HUB,
    nothing: { shown: [], reopened: [], reads: noReads },
    join: (first, second) => ({
      shown: [...first.shown, ...second.shown],
      reopened: [...first.reopened, ...second.reopened],
      reads: togetherNoted(first.reads, second.reads),
    }),
    async store(tx, events) {
      const decision = await decideMessages(tx, events);
      return { result: await write(tx, decision), refused: decision.refused };
    },
    show: (stream, result, refused) => showMessages(stream, result, refused, deps),
    showAgain: (stream, events) => showMessagesAgain(stream, events, deps),
  };
}

/** In the batch's transaction: the messages, their rooms' last message, their senders' read positions. */
async function write(tx: Queryable, decision: Decision): Promise<StoredMessages> {
  const { messages } = decision;
  if (messages.length === 0) return { shown: [], reopened: [], reads: noReads };
  const rooms = await reopen(tx, decision);
  await insertMessages(tx, messages);
  const ranges = new Map<number, [number, number]>();
  for (const { seq, event } of messages)
    ranges.set(event.roomId, [ranges.get(event.roomId)?.[0] ?? seq, seq]);
  const ids = await findMessageIds(tx, ranges);
  const stored = messages.map(
    ({ seq, uncounted, event }): Stored => ({
      ...event,
      seq,
      uncounted,
      messageId: ids.get(`${event.roomId}:${seq}`)!,
      sentAt: new Date(event.sentAt),
    }),
  );
  const newest = new Map(stored.map((message) => [message.roomId, message]));
  await moveRoomsForward(
    tx,
    [...newest.values()].map(({ roomId, seq, messageId, uncounted, sentAt }) => ({
      roomId,
      lastSeq: seq,
      lastMessageId: messageId,
      lastUncounted: uncounted,
      at: sentAt,
    })),
  );
  const ofMembers = latestOfMembers(stored, decision);
  const positions = await lockMembers(tx, usersByRoom(ofMembers));
  // Who sends has been here, but that could not be noted when they connected: they go on being passed over until it can.
  const latest = [...ofMembers].flatMap(([key, one]) => (isAwaited(positions.get(key)!) ? [] : [one]));
  await setReadPositions(
    tx,
    latest.map(({ roomId, senderId, seq, messageId, uncounted }) => ({
      roomId,
      userId: senderId,
      seq,
      messageId,
      uncounted,
      hiddenUnread: 0,
    })),
  );
  const reads = await noteWaiting(tx, skipped(latest, rooms, positions));
  const reopened = [...decision.reopened].map(([roomId, userId]) => ({
    roomId,
    userId,
    by: senderOf(stored.find((message) => message.roomId === roomId)!),
  }));
  return { shown: counted(stored, latest, rooms), reopened, reads };
}

/** A message that has just been stored. */
interface Stored extends StoredMessage {
  /** How many of the room's messages up to this one, and including it, are system messages. */
  readonly uncounted: number;
}

const senderOf = ({ senderId, senderNickname }: StoredMessage): NamedUser => ({
  userId: senderId,
  nickname: senderNickname,
});

/**
 * A one-to-one room that one of the two has left takes them in again when the other one writes: there it goes on where it was. Returns the rooms with
 * their new numbers of members.
 */
async function reopen(tx: Queryable, { reopened, rooms, at }: Decision): Promise<ReadonlyMap<number, Room>> {
  const now = new Map(rooms);
  for (const [roomId, userId] of reopened) {
    const room = rooms.get(roomId)!;
    const awaited = await awaitedAmong(tx, [userId]);
    await insertMembers(tx, roomId, [userId], at, { ...room, joinedSeq: 0 }, awaited);
    const counts = { memberCount: 2, awaitedCount: room.awaitedCount + awaited.size };
    await setMemberCounts(tx, roomId, counts);
    now.set(roomId, { ...room, ...counts });
  }
  return now;
}

/** Each sending member's last message of the batch. Sending reads the room up to it; a sender who has left has no position. */
function latestOfMembers(stored: readonly Stored[], { members }: Decision): ReadonlyMap<string, Stored> {
  const ofMembers = stored.filter(({ roomId, senderId }) => members.has(memberKey(roomId, senderId)));
  return new Map(ofMembers.map((message) => [memberKey(message.roomId, message.senderId), message]));
}

/**
 * What the senders have read by sending: the messages before this batch. Those of the batch itself go out with counts that have
 * the senders' new positions in them.
 */
function skipped(
  latest: readonly StoredMessage[],
  rooms: ReadonlyMap<number, Room>,
  positions: ReadonlyMap<string, Member>,
): readonly ReadMoved[] {
  return latest.flatMap(({ roomId, senderId, sentAt }) => {
    const { lastSeq, lastMessageId } = rooms.get(roomId)!;
    const before = positions.get(memberKey(roomId, senderId))!;
    if (lastMessageId === null || before.lastReadSeq >= lastSeq) return [];
    return {
      roomId,
      userId: senderId,
      lastReadSeq: lastSeq,
      lastReadMessageId: lastMessageId,
      previousLastReadSeq: before.lastReadSeq,
      previousLastReadMessageId: before.lastReadMessageId,
      readAt: sentAt,
    };
  });
}

function usersByRoom(latest: ReadonlyMap<string, Stored>): ReadonlyMap<number, ReadonlySet<number>> {
  const users = new Map<number, Set<number>>();
  for (const { roomId, senderId } of latest.values())
    users.set(roomId, (users.get(roomId) ?? new Set()).add(senderId));
  return users;
}

/**
 * The messages with how many members have not read them at the commit: all but the members who sent them or a later one of the batch, and those who
 * have never been here.
 */
function counted(
  stored: readonly StoredMessage[],
  latest: readonly StoredMessage[],
  rooms: ReadonlyMap<number, Room>,
): readonly ShownMessage[] {
  const readTo = new Map<number, number[]>();
  for (const { roomId, seq } of latest) readTo.set(roomId, [...(readTo.get(roomId) ?? []), seq]);
  return stored.map((message) => {
    const { roomId, seq } = message;
    const { memberCount, awaitedCount } = rooms.get(roomId)!;
    const readers = (readTo.get(roomId) ?? []).filter((position) => position >= seq).length;
    return shownWith(message, memberCount - awaitedCount - readers);
  });
}
