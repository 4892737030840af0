import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";

/** Statements of the audit: lists that are usually empty, and the ids of subscriptions. */

/** What waits in a list for longer than it should. */
export interface Overdue {
  /** Nothing where the list belongs to no room. */
  readonly roomId: number | undefined;
  readonly rows: number;
  /** Seconds since the oldest row was written, or taken. */
  readonly seconds: number;
}

interface OverdueRow extends RowDataPacket {
  room_id: number | null;
  waiting: number;
  seconds: number;
}

const overdueOf = (row: OverdueRow): Overdue => ({
  roomId: row.room_id ?? undefined,
  rows: row.waiting,
  seconds: row.seconds,
});

/** Up to `limit` rooms with changes of members that have been waiting for `seconds` or longer. */
export async function listOverdueChanges(
  db: Queryable,
  seconds: number,
  limit: number,
): Promise<readonly Overdue[]> {
  const [rows] = await db.query<OverdueRow[]>(
    `SELECT room_id, COUNT(*) AS waiting, MAX(TIMESTAMPDIFF(SECOND, created_at, UTC_TIMESTAMP(3))) AS seconds
       FROM membership_outbox WHERE created_at <= UTC_TIMESTAMP(3) - INTERVAL ? SECOND
      GROUP BY room_id ORDER BY room_id LIMIT ?`,
    [seconds, limit],
  );
  return rows.map(overdueOf);
}

/** Up to `limit` rooms with moves of read positions that have been waiting for `seconds` or longer. */
export async function listOverdueReads(
  db: Queryable,
  seconds: number,
  limit: number,
): Promise<readonly Overdue[]> {
  const [rows] = await db.query<OverdueRow[]>(
    `SELECT room_id, COUNT(*) AS waiting, MAX(TIMESTAMPDIFF(SECOND, taken_at, UTC_TIMESTAMP(3))) AS seconds
       FROM read_outbox WHERE taken_at <= UTC_TIMESTAMP(3) - INTERVAL ? SECOND
      GROUP BY room_id ORDER BY room_id LIMIT ?`,
    [seconds, limit],
  );
  return rows.map(overdueOf);
}

/** Answers to calls with a key that are older than `seconds`: one entry, or none. */
export async function listOverdueAnswers(db: Queryable, seconds: number): Promise<readonly Overdue[]> {
  const [rows] = await db.query<OverdueRow[]>(
    `SELECT NULL AS room_id, COUNT(*) AS waiting,
            MAX(TIMESTAMPDIFF(SECOND, created_at, UTC_TIMESTAMP(3))) AS seconds
       FROM idempotency_keys WHERE created_at <= UTC_TIMESTAMP(3) - INTERVAL ? SECOND HAVING waiting > 0`,
    [seconds],
  );
  return rows.map(overdueOf);
}

/** Which of these rooms have changes of members that are not finished. */
export async function findRoomsWithChanges(
  db: Queryable,
  roomIds: readonly number[],
): Promise<ReadonlySet<number>> {
  if (roomIds.length === 0) return new Set();
  const [rows] = await db.query<(RowDataPacket & { room_id: number })[]>(
    "SELECT DISTINCT room_id FROM membership_outbox WHERE room_id IN (?)",
    [roomIds],
  );
  return new Set(rows.map((row) => row.room_id));
}

/** An id in use on a destination. */
export interface UsedId {
  /** The destination's key. */
  readonly destination: string;
  /** As it stands on the wire. */
  readonly wire: string;
  readonly packed: boolean;
}

interface UsedRow extends RowDataPacket {
  destination: Buffer;
  subscription_id: Buffer;
  packed: number;
}

const usedIdOf = (row: UsedRow): UsedId => ({
  destination: row.destination.toString(),
  wire: row.subscription_id.toString(),
  packed: row.packed === 1,
});

/** The first `limit` ids, in the order of the primary key, after this one. */
export async function listUsedIds(
  db: Queryable,
  after: UsedId | undefined,
  limit: number,
): Promise<readonly UsedId[]> {
  const { destination, wire, packed } = after ?? { destination: "", wire: "", packed: false };
  const [key, id, number] = [Buffer.from(destination), Buffer.from(wire), packed ? 1 : 0];
  const [rows] = await db.query<UsedRow[]>(
    `SELECT destination, subscription_id, packed FROM subscription_ids
      WHERE destination > ? OR (destination = ? AND subscription_id > ?)
         OR (destination = ? AND subscription_id = ? AND packed > ?)
      ORDER BY destination, subscription_id, packed LIMIT ?`,
    [key, key, id, key, id, number, limit],
  );
  return rows.map(usedIdOf);
}
