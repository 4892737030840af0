import type { RowDataPacket } from "mysql2/promise";
import { unreadCounter } from "../chat/unread.js";
import { groupBy } from "../platform/async.js";
import type { Queryable } from "./database.js";
import type { IdToCome } from "./idToCome.js";
import type { Room } from "./rooms.js";
import type { Transaction } from "./transaction.js";

export interface Member {
  readonly roomId: number;
  readonly userId: number;
  /** Messages of a group at or below this `seq` are older than the membership. */
  readonly joinedSeq: number;
  /** Beyond every message for a user who has never been here: see `isAwaited`. */
  readonly lastReadSeq: number;
  readonly lastReadMessageId: number | null;
  /**
   * How many messages above the position the member has deleted for themselves. System messages don't count.
   */
  readonly hiddenUnread: number;
}

/**
 * The position of a member who has never been here. It lies beyond every message, so every count of positions
 * passes over it. It is the greatest integer that the database driver returns as a number.
 */
export const AWAITED_SEQ = Number.MAX_SAFE_INTEGER;

/** Whether a member has never been here. Nothing waits for such a member until they come. */
export const isAwaited = ({ lastReadSeq }: Pick<Member, "lastReadSeq">): boolean =>
  lastReadSeq === AWAITED_SEQ;

interface MemberRow extends RowDataPacket {
  room_id: number;
  user_id: number;
  joined_seq: number;
  last_read_seq: number;
  last_read_message_id: number | null;
  hidden_unread: number;
}

const COLUMNS = "room_id, user_id, joined_seq, last_read_seq, last_read_message_id, hidden_unread";

const memberOf = (row: MemberRow): Member => ({
  roomId: row.room_id,
  userId: row.user_id,
  joinedSeq: row.joined_seq,
  lastReadSeq: row.last_read_seq,
  lastReadMessageId: row.last_read_message_id,
  hiddenUnread: row.hidden_unread,
});

/** A user in a room, a member or not. */
export interface MemberRef {
  readonly roomId: number;
  readonly userId: number;
}

/** The key of a room's member in maps. */
export const memberKey = (roomId: number, userId: number): string => `${roomId}:${userId}`;

/** The end of a room, where new members begin. In a room without messages it is all zero. */
type RoomEnd = Pick<Room, "lastSeq" | "lastMessageId" | "lastUncounted">;

export const NO_MESSAGES: RoomEnd = { lastSeq: 0, lastMessageId: null, lastUncounted: 0 };

/**
 * Adds members to a room. The caller holds the room's lock, unless the room is new. The members begin at the
 * room's end: earlier messages count as read. In a group they may not even see those, which `joinedSeq` says.
 * `awaited` holds the users among them who have never been here (`awaitedAmong`).
 */
export async function insertMembers(
  tx: Queryable,
  roomId: number,
  userIds: readonly number[],
  joinedAt: Date,
  end: RoomEnd & { readonly joinedSeq: number },
  awaited: ReadonlySet<number>,
): Promise<void> {
  await tx.query(
    `INSERT INTO room_members (room_id, user_id, joined_at, joined_seq, last_read_seq, last_read_message_id,
                               last_read_uncounted)
     VALUES ?`,
    [
      userIds.map((userId) => [
        roomId,
        userId,
        joinedAt,
        end.joinedSeq,
        ...(awaited.has(userId)
          ? [AWAITED_SEQ, null, 0]
          : [end.lastSeq, end.lastMessageId, end.lastUncounted]),
      ]),
    ],
  );
}

/** Removes a member. The caller holds the room's lock. */
export async function deleteMember(tx: Queryable, roomId: number, userId: number): Promise<void> {
  await tx.query("DELETE FROM room_members WHERE room_id = ? AND user_id = ?", [roomId, userId]);
}

/** A user's membership of a room, or nothing. */
export async function findMember(db: Queryable, roomId: number, userId: number): Promise<Member | undefined> {
  const [rows] = await db.query<MemberRow[]>(
    `SELECT ${COLUMNS} FROM room_members WHERE room_id = ? AND user_id = ?`,
    [roomId, userId],
  );
  return rows[0] && memberOf(rows[0]);
}

/** Which of these users are members of a room. */
export async function findMembersAmong(
  db: Queryable,
  roomId: number,
  userIds: readonly number[],
): Promise<ReadonlySet<number>> {
  if (userIds.length === 0) return new Set();
  const [rows] = await db.query<MemberRow[]>(
    "SELECT user_id FROM room_members FORCE INDEX (PRIMARY) WHERE room_id = ? AND user_id IN (?)",
    [roomId, userIds],
  );
  return new Set(rows.map((row) => row.user_id));
}

/**
 * Finds the members among these pairs of room and user, by `memberKey`, and locks them until the transaction
 * ends. Rows are locked in primary-key order to avoid deadlocks (reopening a one-to-one room is the exception
 * and is retried). Transactions lock them as late as possible, because a member's reads and messages block each
 * other here; a batch of messages does so before it writes, and asks for its senders only once.
 */
export async function lockMembers(
  tx: Queryable,
  pairs: readonly MemberRef[],
): Promise<ReadonlyMap<string, Member>> {
  const [where, values] = isOneOf(pairs);
  if (values.length === 0) return new Map();
  const [rows] = await tx.query<MemberRow[]>(
    `SELECT ${COLUMNS} FROM room_members FORCE INDEX (PRIMARY)
      WHERE ${where} ORDER BY room_id, user_id FOR UPDATE`,
    values,
  );
  return new Map(rows.map((row) => [memberKey(row.room_id, row.user_id), memberOf(row)]));
}

/** An OR of ANDs, because MariaDB does not use an index for (a, b) IN ((…), (…)). Repeated pairs count once. */
function isOneOf(pairs: readonly MemberRef[]): [where: string, values: unknown[]] {
  const usersByRoom = groupBy(
    pairs,
    ({ roomId }) => roomId,
    ({ userId }) => userId,
  );
  const rooms = [...usersByRoom];
  return [
    rooms.map(() => "(room_id = ? AND user_id IN (?))").join(" OR "),
    rooms.flatMap(([roomId, users]) => [roomId, [...new Set(users)]]),
  ];
}

/** The user ids of a room's members. */
export async function listMemberIds(db: Queryable, roomId: number): Promise<readonly number[]> {
  const [rows] = await db.query<MemberRow[]>("SELECT user_id FROM room_members WHERE room_id = ?", [roomId]);
  return rows.map((row) => row.user_id);
}

/**
 * The member who has been in the room longest, or nothing. Of several who joined at once, the one with the
 * lowest id.
 */
export async function findLongestStanding(db: Queryable, roomId: number): Promise<number | undefined> {
  const [rows] = await db.query<MemberRow[]>(
    "SELECT user_id FROM room_members WHERE room_id = ? ORDER BY joined_at, user_id LIMIT 1",
    [roomId],
  );
  return rows[0]?.user_id;
}

export interface MemberProfile {
  readonly userId: number;
  readonly nickname: string | null;
  readonly profileImageUrl: string | null;
  readonly joinedAt: Date;
  readonly isCreator: boolean;
  /** Has never been here. */
  readonly isAwaited: boolean;
  /** For a member who has never been here, the room's last message. */
  readonly lastReadMessageId: number | null;
}

/**
 * A room's members with their profiles, the longest-standing first. One statement reads the creator and the
 * members at the same moment, so the creator is among the members.
 */
export async function listMemberProfiles(db: Queryable, roomId: number): Promise<readonly MemberProfile[]> {
  const [rows] = await db.query<RowDataPacket[]>(
    `SELECT m.user_id, u.nickname, u.profile_image_url, m.joined_at, m.user_id = r.creator_id AS is_creator,
            m.last_read_seq,
            IF(m.last_read_seq = ${AWAITED_SEQ}, r.last_message_id, m.last_read_message_id) AS position
       FROM rooms r JOIN room_members m ON m.room_id = r.room_id LEFT JOIN users u ON u.user_id = m.user_id
      WHERE r.room_id = ? ORDER BY m.joined_at, m.user_id`,
    [roomId],
  );
  return rows.map((row) => ({
    userId: row["user_id"],
    nickname: row["nickname"],
    profileImageUrl: row["profile_image_url"],
    joinedAt: row["joined_at"],
    isCreator: row["is_creator"] === 1,
    isAwaited: isAwaited({ lastReadSeq: row["last_read_seq"] }),
    lastReadMessageId: row["position"],
  }));
}

export interface ReadPosition {
  readonly roomId: number;
  readonly userId: number;
  readonly seq: number;
  /** `null` in a room without messages. */
  readonly messageId: number | IdToCome | null;
  /** How many of the room's messages up to this position are system messages. */
  readonly uncounted: number;
  /**
   * How many messages above the position the member has deleted for themselves. System messages don't count.
   */
  readonly hiddenUnread: number;
}

/**
 * Sets members' read positions, all in one statement. The caller holds these members' locks and has checked
 * that the positions lie ahead. The statement is an INSERT that never inserts: its cost grows in proportion
 * to the number of positions, while the cost of an UPDATE with a CASE would grow with the square of that
 * number.
 */
export function setReadPositions(tx: Transaction, positions: readonly ReadPosition[]): void {
  if (positions.length === 0) return;
  tx.later(
    `INSERT INTO room_members (room_id, user_id, joined_at, last_read_seq, last_read_message_id,
                               last_read_uncounted, hidden_unread)
     VALUES ?
     ON DUPLICATE KEY UPDATE
       last_read_seq = VALUES(last_read_seq), last_read_message_id = VALUES(last_read_message_id),
       last_read_uncounted = VALUES(last_read_uncounted), hidden_unread = VALUES(hidden_unread)`,
    [
      positions.map(({ roomId, userId, seq, messageId, uncounted, hiddenUnread }) => [
        roomId,
        userId,
        new Date(0),
        seq,
        messageId,
        uncounted,
        hiddenUnread,
      ]),
    ],
  );
}

/**
 * Counts one more message above a member's position that the member has deleted for themselves. The caller
 * holds the member's lock.
 */
export async function countHidden(tx: Queryable, roomId: number, userId: number): Promise<void> {
  await tx.query(
    "UPDATE room_members SET hidden_unread = hidden_unread + 1 WHERE room_id = ? AND user_id = ?",
    [roomId, userId],
  );
}

/** The first `limit` rooms, by id, in which a user is a member who has never been here. */
export async function listAwaitingRooms(
  db: Queryable,
  userId: number,
  limit: number,
): Promise<readonly number[]> {
  const [rows] = await db.query<MemberRow[]>(
    `SELECT room_id FROM room_members FORCE INDEX (rooms_of_a_user)
      WHERE user_id = ? AND last_read_seq = ${AWAITED_SEQ} ORDER BY room_id LIMIT ?`,
    [userId, limit],
  );
  return rows.map((row) => row.room_id);
}

/** The first `limit` of a user's rooms with an id above `after`. */
export async function listRoomIdsOf(
  db: Queryable,
  userId: number,
  after: number,
  limit: number,
): Promise<readonly number[]> {
  const [rows] = await db.query<MemberRow[]>(
    `SELECT room_id FROM room_members FORCE INDEX (rooms_of_a_user)
      WHERE user_id = ? AND room_id > ? ORDER BY room_id LIMIT ?`,
    [userId, after, limit],
  );
  return rows.map((row) => row.room_id);
}

/**
 * How many members have not read each message of one room from `oldest` to `newest`, by `seq`. The statement
 * is one pass over the index entries of the members below `newest`. Members who have read everything cost
 * nothing, and all members below `oldest` are one row.
 */
export async function countUnread(
  db: Queryable,
  roomId: number,
  oldest: number,
  newest: number,
): Promise<(seq: number) => number> {
  const [rows] = await db.query<(RowDataPacket & { position: number; members: number })[]>(
    `SELECT CAST(0 AS UNSIGNED) AS position, COUNT(*) AS members
       FROM room_members FORCE INDEX (positions_in_a_room)
      WHERE room_id = ? AND last_read_seq < ?
     UNION ALL
     SELECT last_read_seq, COUNT(*)
       FROM room_members FORCE INDEX (positions_in_a_room)
      WHERE room_id = ? AND last_read_seq >= ? AND last_read_seq < ? GROUP BY last_read_seq
      ORDER BY position`,
    [roomId, oldest, roomId, oldest, newest],
  );
  return unreadCounter(rows.map((row) => [row.position, row.members]));
}
