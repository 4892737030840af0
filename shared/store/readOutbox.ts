import type { RowDataPacket } from "mysql2/promise";
import type { ReadMoved } from "../chat/readMove.js";
import type { Queryable } from "./database.js";
import type { Transaction } from "./transaction.js";

/**
 * Rows taken longer ago than this belong to a process that died: a broadcast ends sooner
 * (`reads/broadcast.ts`).
 */
export const ABANDONED_MS = 60_000;
const GIVEN_BACK_AT_ONCE = 5_000;

/**
 * Notes moves of read positions that are about to be broadcast, in the transaction that stores them. With
 * `takenBy` (16 bytes) the caller is going to broadcast them itself. With null they wait for the next
 * broadcast of their room.
 */
export function insertReads(tx: Transaction, reads: readonly ReadMoved[], takenBy: Buffer | null): void {
  if (reads.length === 0) return;
  tx.later(
    `INSERT INTO read_outbox (room_id, user_id, previous_seq, previous_message_id, last_seq, last_message_id,
                              read_at, taken_by, taken_at)
     VALUES ${reads.map(() => "(?, UTC_TIMESTAMP(3))").join(", ")}`,
    reads.map((read) => [
      read.roomId,
      read.userId,
      read.previousLastReadSeq,
      read.previousLastReadMessageId,
      read.lastReadSeq,
      read.lastReadMessageId,
      read.readAt,
      takenBy,
    ]),
  );
}

interface IdRow extends RowDataPacket {
  read_id: number;
}

/** A move that waits in a room, and that no process has taken. */
export interface WaitingRead {
  readonly readId: number;
  readonly roomId: number;
}

/** Up to `limit` moves that wait in these rooms. Takes no lock, so as not to wait for those who note more. */
export async function listWaitingReads(
  db: Queryable,
  roomIds: readonly number[],
  limit: number,
): Promise<readonly WaitingRead[]> {
  const [rows] = await db.query<(IdRow & { room_id: number })[]>(
    `SELECT read_id, room_id FROM read_outbox FORCE INDEX (reads_of_a_room)
      WHERE room_id IN (?) AND taken_by IS NULL LIMIT ?`,
    [roomIds, limit],
  );
  return rows.map((row) => ({ readId: row.read_id, roomId: row.room_id }));
}

/**
 * Takes those of these moves that no other process has taken meanwhile, so that no other broadcasts them. Returns them
 * in the order in which they were noted.
 */
export async function takeReads(
  db: Queryable,
  reads: readonly WaitingRead[],
  takenBy: Buffer,
): Promise<readonly ReadMoved[]> {
  if (reads.length === 0) return [];
  const [, moves] = await Promise.all([markTaken(db, reads, takenBy), listTaken(db, takenBy)]);
  return moves;
}

async function markTaken(db: Queryable, reads: readonly WaitingRead[], takenBy: Buffer): Promise<void> {
  await db.query(
    `UPDATE read_outbox FORCE INDEX (PRIMARY) SET taken_by = ?, taken_at = UTC_TIMESTAMP(3)
      WHERE read_id IN (?) AND taken_by IS NULL`,
    [takenBy, idsOf(reads)],
  );
}

/** The moves taken under this name, in the order in which they were noted. */
async function listTaken(db: Queryable, takenBy: Buffer): Promise<readonly ReadMoved[]> {
  const [rows] = await db.query<RowDataPacket[]>(
    "SELECT * FROM read_outbox WHERE taken_by = ? ORDER BY read_id",
    [takenBy],
  );
  return rows.map((row) => ({
    roomId: row["room_id"],
    userId: row["user_id"],
    previousLastReadSeq: row["previous_seq"],
    previousLastReadMessageId: row["previous_message_id"],
    lastReadSeq: row["last_seq"],
    lastReadMessageId: row["last_message_id"],
    readAt: row["read_at"],
  }));
}

/** Deletes those of these moves that no process has taken meanwhile: nobody need hear them. */
export async function dropWaitingReads(db: Queryable, reads: readonly WaitingRead[]): Promise<void> {
  if (reads.length === 0) return;
  // A DELETE of this form takes the name of an index; by another one it would lock in another order than `takeReads`.
  await db.query(
    `DELETE r FROM read_outbox r FORCE INDEX (PRIMARY)
      WHERE r.read_id IN (?) AND r.taken_by IS NULL`,
    [idsOf(reads)],
  );
}

const idsOf = (reads: readonly WaitingRead[]): readonly number[] => reads.map(({ readId }) => readId);

/** Forgets moves of these rooms that have been broadcast. */
export async function deleteReads(db: Queryable, takenBy: Buffer, roomIds: readonly number[]): Promise<void> {
  if (roomIds.length === 0) return;
  await db.query("DELETE FROM read_outbox WHERE taken_by = ? AND room_id IN (?)", [takenBy, roomIds]);
}

/** Gives back moves that could not be broadcast. They wait for the next broadcast of their room. */
export async function giveBackReads(db: Queryable, takenBy: Buffer): Promise<void> {
  await db.query("UPDATE read_outbox SET taken_by = NULL WHERE taken_by = ?", [takenBy]);
}

/** Gives back up to 5,000 moves that a process had taken before it died. */
export async function giveBackAbandonedReads(db: Queryable): Promise<void> {
  const abandoned = await findAbandoned(db);
  if (abandoned.length === 0) return;
  await db.query("UPDATE read_outbox SET taken_by = NULL WHERE read_id IN (?)", [abandoned]);
}

async function findAbandoned(db: Queryable): Promise<readonly number[]> {
  const [rows] = await db.query<IdRow[]>(
    `SELECT read_id FROM read_outbox
      WHERE taken_by IS NOT NULL AND taken_at < UTC_TIMESTAMP(3) - INTERVAL ${ABANDONED_MS / 1_000} SECOND
      LIMIT ${GIVEN_BACK_AT_ONCE}`,
  );
  return rows.map((row) => row.read_id);
}

/** Up to `limit` rooms in which moves wait. */
export async function listRoomsWithReads(db: Queryable, limit: number): Promise<readonly number[]> {
  const [rows] = await db.query<(RowDataPacket & { room_id: number })[]>(
    "SELECT DISTINCT room_id FROM read_outbox WHERE taken_by IS NULL LIMIT ?",
    [limit],
  );
  return rows.map((row) => row.room_id);
}
