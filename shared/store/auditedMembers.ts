import type { RowDataPacket } from "mysql2/promise";
import { groupBy } from "../platform/async.js";
import type { Queryable } from "./database.js";
import { AWAITED_SEQ } from "./members.js";
import type { Presence } from "./users.js";

/** Statements of the audit: what is stored of members beside what follows from messages and users. */

export interface MemberCounts {
  readonly memberCount: number;
  readonly awaitedCount: number;
}

/** How many members each of these rooms has. A room without any has no entry. */
export async function countMembers(
  db: Queryable,
  roomIds: readonly number[],
): Promise<ReadonlyMap<number, MemberCounts>> {
  if (roomIds.length === 0) return new Map();
  const [rows] = await db.query<(RowDataPacket & { room_id: number; members: number; awaited: number })[]>(
    `SELECT room_id, COUNT(*) AS members, CAST(SUM(last_read_seq = ${AWAITED_SEQ}) AS SIGNED) AS awaited
       FROM room_members FORCE INDEX (positions_in_a_room) WHERE room_id IN (?) GROUP BY room_id`,
    [roomIds],
  );
  return new Map(rows.map((row) => [row.room_id, { memberCount: row.members, awaitedCount: row.awaited }]));
}

/** The members of these rooms, by room. */
export async function listMembersOf(
  db: Queryable,
  roomIds: readonly number[],
): Promise<ReadonlyMap<number, readonly number[]>> {
  if (roomIds.length === 0) return new Map();
  const [rows] = await db.query<(RowDataPacket & { room_id: number; user_id: number })[]>(
    "SELECT room_id, user_id FROM room_members FORCE INDEX (PRIMARY) WHERE room_id IN (?)",
    [roomIds],
  );
  return groupBy(
    rows,
    (row) => row.room_id,
    (row) => row.user_id,
  );
}

/** A member whose read position contradicts the room, its messages or the user. */
export interface WrongPosition {
  readonly roomId: number;
  readonly userId: number;
  readonly joinedSeq: number;
  readonly seq: number;
  readonly messageId: number | null;
  readonly uncounted: number;
  /** The first `seq` that the position may have. */
  readonly least: number;
  /** The room's last one, by its messages. */
  readonly greatest: number;
  /** The message at the position. */
  readonly there: { readonly messageId: number; readonly uncounted: number } | undefined;
  /** The position lies beyond every message, as of a user who has never been here. */
  readonly isAwaited: boolean;
  readonly hasBeenHere: boolean;
}

interface WrongRow extends RowDataPacket {
  room_id: number;
  user_id: number;
  joined_seq: number;
  last_read_seq: number;
  last_read_message_id: number | null;
  last_read_uncounted: number;
  least: number;
  greatest: number;
  message_id: number | null;
  uncounted: number | null;
  presence: Presence | null;
}

/** Somebody who has never been here has no position; somebody who has been here has one. */
const IS_AWAITED_RIGHTLY = `last_read_message_id IS NULL AND last_read_uncounted = 0
  AND COALESCE(presence, 'AWAITED') <> 'PRESENT'`;
/** In a group nobody stands before the messages that they may see. */
const IS_RIGHT = `last_read_seq BETWEEN least AND greatest AND joined_seq <= greatest
  AND last_read_message_id <=> message_id AND last_read_uncounted = COALESCE(uncounted, 0)`;

/** The first `limit` members of these rooms, by room and user, whose position is wrong. */
export async function listWrongPositions(
  db: Queryable,
  roomIds: readonly number[],
  limit: number,
): Promise<readonly WrongPosition[]> {
  if (roomIds.length === 0) return [];
  const [rows] = await db.query<WrongRow[]>(
    `SELECT * FROM (
       SELECT m.room_id, m.user_id, m.joined_seq, m.last_read_seq, m.last_read_message_id,
              m.last_read_uncounted, u.presence, p.message_id, p.uncounted,
              IF(r.type = 'GROUP', m.joined_seq, 0) AS least, COALESCE(e.seq, 0) AS greatest
         FROM room_members m FORCE INDEX (PRIMARY)
         JOIN rooms r ON r.room_id = m.room_id
         LEFT JOIN (SELECT room_id, MAX(seq) AS seq FROM messages WHERE room_id IN (?) GROUP BY room_id) e
           ON e.room_id = m.room_id
         LEFT JOIN messages p ON p.room_id = m.room_id AND p.seq = m.last_read_seq
         LEFT JOIN users u ON u.user_id = m.user_id
        WHERE m.room_id IN (?)) s
      WHERE NOT IF(last_read_seq = ${AWAITED_SEQ}, ${IS_AWAITED_RIGHTLY}, ${IS_RIGHT})
      ORDER BY room_id, user_id LIMIT ?`,
    [roomIds, roomIds, limit],
  );
  return rows.map((row) => ({
    roomId: row.room_id,
    userId: row.user_id,
    joinedSeq: row.joined_seq,
    seq: row.last_read_seq,
    messageId: row.last_read_message_id,
    uncounted: row.last_read_uncounted,
    least: row.least,
    greatest: row.greatest,
    there: row.message_id === null ? undefined : { messageId: row.message_id, uncounted: row.uncounted ?? 0 },
    isAwaited: row.last_read_seq === AWAITED_SEQ,
    hasBeenHere: row.presence === "PRESENT",
  }));
}

export interface WrongHidden {
  readonly roomId: number;
  readonly userId: number;
  readonly stored: number;
  readonly counted: number;
}

/**
 * The first `limit` members of these rooms of whom another number of deleted messages is stored than lies
 * above their position.
 */
export async function listWrongHidden(
  db: Queryable,
  roomIds: readonly number[],
  limit: number,
): Promise<readonly WrongHidden[]> {
  if (roomIds.length === 0) return [];
  const [rows] = await db.query<
    (RowDataPacket & { room_id: number; user_id: number; kept: number; counted: number })[]
  >(
    `SELECT m.room_id, m.user_id, m.hidden_unread AS kept, COALESCE(n.hidden, 0) AS counted
       FROM room_members m FORCE INDEX (PRIMARY) LEFT JOIN (
              SELECT o.room_id, o.user_id, COUNT(*) AS hidden
                FROM hidden_messages h
                JOIN room_members o ON o.room_id = h.room_id AND o.user_id = h.user_id
                 AND o.last_read_seq < h.seq
                JOIN messages l ON l.room_id = h.room_id AND l.seq = h.seq
               WHERE h.room_id IN (?) AND l.type NOT LIKE 'SYSTEM%' GROUP BY o.room_id, o.user_id
            ) n ON n.room_id = m.room_id AND n.user_id = m.user_id
      WHERE m.room_id IN (?) AND m.hidden_unread <> COALESCE(n.hidden, 0)
      ORDER BY m.room_id, m.user_id LIMIT ?`,
    [roomIds, roomIds, limit],
  );
  return rows.map((row) => ({
    roomId: row.room_id,
    userId: row.user_id,
    stored: row.kept,
    counted: row.counted,
  }));
}

/** The last message of a room at or below a `seq`, or nothing. */
export async function findMessageUpTo(
  db: Queryable,
  roomId: number,
  seq: number,
): Promise<{ readonly seq: number; readonly messageId: number; readonly uncounted: number } | undefined> {
  const [[row]] = await db.query<(RowDataPacket & { seq: number; message_id: number; uncounted: number })[]>(
    `SELECT seq, message_id, uncounted FROM messages FORCE INDEX (place_in_room)
      WHERE room_id = ? AND seq <= ? ORDER BY seq DESC LIMIT 1`,
    [roomId, seq],
  );
  return row && { seq: row.seq, messageId: row.message_id, uncounted: row.uncounted };
}

/** Lets no member of a room have joined after its last message. The caller holds the room's lock. */
export async function lowerJoinedSeqs(tx: Queryable, roomId: number, lastSeq: number): Promise<void> {
  await tx.query("UPDATE room_members SET joined_seq = ? WHERE room_id = ? AND joined_seq > ?", [
    lastSeq,
    roomId,
    lastSeq,
  ]);
}
