import type { ResultSetHeader, RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";

export type RoomType = "ONE_TO_ONE" | "GROUP";

export interface Room {
  readonly roomId: number;
  readonly type: RoomType;
  readonly lastSeq: number;
  readonly memberCount: number;
}

export interface Member {
  readonly userId: number;
  /** Messages at or below this `seq` are older than the membership. */
  readonly joinedSeq: number;
}

interface RoomRow extends RowDataPacket {
  room_id: number;
  type: RoomType;
  last_seq: number;
  member_count: number;
}

const roomOf = (row: RoomRow): Room => ({
  roomId: row.room_id,
  type: row.type,
  lastSeq: row.last_seq,
  memberCount: row.member_count,
});

/** One room, or nothing. */
export async function findRoom(db: Queryable, roomId: number): Promise<Room | undefined> {
  const [rows] = await db.query<RoomRow[]>(
    "SELECT room_id, type, last_seq, member_count FROM rooms WHERE room_id = ?",
    [roomId],
  );
  return rows[0] && roomOf(rows[0]);
}

/**
 * The rooms of these ids, locked in the order of their ids until the transaction ends. Here and in the updates below the
 * primary key is forced: a scan, which the optimizer prefers on a small table, would lock strangers' rows and deadlock.
 */
export async function lockRooms(
  tx: Queryable,
  roomIds: readonly number[],
): Promise<ReadonlyMap<number, Room>> {
  if (roomIds.length === 0) return new Map();
  const [rows] = await tx.query<RoomRow[]>(
    "SELECT room_id, type, last_seq, member_count FROM rooms FORCE INDEX (PRIMARY) WHERE room_id IN (?) ORDER BY room_id FOR UPDATE",
    [roomIds],
  );
  return new Map(rows.map((row) => [row.room_id, roomOf(row)]));
}

/**
 * Keeps a room from taking messages until the transaction ends, without keeping others from doing the same. (Not FOR SHARE, which
 * MariaDB doesn't know.)
 */
export async function holdRoom(tx: Queryable, roomId: number): Promise<void> {
  await tx.query("SELECT room_id FROM rooms WHERE room_id = ? LOCK IN SHARE MODE", [roomId]);
}

/** Makes a room and returns its id; throws a duplicate error when the pair has one already. */
export async function insertRoom(
  tx: Queryable,
  room: {
    type: RoomType;
    name: string | null;
    creatorId: number;
    pairKey: string | null;
    memberCount: number;
    now: Date;
  },
): Promise<number> {
  const [result] = await tx.query<ResultSetHeader>(
    `INSERT INTO rooms (type, name, creator_id, pair_key, member_count, last_activity_at, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    [room.type, room.name, room.creatorId, room.pairKey, room.memberCount, room.now, room.now],
  );
  return result.insertId;
}

/** Adds the first members of a new room. */
export async function insertMembers(
  tx: Queryable,
  roomId: number,
  userIds: readonly number[],
  joinedAt: Date,
): Promise<void> {
  await tx.query("INSERT INTO room_members (room_id, user_id, joined_at) VALUES ?", [
    userIds.map((userId) => [roomId, userId, joinedAt]),
  ]);
}

/** The one-to-one room of a pair key, or nothing. */
export async function findRoomOfPair(db: Queryable, pairKey: string): Promise<number | undefined> {
  const [rows] = await db.query<RoomRow[]>("SELECT room_id FROM rooms WHERE pair_key = ?", [pairKey]);
  return rows[0]?.room_id;
}

/** A user's membership of a room, or nothing. */
export async function findMember(db: Queryable, roomId: number, userId: number): Promise<Member | undefined> {
  const [rows] = await db.query<(RowDataPacket & { joined_seq: number })[]>(
    "SELECT joined_seq FROM room_members WHERE room_id = ? AND user_id = ?",
    [roomId, userId],
  );
  return rows[0] && { userId, joinedSeq: rows[0].joined_seq };
}

/** The user ids of a room's members. */
export async function listMemberIds(db: Queryable, roomId: number): Promise<readonly number[]> {
  const [rows] = await db.query<(RowDataPacket & { user_id: number })[]>(
    "SELECT user_id FROM room_members WHERE room_id = ?",
    [roomId],
  );
  return rows.map((row) => row.user_id);
}

/** Which of these pairs of room and user are members, as `room:user`. */
export async function findMemberPairs(
  db: Queryable,
  usersByRoom: ReadonlyMap<number, ReadonlySet<number>>,
): Promise<ReadonlySet<string>> {
  const rooms = [...usersByRoom].filter(([, users]) => users.size > 0);
  if (rooms.length === 0) return new Set();
  // An OR of ANDs, because MariaDB does not use an index for (a, b) IN ((…), (…)).
  const [rows] = await db.query<(RowDataPacket & { room_id: number; user_id: number })[]>(
    `SELECT room_id, user_id FROM room_members WHERE ${rooms.map(() => "(room_id = ? AND user_id IN (?))").join(" OR ")}`,
    rooms.flatMap(([roomId, users]) => [roomId, [...users]]),
  );
  return new Set(rows.map((row) => `${row.room_id}:${row.user_id}`));
}

/** Moves rooms to their new last message, all in one statement. */
export async function moveRoomsForward(
  tx: Queryable,
  moves: readonly { roomId: number; lastSeq: number; lastMessageId: number; at: Date }[],
): Promise<void> {
  if (moves.length === 0) return;
  const choose = (pick: (move: (typeof moves)[number]) => unknown): [string, unknown[]] => [
    `CASE room_id ${moves.map(() => "WHEN ? THEN ?").join(" ")} END`,
    moves.flatMap((move) => [move.roomId, pick(move)]),
  ];
  const [seq, seqValues] = choose((move) => move.lastSeq);
  const [message, messageValues] = choose((move) => move.lastMessageId);
  const [at, atValues] = choose((move) => move.at);
  await tx.query(
    `UPDATE rooms FORCE INDEX (PRIMARY) SET last_seq = ${seq}, last_message_id = ${message}, last_activity_at = ${at} WHERE room_id IN (?)`,
    [...seqValues, ...messageValues, ...atValues, moves.map((move) => move.roomId)],
  );
}

export interface ReadMove {
  readonly roomId: number;
  readonly userId: number;
  readonly seq: number;
  readonly messageId: number;
}

/** Moves members' read positions forward, never back, all in one statement. */
export async function moveReadPositions(tx: Queryable, moves: readonly ReadMove[]): Promise<void> {
  if (moves.length === 0) return;
  const cases = (pick: (move: ReadMove) => number): [string, number[]] => [
    moves.map(() => "WHEN room_id = ? AND user_id = ? THEN ?").join(" "),
    moves.flatMap((move) => [move.roomId, move.userId, pick(move)]),
  ];
  const [seqCases, seqs] = cases((move) => move.seq);
  const [messageCases, messageIds] = cases((move) => move.messageId);
  await tx.query(
    `UPDATE room_members FORCE INDEX (PRIMARY) SET
       last_read_message_id = GREATEST(COALESCE(last_read_message_id, 0), CASE ${messageCases} END),
       last_read_seq = GREATEST(last_read_seq, CASE ${seqCases} END)
     WHERE ${moves.map(() => "(room_id = ? AND user_id = ?)").join(" OR ")}`,
    [...messageIds, ...seqs, ...moves.flatMap((move) => [move.roomId, move.userId])],
  );
}

/** How many members of a room stand at each read position: `[lastReadSeq, members]`, ascending. One pass over the members. */
export async function countReadPositions(
  db: Queryable,
  roomId: number,
): Promise<readonly (readonly [lastReadSeq: number, members: number])[]> {
  const [rows] = await db.query<(RowDataPacket & { last_read_seq: number; members: number })[]>(
    "SELECT last_read_seq, COUNT(*) AS members FROM room_members WHERE room_id = ? GROUP BY last_read_seq ORDER BY last_read_seq",
    [roomId],
  );
  return rows.map((row) => [row.last_read_seq, row.members]);
}

export interface RoomSummary {
  readonly roomId: number;
  readonly type: RoomType;
  readonly name: string;
  readonly imageUrl: string | null;
  readonly memberCount: number;
  readonly unreadCount: number;
  readonly lastActivityAt: Date;
  readonly lastMessage: {
    readonly messageId: number;
    readonly seq: number;
    readonly content: string;
    readonly type: string;
    readonly sentAt: Date;
    readonly senderId: number;
  } | null;
}

/**
 * A user's rooms, the one with the latest activity first, at most `limit`, after `before` where it is given. A one-to-one room bears the
 * other one's name and picture. Unread is a subtraction of positions, never a count over messages.
 */
export async function listRoomsOf(
  db: Queryable,
  userId: number,
  limit: number,
  before?: { readonly at: Date; readonly roomId: number },
): Promise<readonly RoomSummary[]> {
  const [rows] = await db.query<RowDataPacket[]>(
    `SELECT r.room_id, r.type, r.name, r.image_url, r.member_count, r.last_activity_at,
            r.last_seq - GREATEST(m.last_read_seq, m.joined_seq) AS unread,
            l.message_id, l.seq, l.content, l.type AS message_type, l.sent_at, l.sender_id,
            o.user_id AS other_id, u.nickname AS other_nickname, u.profile_image_url AS other_image
       FROM room_members m
       JOIN rooms r ON r.room_id = m.room_id
       LEFT JOIN messages l ON l.message_id = r.last_message_id AND l.seq > m.joined_seq
       LEFT JOIN room_members o ON r.type = 'ONE_TO_ONE' AND o.room_id = r.room_id AND o.user_id <> m.user_id
       LEFT JOIN users u ON u.user_id = o.user_id
      WHERE m.user_id = ?
        ${before ? "AND (r.last_activity_at < ? OR (r.last_activity_at = ? AND r.room_id < ?))" : ""}
      ORDER BY r.last_activity_at DESC, r.room_id DESC LIMIT ?`,
    [userId, ...(before ? [before.at, before.at, before.roomId] : []), limit],
  );
  return rows.map(summaryOf);
}

function summaryOf(row: RowDataPacket): RoomSummary {
  const direct = row["type"] === "ONE_TO_ONE";
  return {
    roomId: row["room_id"],
    type: row["type"],
    name: direct ? (row["other_nickname"] ?? `User ${row["other_id"] ?? "?"}`) : (row["name"] ?? ""),
    imageUrl: direct ? row["other_image"] : row["image_url"],
    memberCount: row["member_count"],
    unreadCount: row["unread"],
    lastActivityAt: row["last_activity_at"],
    lastMessage:
      row["message_id"] === null
        ? null
        : {
            messageId: row["message_id"],
            seq: row["seq"],
            content: row["content"],
            type: row["message_type"],
            sentAt: row["sent_at"],
            senderId: row["sender_id"],
          },
  };
}
