import type { ResultSetHeader, RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";
import type { IdToCome } from "./idToCome.js";
import type { Transaction } from "./transaction.js";

export type RoomType = "ONE_TO_ONE" | "GROUP";

export interface Room {
  readonly roomId: number;
  readonly type: RoomType;
  /** Of a group. Each user sees a one-to-one room by the name of the other user. */
  readonly name: string | null;
  readonly creatorId: number;
  /** `smaller:larger` user id of a one-to-one room. */
  readonly pairKey: string | null;
  readonly lastSeq: number;
  readonly lastMessageId: number | null;
  /** How many of the messages up to `lastSeq` are system messages, which never count as unread. */
  readonly lastUncounted: number;
  readonly memberCount: number;
  /** How many of the members have never been here. No message counts as unread by them. */
  readonly awaitedCount: number;
}

interface RoomRow extends RowDataPacket {
  room_id: number;
  type: RoomType;
  name: string | null;
  creator_id: number;
  pair_key: string | null;
  last_seq: number;
  last_message_id: number | null;
  last_uncounted: number;
  member_count: number;
  awaited_count: number;
}

interface LockedRow extends RoomRow {
  id_step?: number;
}

const COLUMNS =
  "room_id, type, name, creator_id, pair_key, last_seq, last_message_id, last_uncounted, member_count, awaited_count";

const roomOf = (row: RoomRow): Room => ({
  roomId: row.room_id,
  type: row.type,
  name: row.name,
  creatorId: row.creator_id,
  pairKey: row.pair_key,
  lastSeq: row.last_seq,
  lastMessageId: row.last_message_id,
  lastUncounted: row.last_uncounted,
  memberCount: row.member_count,
  awaitedCount: row.awaited_count,
});

/** One room, or nothing. */
export async function findRoom(db: Queryable, roomId: number): Promise<Room | undefined> {
  return (await findRooms(db, [roomId])).get(roomId);
}

/** Those of these rooms that exist, by their ids. */
export async function findRooms(
  db: Queryable,
  roomIds: readonly number[],
): Promise<ReadonlyMap<number, Room>> {
  if (roomIds.length === 0) return new Map();
  const [rows] = await db.query<RoomRow[]>(`SELECT ${COLUMNS} FROM rooms WHERE room_id IN (?)`, [roomIds]);
  return new Map(rows.map((row) => [row.room_id, roomOf(row)]));
}

/**
 * Those of these rooms that exist, locked in the order of their ids until the transaction ends. Here and in
 * the updates below the primary key is forced: on a small table the optimizer prefers a scan, which would
 * lock the rows of other rooms and deadlock.
 */
export async function lockRooms(
  tx: Queryable,
  roomIds: readonly number[],
): Promise<ReadonlyMap<number, Room>> {
  return new Map((await lockRows(tx, roomIds)).map((row) => [row.room_id, roomOf(row)]));
}

async function lockRows(tx: Queryable, roomIds: readonly number[], also = ""): Promise<readonly LockedRow[]> {
  if (roomIds.length === 0) return [];
  const [rows] = await tx.query<LockedRow[]>(
    `SELECT ${COLUMNS}${also} FROM rooms FORCE INDEX (PRIMARY) WHERE room_id IN (?) ORDER BY room_id FOR UPDATE`,
    [roomIds],
  );
  return rows;
}

/** The same for what is to be inserted into the rooms: with the step between the ids that an INSERT of several rows gives. */
export async function lockRoomsToFill(
  tx: Queryable,
  roomIds: readonly number[],
): Promise<{ readonly rooms: ReadonlyMap<number, Room>; readonly idStep: number }> {
  const rows = await lockRows(tx, roomIds, ", @@auto_increment_increment AS id_step");
  return { rooms: new Map(rows.map((row) => [row.room_id, roomOf(row)])), idStep: rows[0]?.id_step ?? 1 };
}

/**
 * Until the transaction ends the room takes no messages and its members do not change. Other transactions may
 * hold the room at the same time. (FOR SHARE would say the same, but MariaDB doesn't know it.)
 */
export async function holdRoom(tx: Queryable, roomId: number): Promise<void> {
  await tx.query("SELECT room_id FROM rooms WHERE room_id = ? LOCK IN SHARE MODE", [roomId]);
}

/** Makes a room and returns its id. Throws a duplicate error when the pair has a room already. */
export async function insertRoom(
  tx: Queryable,
  room: {
    type: RoomType;
    name: string | null;
    creatorId: number;
    pairKey: string | null;
    memberCount: number;
    awaitedCount: number;
    now: Date;
  },
): Promise<number> {
  const [result] = await tx.query<ResultSetHeader>(
    `INSERT INTO rooms (type, name, creator_id, pair_key, member_count, awaited_count, last_activity_at, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      room.type,
      room.name,
      room.creatorId,
      room.pairKey,
      room.memberCount,
      room.awaitedCount,
      room.now,
      room.now,
    ],
  );
  return result.insertId;
}

/** The one-to-one room of a pair key, or nothing. */
export async function findRoomOfPair(db: Queryable, pairKey: string): Promise<number | undefined> {
  const [rows] = await db.query<RoomRow[]>("SELECT room_id FROM rooms WHERE pair_key = ?", [pairKey]);
  return rows[0]?.room_id;
}

/** Gives a room another name. The caller holds the room's lock. */
export async function renameRoom(tx: Queryable, roomId: number, name: string): Promise<void> {
  await tx.query("UPDATE rooms SET name = ? WHERE room_id = ?", [name, roomId]);
}

/** The URL of a room's own picture, or null. */
export async function findImageUrl(db: Queryable, roomId: number): Promise<string | null> {
  const [rows] = await db.query<(RowDataPacket & { image_url: string | null })[]>(
    "SELECT image_url FROM rooms WHERE room_id = ?",
    [roomId],
  );
  return rows[0]?.image_url ?? null;
}

/** Gives a room a picture, or takes it away. The caller holds the room's lock. */
export async function setImageUrl(tx: Queryable, roomId: number, imageUrl: string | null): Promise<void> {
  await tx.query("UPDATE rooms SET image_url = ? WHERE room_id = ?", [imageUrl, roomId]);
}

/** Makes another member the room's creator. The caller holds the room's lock. */
export async function setCreator(tx: Queryable, roomId: number, userId: number): Promise<void> {
  await tx.query("UPDATE rooms SET creator_id = ? WHERE room_id = ?", [userId, roomId]);
}

/**
 * Sets how many members a room has, and how many of them have never been here. The caller holds the room's
 * lock.
 */
export async function setMemberCounts(
  tx: Queryable,
  roomId: number,
  { memberCount, awaitedCount }: Pick<Room, "memberCount" | "awaitedCount">,
): Promise<void> {
  await tx.query("UPDATE rooms SET member_count = ?, awaited_count = ? WHERE room_id = ?", [
    memberCount,
    awaitedCount,
    roomId,
  ]);
}

/** Takes one off the awaited members of each of these rooms. The caller holds their locks. */
export function countArrival(tx: Transaction, roomIds: readonly number[]): void {
  if (roomIds.length === 0) return;
  tx.later("UPDATE rooms FORCE INDEX (PRIMARY) SET awaited_count = awaited_count - 1 WHERE room_id IN (?)", [
    roomIds,
  ]);
}

/** Moves rooms to their new last message, all in one statement. */
export function moveRoomsForward(
  tx: Transaction,
  moves: readonly {
    roomId: number;
    lastSeq: number;
    lastMessageId: number | IdToCome;
    lastUncounted: number;
    at: Date;
  }[],
): void {
  if (moves.length === 0) return;
  const choose = (pick: (move: (typeof moves)[number]) => unknown): [string, unknown[]] => [
    `CASE room_id ${moves.map(() => "WHEN ? THEN ?").join(" ")} END`,
    moves.flatMap((move) => [move.roomId, pick(move)]),
  ];
  const [seq, seqValues] = choose((move) => move.lastSeq);
  const [message, messageValues] = choose((move) => move.lastMessageId);
  const [uncounted, uncountedValues] = choose((move) => move.lastUncounted);
  const [at, atValues] = choose((move) => move.at);
  tx.later(
    `UPDATE rooms FORCE INDEX (PRIMARY)
        SET last_seq = ${seq}, last_message_id = ${message}, last_uncounted = ${uncounted}, last_activity_at = ${at}
      WHERE room_id IN (?)`,
    [...seqValues, ...messageValues, ...uncountedValues, ...atValues, moves.map((move) => move.roomId)],
  );
}
