import { moveTo } from "../chat/readMove.js";
import { atMostEvery, log } from "../platform/log.js";
import { isAwaited, listAwaitingRooms, lockMembers, memberKey, setReadPositions } from "../store/members.js";
import { insertReads } from "../store/readOutbox.js";
import { countArrival, lockRooms, type Room } from "../store/rooms.js";
import { inTransaction, type Transaction } from "../store/transaction.js";
import { findPresence, noteArrival, notePresence } from "../store/users.js";
import type { RoomDeps } from "./roomDeps.js";

type Deps = Pick<RoomDeps, "database" | "scheduleReads" | "now">;

/**
 * A process knows of this many users that they have been here. It forgets the one it has known for longest
 * first, and asks again.
 */
const KNOWN_AT_MOST = 100_000;
const ROOMS_AT_ONCE = 50;

const limited = atMostEvery(1_000);

/**
 * Notes that a user has been here, from their first verified token on. The rooms that they were made a member
 * of before begin to wait for them to read, from the last message on. A user whom the process knows costs no
 * query. Never throws: what can't be noted now is noted with the user's next token.
 */
export function createArrivals(deps: Deps): (userId: number) => Promise<void> {
  const known = new Set<number>();
  return async (userId) => {
    if (known.has(userId)) return;
    try {
      await arrive(userId, deps);
    } catch (error) {
      limited((suppressed) => log.warn("a user's arrival could not be noted", { userId, error, suppressed }));
      return;
    }
    known.add(userId);
    if (known.size > KNOWN_AT_MOST) for (const oldest of known) return void known.delete(oldest);
  };
}

async function arrive(userId: number, deps: Deps): Promise<void> {
  const { database } = deps;
  if ((await findPresence(database, userId)) === "PRESENT") return;
  // A transaction of its own: while a transaction holds the lock of the user it must not wait for the lock of
  // a room. From here on nobody makes the user an awaited member.
  await noteArrival(database, userId);
  for (let isLast = false; !isLast; ) {
    const rooms = await awaiting(userId, deps);
    isLast = rooms.length < ROOMS_AT_ONCE;
    await arriveIn(rooms, userId, isLast, deps);
  }
}

/** With the last rooms the user is present: no more are made meanwhile. */
async function arriveIn(
  roomIds: readonly number[],
  userId: number,
  isLast: boolean,
  deps: Deps,
): Promise<void> {
  const at = new Date(deps.now());
  await inTransaction(deps.database, async (tx) => {
    await takePositions(tx, userId, roomIds, at);
    // After the rooms' locks, as everyone takes them.
    if (isLast) notePresence(tx, userId);
  });
  for (const roomId of roomIds) deps.scheduleReads(roomId);
}

/** Some of the rooms that still await the user. */
const awaiting = (userId: number, { database }: Deps): Promise<readonly number[]> =>
  listAwaitingRooms(database, userId, ROOMS_AT_ONCE);

/**
 * Gives an awaited member the end of each of these rooms as read position. It holds the locks of the rooms,
 * so that a message is either stored before and not counted for the member, or after and counted. Clients
 * that keep positions are told of it as a move that passes no message.
 */
async function takePositions(
  tx: Transaction,
  userId: number,
  roomIds: readonly number[],
  at: Date,
): Promise<void> {
  const [rooms, members] = await Promise.all([
    lockRooms(tx, roomIds),
    lockMembers(
      tx,
      roomIds.map((roomId) => ({ roomId, userId })),
    ),
  ]);
  // Another process may have been quicker, or the membership may have ended.
  const awaited = [...rooms.values()].filter(({ roomId }) => {
    const member = members.get(memberKey(roomId, userId));
    return member !== undefined && isAwaited(member);
  });
  setReadPositions(
    tx,
    awaited.map(({ roomId, lastSeq, lastMessageId, lastUncounted }) => ({
      roomId,
      userId,
      seq: lastSeq,
      messageId: lastMessageId,
      uncounted: lastUncounted,
      hiddenUnread: 0,
    })),
  );
  countArrival(
    tx,
    awaited.map(({ roomId }) => roomId),
  );
  const moves = awaited.flatMap((room) => arrivalIn(room, userId, at) ?? []);
  insertReads(tx, moves, null);
}

/**
 * A move to the room's end from there: it passes no message, and says to those who keep positions where the
 * member stands.
 */
const arrivalIn = ({ roomId, lastSeq, lastMessageId }: Room, userId: number, at: Date) =>
  lastMessageId === null
    ? undefined
    : moveTo(
        { roomId, userId, lastReadSeq: lastSeq, lastReadMessageId: lastMessageId },
        { seq: lastSeq, messageId: lastMessageId },
        at,
      );
