import { type ShownMessage, type StoredMessage, shownWith } from "../chat/message.js";
import { moveToEnd, type ReadMoved } from "../chat/readMove.js";
import { readmit } from "../chat/readmit.js";
import type { NamedUser } from "../events/messages.js";
import type { Groups } from "../fanout/groups.js";
import { groupBy } from "../platform/async.js";
import type { IdToCome } from "../store/idToCome.js";
import { isAwaited, memberKey, setReadPositions } from "../store/members.js";
import { insertMessages } from "../store/messages.js";
import { insertReads } from "../store/readOutbox.js";
import { moveRoomsForward, type Room } from "../store/rooms.js";
import type { Transaction } from "../store/transaction.js";
import { awaitedAmong } from "../store/users.js";
import { groupsOfRooms } from "./broadcast.js";
import type { Decision } from "./decide.js";

/** What one transaction stored. */
export interface StoredMessages {
  readonly shown: readonly ShownMessage[];
  /** Rooms that one of the two had left. */
  readonly reopened: readonly Reopened[];
  /**
   * Rooms in which moves of read positions wait to be broadcast: sending reads the older messages of others.
   */
  readonly withReads: readonly number[];
  /**
   * The groups of the rooms' subscribers, read behind the commit: who subscribes from then on finds the messages
   * stored.
   */
  readonly groups: Promise<Groups>;
}

/** A one-to-one room, and which of the two is a member of it again. */
export interface Reopened {
  readonly roomId: number;
  readonly userId: number;
  /** The one who has written. */
  readonly by: NamedUser;
}

export const nothingStored: StoredMessages = {
  shown: [],
  reopened: [],
  withReads: [],
  groups: Promise.resolve(new Map()),
};

/** What two transactions stored, in their order. */
export const combineStored = (first: StoredMessages, second: StoredMessages): StoredMessages => ({
  shown: [...first.shown, ...second.shown],
  reopened: [...first.reopened, ...second.reopened],
  withReads: [...first.withReads, ...second.withReads],
  // Of a room of both the later ones: who has come meanwhile takes part in the second.
  groups: Promise.all([first.groups, second.groups]).then(([one, two]) => new Map([...one, ...two])),
});

/** A message that is about to be stored. */
interface Numbered extends Omit<StoredMessage, "messageId"> {
  readonly messageId: IdToCome;
  /** How many of the room's messages up to this one, and including it, are system messages. */
  readonly uncounted: number;
}

/**
 * Writes what was decided with the transaction's next statements, under the rooms' locks: the messages, each room's
 * last message, the senders' read positions. What is returned says what was stored, once it is.
 */
export async function writeMessages(tx: Transaction, decision: Decision): Promise<() => StoredMessages> {
  if (decision.messages.length === 0) return () => nothingStored;
  const rooms = await reopen(tx, decision);
  const numbered = insert(tx, decision);
  moveRooms(tx, numbered);
  const { latest, moves } = moveSenders(tx, numbered, decision);
  insertReads(tx, moves, null);
  const groups = groupsOfRooms(tx.behindCommit, decision.rooms.keys());
  // Where the transaction fails, it is that which is thrown.
  groups.catch(() => {});
  return () => ({
    shown: counted(numbered, latest, rooms),
    reopened: reopenedOf(numbered, decision),
    withReads: [...new Set(moves.map(({ roomId }) => roomId))],
    groups,
  });
}

/**
 * A one-to-one room that one of the two has left takes them in again when the other one writes. Returns the
 * rooms with their new numbers of members.
 */
async function reopen(
  tx: Transaction,
  { reopened, rooms, at }: Decision,
): Promise<ReadonlyMap<number, Room>> {
  const now = new Map(rooms);
  for (const [roomId, userId] of reopened) {
    const awaited = await awaitedAmong(tx, [userId]);
    now.set(roomId, await readmit(tx, rooms.get(roomId)!, userId, at, awaited));
  }
  return now;
}

function insert(tx: Transaction, { messages, idStep }: Decision): readonly Numbered[] {
  const ids = insertMessages(tx, messages, idStep);
  return messages.map(({ seq, uncounted, event }, index) => ({
    seq,
    uncounted,
    messageId: ids[index]!,
    ...event,
    sentAt: new Date(event.sentAt),
  }));
}

function moveRooms(tx: Transaction, numbered: readonly Numbered[]): void {
  const newest = new Map(numbered.map((message) => [message.roomId, message]));
  moveRoomsForward(
    tx,
    [...newest.values()].map(({ roomId, seq, messageId, uncounted, sentAt }) => ({
      roomId,
      lastSeq: seq,
      lastMessageId: messageId,
      lastUncounted: uncounted,
      at: sentAt,
    })),
  );
}

/**
 * Sending reads the room up to the message. Sets the senders' positions, and returns each sender's last
 * message with the moves that others have to hear of. A sender whose arrival could not be noted when they
 * connected is passed over until it can.
 */
function moveSenders(
  tx: Transaction,
  numbered: readonly Numbered[],
  decision: Decision,
): { readonly latest: readonly Numbered[]; readonly moves: readonly ReadMoved[] } {
  const ofMembers = latestOfMembers(numbered, decision);
  const latest = [...ofMembers].flatMap(([key, one]) => (isAwaited(decision.members.get(key)!) ? [] : [one]));
  setReadPositions(
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
  return { latest, moves: movesOf(latest, decision) };
}

/** Each sending member's last message of the batch. A sender who has left has no position. */
function latestOfMembers(
  numbered: readonly Numbered[],
  { members }: Decision,
): ReadonlyMap<string, Numbered> {
  const ofMembers = numbered.filter(({ roomId, senderId }) => members.has(memberKey(roomId, senderId)));
  return new Map(ofMembers.map((message) => [memberKey(message.roomId, message.senderId), message]));
}

/**
 * The moves that others have to hear of: up to the messages before this batch. Those of the batch itself go
 * out with counts that have the senders' new positions in them.
 */
const movesOf = (latest: readonly Numbered[], { rooms, members }: Decision): readonly ReadMoved[] =>
  latest.flatMap(({ roomId, senderId, sentAt }) => {
    const member = members.get(memberKey(roomId, senderId))!;
    return moveToEnd(member, rooms.get(roomId)!, sentAt) ?? [];
  });

/**
 * The messages with the number of members who have not read them at the commit: all but the members who sent
 * them or a later one of the batch, and those who have never been here.
 */
function counted(
  numbered: readonly Numbered[],
  latest: readonly Numbered[],
  rooms: ReadonlyMap<number, Room>,
): readonly ShownMessage[] {
  const readTo = groupBy(
    latest,
    ({ roomId }) => roomId,
    ({ seq }) => seq,
  );
  return numbered.map((message) => {
    const { roomId, seq } = message;
    const { memberCount, awaitedCount } = rooms.get(roomId)!;
    const readers = (readTo.get(roomId) ?? []).filter((position) => position >= seq).length;
    return shownWith(
      { ...message, messageId: message.messageId.known() },
      memberCount - awaitedCount - readers,
    );
  });
}

const reopenedOf = (numbered: readonly Numbered[], { reopened }: Decision): readonly Reopened[] =>
  [...reopened].map(([roomId, userId]) => {
    const { senderId, senderNickname } = numbered.find((message) => message.roomId === roomId)!;
    return { roomId, userId, by: { userId: senderId, nickname: senderNickname } };
  });
