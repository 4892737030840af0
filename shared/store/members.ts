import type { RowDataPacket } from "mysql2/promise";
import { unreadCounter } from "../events/messageShown.js";
import type { Queryable } from "./database.js";

export interface Member {
  readonly roomId: number;
  readonly userId: number;
  /** Messages of a group at or below this `seq` are older than the membership. */
  readonly joinedSeq: number;
  readonly lastReadSeq: number;
  readonly lastReadMessageId: number | null;
}

interface MemberRow extends RowDataPacket {
  room_id: number;
  user_id: number;
  joined_seq: number;
  last_read_seq: number;
  last_read_message_id: number | null;
}

const COLUMNS = "room_id, user_id, joined_seq, last_read_seq, last_read_message_id";

const memberOf = (row: MemberRow): Member => ({
  roomId: row.room_id,
  userId: row.user_id,
  joinedSeq: row.joined_seq,
  lastReadSeq: row.last_read_seq,
  lastReadMessageId: row.last_read_message_id,
});

/** How a member of a room is named in maps. */
export const memberKey = (roomId: number, userId: number): string => `${roomId}:${userId}`;

/**
 * Adds members to a room, whose lock the caller holds unless it is new. They begin at `place`, the room's last message: what stands there or before
 * counts as read, and in a group is not theirs to see (`joinedSeq`).
 */
export async function insertMembers(
  tx: Queryable,
  roomId: number,
  userIds: readonly number[],
  joinedAt: Date,
  place: {
    readonly joinedSeq: number;
    readonly lastReadSeq: number;
    readonly lastReadMessageId: number | null;
  } = {
    joinedSeq: 0,
    lastReadSeq: 0,
    lastReadMessageId: null,
  },
): Promise<void> {
  await tx.query(
    "INSERT INTO room_members (room_id, user_id, joined_at, joined_seq, last_read_seq, last_read_message_id) VALUES ?",
    [
      userIds.map((userId) => [
        roomId,
        userId,
        joinedAt,
        place.joinedSeq,
        place.lastReadSeq,
        place.lastReadMessageId,
      ]),
    ],
  );
}

/** Removes a member; the caller holds the room's lock. */
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

/** Which of these pairs of room and user are members, by `memberKey`. */
export async function findMemberKeys(
  db: Queryable,
  usersByRoom: ReadonlyMap<number, ReadonlySet<number>>,
): Promise<ReadonlySet<string>> {
  const [where, values] = isOneOf(usersByRoom);
  if (values.length === 0) return new Set();
  const [rows] = await db.query<MemberRow[]>(
    `SELECT room_id, user_id FROM room_members FORCE INDEX (PRIMARY) WHERE ${where}`,
    values,
  );
  return new Set(rows.map((row) => memberKey(row.room_id, row.user_id)));
}

/**
 * Those of these pairs of room and user that are members, by `memberKey`, locked until the transaction ends. Every
 * transaction locks them in the order of the primary key, so that none waits for another in a circle (but for a reopened one-to-one room, which costs a retry), and late, because a
 * member's reads and messages wait here for each other.
 */
export async function lockMembers(
  tx: Queryable,
  usersByRoom: ReadonlyMap<number, ReadonlySet<number>>,
): Promise<ReadonlyMap<string, Member>> {
  const [where, values] = isOneOf(usersByRoom);
  if (values.length === 0) return new Map();
  const [rows] = await tx.query<MemberRow[]>(
    `SELECT ${COLUMNS} FROM room_members FORCE INDEX (PRIMARY) WHERE ${where} ORDER BY room_id, user_id FOR UPDATE`,
    values,
  );
  return new Map(rows.map((row) => [memberKey(row.room_id, row.user_id), memberOf(row)]));
}

/** An OR of ANDs, because MariaDB does not use an index for (a, b) IN ((…), (…)). */
function isOneOf(usersByRoom: ReadonlyMap<number, ReadonlySet<number>>): [where: string, values: unknown[]] {
  const rooms = [...usersByRoom].filter(([, users]) => users.size > 0);
  return [
    rooms.map(() => "(room_id = ? AND user_id IN (?))").join(" OR "),
    rooms.flatMap(([roomId, users]) => [roomId, [...users]]),
  ];
}

/** The user ids of a room's members. */
export async function listMemberIds(db: Queryable, roomId: number): Promise<readonly number[]> {
  const [rows] = await db.query<MemberRow[]>("SELECT user_id FROM room_members WHERE room_id = ?", [roomId]);
  return rows.map((row) => row.user_id);
}

/** The member who has been in the room for longest, or nothing; of several who joined at once the one with the lowest id. */
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
  readonly lastReadMessageId: number | null;
}

/** A room's members with what is known of them, the longest-standing first. One statement: the creator of the same moment is among them. */
export async function listMemberProfiles(db: Queryable, roomId: number): Promise<readonly MemberProfile[]> {
  const [rows] = await db.query<RowDataPacket[]>(
    `SELECT m.user_id, u.nickname, u.profile_image_url, m.joined_at, m.last_read_message_id,
            m.user_id = r.creator_id AS is_creator
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
    lastReadMessageId: row["last_read_message_id"],
  }));
}

export interface ReadPosition {
  readonly roomId: number;
  readonly userId: number;
  readonly seq: number;
  readonly messageId: number;
}

/**
 * Sets members' read positions, all in one statement; the caller holds these members' locks and has seen that the positions lie ahead. (An
 * INSERT that never inserts: its cost grows with the positions, where that of an UPDATE with a CASE would with their square.)
 */
export async function setReadPositions(tx: Queryable, positions: readonly ReadPosition[]): Promise<void> {
  if (positions.length === 0) return;
  await tx.query(
    `INSERT INTO room_members (room_id, user_id, joined_at, last_read_seq, last_read_message_id) VALUES ?
     ON DUPLICATE KEY UPDATE last_read_seq = VALUES(last_read_seq), last_read_message_id = VALUES(last_read_message_id)`,
    [positions.map(({ roomId, userId, seq, messageId }) => [roomId, userId, new Date(0), seq, messageId])],
  );
}

/**
 * How many members have not read each message of one room from `oldest` to `newest`, by `seq`. One pass over the index entries of the members
 * below `newest`; those who have read all of it cost nothing, and those below `oldest` are one row.
 */
export async function countUnread(
  db: Queryable,
  roomId: number,
  oldest: number,
  newest: number,
): Promise<(seq: number) => number> {
  const [rows] = await db.query<(RowDataPacket & { position: number; members: number })[]>(
    `SELECT CAST(0 AS UNSIGNED) AS position, COUNT(*) AS members FROM room_members FORCE INDEX (positions_in_a_room)
      WHERE room_id = ? AND last_read_seq < ?
     UNION ALL
     SELECT last_read_seq, COUNT(*) FROM room_members FORCE INDEX (positions_in_a_room)
      WHERE room_id = ? AND last_read_seq >= ? AND last_read_seq < ? GROUP BY last_read_seq
      ORDER BY position`,
    [roomId, oldest, roomId, oldest, newest],
  );
  return unreadCounter(rows.map((row) => [row.position, row.members]));
}
