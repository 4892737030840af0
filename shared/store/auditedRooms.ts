import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";
import type { Room, RoomType } from "./rooms.js";

/** Statements of the audit: what is stored of rooms beside what follows from their messages. */

/** The last message of a room, as far as the room's row repeats it. */
export interface RoomEnd {
  readonly seq: number;
  readonly messageId: number | null;
  readonly uncounted: number;
  /** When the message was sent. Nothing for a room without messages. */
  readonly at: Date | null;
}

/** A room's row beside its last message. */
export interface AuditedRoom extends Pick<Room, "roomId" | "memberCount" | "awaitedCount"> {
  readonly type: RoomType;
  readonly stored: RoomEnd;
  readonly counted: RoomEnd;
}

/** The first `limit` rooms, by id, with an id above `after`. */
export async function listRoomIds(db: Queryable, after: number, limit: number): Promise<readonly number[]> {
  const [rows] = await db.query<(RowDataPacket & { room_id: number })[]>(
    "SELECT room_id FROM rooms WHERE room_id > ? ORDER BY room_id LIMIT ?",
    [after, limit],
  );
  return rows.map((row) => row.room_id);
}

/** About how many rows belong to each of these rooms: messages and members. */
export async function findRoomSizes(
  db: Queryable,
  roomIds: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  if (roomIds.length === 0) return new Map();
  const [rows] = await db.query<(RowDataPacket & { room_id: number; size: number })[]>(
    `SELECT r.room_id, CAST(r.member_count + COALESCE(
              (SELECT MAX(m.seq) FROM messages m WHERE m.room_id = r.room_id), 0) AS UNSIGNED) AS size
       FROM rooms r WHERE r.room_id IN (?)`,
    [roomIds],
  );
  return new Map(rows.map((row) => [row.room_id, row.size]));
}

interface AuditedRow extends RowDataPacket {
  room_id: number;
  type: RoomType;
  member_count: number;
  awaited_count: number;
  last_seq: number;
  last_message_id: number | null;
  last_uncounted: number;
  last_activity_at: Date;
  seq: number | null;
  message_id: number | null;
  uncounted: number | null;
  sent_at: Date | null;
}

/** These rooms, each with its last message. */
export async function findAuditedRooms(
  db: Queryable,
  roomIds: readonly number[],
): Promise<readonly AuditedRoom[]> {
  if (roomIds.length === 0) return [];
  const [rows] = await db.query<AuditedRow[]>(
    `SELECT r.room_id, r.type, r.member_count, r.awaited_count,
            r.last_seq, r.last_message_id, r.last_uncounted, r.last_activity_at,
            m.seq, m.message_id, m.uncounted, m.sent_at
       FROM rooms r LEFT JOIN messages m ON m.room_id = r.room_id
        AND m.seq = (SELECT MAX(o.seq) FROM messages o WHERE o.room_id = r.room_id)
      WHERE r.room_id IN (?) ORDER BY r.room_id`,
    [roomIds],
  );
  return rows.map((row) => ({
    roomId: row.room_id,
    type: row.type,
    memberCount: row.member_count,
    awaitedCount: row.awaited_count,
    stored: {
      seq: row.last_seq,
      messageId: row.last_message_id,
      uncounted: row.last_uncounted,
      at: row.last_activity_at,
    },
    counted: {
      seq: row.seq ?? 0,
      messageId: row.message_id,
      uncounted: row.uncounted ?? 0,
      at: row.sent_at,
    },
  }));
}

/** A part of a room's messages: those from one `seq` to another. */
export interface Slice {
  readonly roomId: number;
  readonly first: number;
  readonly last: number;
}

export interface SliceCounts {
  readonly messages: number;
  readonly firstSeq: number;
  readonly systemMessages: number;
  /**
   * `uncounted` of each message, less the system messages of the slice up to it: the least and the greatest.
   * Both are the number of system messages before the slice.
   */
  readonly before: readonly [least: number, greatest: number];
}

interface SliceRow extends RowDataPacket {
  room_id: number;
  messages: number;
  first_seq: number;
  system_messages: number;
  least: number;
  greatest: number;
}

/** The counts of these slices, at most one of a room, by room. A slice without messages has none. */
export async function countSlices(
  db: Queryable,
  slices: readonly Slice[],
): Promise<ReadonlyMap<number, SliceCounts>> {
  if (slices.length === 0) return new Map();
  const [rows] = await db.query<SliceRow[]>(
    `SELECT room_id, COUNT(*) AS messages, MIN(seq) AS first_seq,
            CAST(SUM(is_system) AS SIGNED) AS system_messages,
            MIN(earlier) AS least, MAX(earlier) AS greatest
       FROM (SELECT room_id, seq, type LIKE 'SYSTEM%' AS is_system,
                    CAST(uncounted AS SIGNED)
                      - CAST(SUM(type LIKE 'SYSTEM%') OVER (PARTITION BY room_id ORDER BY seq) AS SIGNED) AS earlier
               FROM messages FORCE INDEX (place_in_room)
              WHERE ${slices.map(() => "(room_id = ? AND seq BETWEEN ? AND ?)").join(" OR ")}) s
      GROUP BY room_id`,
    slices.flatMap(({ roomId, first, last }) => [roomId, first, last]),
  );
  return new Map(
    rows.map((row) => [
      row.room_id,
      {
        messages: row.messages,
        firstSeq: row.first_seq,
        systemMessages: row.system_messages,
        before: [row.least, row.greatest] as const,
      },
    ]),
  );
}

/**
 * The first `limit` places of a room where its messages do not follow on each other: the `seq` before, 0 for
 * the room's beginning, and the `seq` that follows.
 */
export async function listHoles(
  db: Queryable,
  roomId: number,
  limit: number,
): Promise<readonly (readonly [before: number, next: number])[]> {
  const [rows] = await db.query<(RowDataPacket & { seq: number; earlier: number })[]>(
    `SELECT seq, earlier
       FROM (SELECT seq, CAST(COALESCE(LAG(seq) OVER (ORDER BY seq), 0) AS UNSIGNED) AS earlier
               FROM messages FORCE INDEX (place_in_room) WHERE room_id = ?) s
      WHERE seq <> earlier + 1 ORDER BY seq LIMIT ?`,
    [roomId, limit],
  );
  return rows.map((row) => [row.earlier, row.seq]);
}

/** Sets a room's last message. The caller holds the room's lock. */
export async function setRoomEnd(tx: Queryable, roomId: number, end: RoomEnd): Promise<void> {
  await tx.query(
    `UPDATE rooms SET last_seq = ?, last_message_id = ?, last_uncounted = ?,
                      last_activity_at = COALESCE(?, last_activity_at)
      WHERE room_id = ?`,
    [end.seq, end.messageId, end.uncounted, end.at, roomId],
  );
}

/**
 * Numbers the system messages of a slice anew, where `before` of them precede it. The caller holds the room's
 * lock.
 */
export async function numberSystemMessages(
  tx: Queryable,
  { roomId, first, last }: Slice,
  before: number,
): Promise<void> {
  await tx.query(
    `UPDATE messages m JOIN (
         SELECT message_id, ? + SUM(type LIKE 'SYSTEM%') OVER (ORDER BY seq) AS uncounted
           FROM messages WHERE room_id = ? AND seq BETWEEN ? AND ?
       ) n ON n.message_id = m.message_id
        SET m.uncounted = n.uncounted
      WHERE m.uncounted <> n.uncounted`,
    [before, roomId, first, last],
  );
}
