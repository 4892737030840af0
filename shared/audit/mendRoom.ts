import {
  countMembers,
  findMessageUpTo,
  listWrongHidden,
  listWrongPositions,
  lowerJoinedSeqs,
  type WrongPosition,
} from "../store/auditedMembers.js";
import {
  type AuditedRoom,
  countSlices,
  findAuditedRooms,
  numberSystemMessages,
  setRoomEnd,
} from "../store/auditedRooms.js";
import type { Database } from "../store/database.js";
import {
  AWAITED_SEQ,
  isAwaited,
  lockMembers,
  type MemberRef,
  memberKey,
  type ReadPosition,
  setReadPositions,
} from "../store/members.js";
import { countHiddenAbove } from "../store/messages.js";
import { lockRooms, setMemberCounts } from "../store/rooms.js";
import { inTransaction, type Transaction } from "../store/transaction.js";
import { slicesOf } from "./roomFindings.js";

/** A room has at most 10,000 members. */
const MEMBERS_AT_ONCE = 500;
const ROUNDS = 25;

/**
 * Derives anew what a room's row and members repeat of its messages and members. It is one transaction under
 * the room's lock, as every change of the room is; members are locked last, in the order of their keys. So
 * the app goes on beside it, and waits in this room alone.
 */
export async function mendRoom(
  roomId: number,
  withUncounted: boolean,
  { database }: { readonly database: Database },
): Promise<void> {
  await inTransaction(database, async (tx) => {
    if (!(await lockRooms(tx, [roomId])).has(roomId)) return;
    if (withUncounted) await numberAll(tx, roomId);
    const [room] = await findAuditedRooms(tx, [roomId]);
    if (!room) return;
    await setRoomEnd(tx, roomId, room.counted);
    await lowerJoinedSeqs(tx, roomId, room.counted.seq);
    await mendMembers(tx, room);
    const counts = (await countMembers(tx, [roomId])).get(roomId);
    await setMemberCounts(tx, roomId, counts ?? { memberCount: 0, awaitedCount: 0 });
  });
}

async function numberAll(tx: Transaction, roomId: number): Promise<void> {
  const [room] = await findAuditedRooms(tx, [roomId]);
  let before = 0;
  for (const slice of room ? slicesOf(room) : []) {
    await numberSystemMessages(tx, slice, before);
    before += (await countSlices(tx, [slice])).get(roomId)?.systemMessages ?? 0;
  }
}

async function mendMembers(tx: Transaction, room: AuditedRoom): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const wrong = await listWrong(tx, room.roomId);
    if (wrong.length === 0) return;
    await lockMembers(tx, wrong);
    // They may have moved before they were locked.
    const locked = new Set(wrong.map(({ userId }) => userId));
    setReadPositions(tx, await rightPositions(tx, room, locked));
  }
}

/** Members of whom something is wrong. */
async function listWrong(tx: Transaction, roomId: number): Promise<readonly MemberRef[]> {
  const positions = await listWrongPositions(tx, [roomId], MEMBERS_AT_ONCE);
  return positions.length > 0 ? positions : listWrongHidden(tx, [roomId], MEMBERS_AT_ONCE);
}

/** What is right for those of the locked members who are still wrong. */
async function rightPositions(
  tx: Transaction,
  room: AuditedRoom,
  locked: ReadonlySet<number>,
): Promise<readonly ReadPosition[]> {
  const { roomId } = room;
  const wrong = await listWrongPositions(tx, [roomId], MEMBERS_AT_ONCE);
  const places: Omit<ReadPosition, "hiddenUnread">[] = [];
  for (const one of wrong)
    if (locked.has(one.userId))
      places.push({ roomId, userId: one.userId, ...(await placeOf(tx, room, one)) });
  const known = new Set(places.map(({ userId }) => userId));
  const members = await lockMembers(
    tx,
    [...locked].filter((userId) => !known.has(userId)).map((userId) => ({ roomId, userId })),
  );
  for (const member of members.values()) {
    const place = isAwaited(member) ? NOWHERE : await messageAt(tx, roomId, member.lastReadSeq);
    places.push({ roomId, userId: member.userId, ...place });
  }
  const hidden = await countHiddenAbove(tx, places);
  return places.map((place) => ({
    ...place,
    hiddenUnread: hidden.get(memberKey(roomId, place.userId)) ?? 0,
  }));
}

type Place = Pick<ReadPosition, "seq" | "messageId" | "uncounted">;

/** As of a member who has never been here. */
const NOWHERE: Place = { seq: AWAITED_SEQ, messageId: null, uncounted: 0 };

/**
 * Where a member stands: at the last message up to where they stood, but not before what they may see. A user
 * who has been here and has no position begins at the room's end, as on arriving.
 */
async function placeOf(
  tx: Transaction,
  { roomId, counted }: AuditedRoom,
  one: WrongPosition,
): Promise<Place> {
  if (!one.isAwaited) return messageAt(tx, roomId, Math.max(one.least, one.seq));
  return one.hasBeenHere ? messageAt(tx, roomId, counted.seq) : NOWHERE;
}

async function messageAt(tx: Transaction, roomId: number, seq: number): Promise<Place> {
  return (await findMessageUpTo(tx, roomId, seq)) ?? { seq: 0, messageId: null, uncounted: 0 };
}
