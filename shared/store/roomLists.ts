import type { RowDataPacket } from "mysql2/promise";
import type { StoredMessage } from "../chat/message.js";
import type { MessageSent } from "../events/messages.js";
import type { Queryable } from "./database.js";
import { findLatest, subjectOf } from "./messages.js";
import type { RoomType } from "./rooms.js";

/** A room as a user sees it in their list. */
export interface ListedRoom {
  readonly roomId: number;
  readonly type: RoomType;
  readonly name: string | null;
  readonly imageUrl: string | null;
  readonly pairKey: string | null;
  readonly memberCount: number;
  /**
   * Messages after the user's read position, without system messages and deleted ones. It is a subtraction,
   * never a count.
   */
  readonly unreadCount: number;
  readonly lastActivityAt: Date;
  readonly lastMessage: LastMessage | null;
}

/**
 * What a list shows of a room's last message. `targets` has at most the first three users of an invitation.
 */
export type LastMessage = Pick<
  StoredMessage,
  | "messageId"
  | "seq"
  | "content"
  | "type"
  | "sentAt"
  | "senderId"
  | "senderNickname"
  | "target"
  | "targets"
  | "roomName"
>;

/** Where a room stands in a user's list. */
export interface ListPlace {
  readonly at: Date;
  readonly roomId: number;
}

/**
 * The unread messages of a member: those of the room, less those that were read, less those that the member
 * deleted. Only messages that count are in these numbers. The two sums are compared first, because a
 * difference below zero is an SQL error for unsigned columns: the position of a member who has never been
 * here lies beyond the end of the room.
 */
const UNREAD = `CAST(IF(r.last_seq + m.last_read_uncounted > m.last_read_seq + r.last_uncounted + m.hidden_unread,
  r.last_seq + m.last_read_uncounted - m.last_read_seq - r.last_uncounted - m.hidden_unread, 0) AS UNSIGNED)`;

/**
 * A user's rooms, the one with the latest activity first, at most `limit`, from behind `before` where it is
 * given. For all rooms of the user the statement reads only an index entry of the membership and the room's
 * row. It looks up everything else for the rooms of the page alone. The last message is the latest one that
 * the user may see: in a group none from before the membership, and none that the user deleted.
 */
export async function listRoomsOf(
  db: Queryable,
  userId: number,
  limit: number,
  before?: ListPlace,
): Promise<readonly ListedRoom[]> {
  const [rows] = await db.query<ListRow[]>(
    `SELECT r.room_id, r.type, r.name, r.image_url, r.pair_key, r.member_count, p.last_activity_at,
            ${UNREAD} AS unread,
            l.message_id, l.seq, l.content, l.type AS message_type, l.sent_at, l.sender_id, l.sender_nickname,
            l.target_user_id, l.target_nickname, l.room_name,
            CAST(JSON_EXTRACT(l.targets, '$[0]', '$[1]', '$[2]') AS CHAR) AS targets,
            IF(r.type = 'GROUP', m.joined_seq, 0) AS from_seq, h.seq IS NOT NULL AS hidden
       FROM (
         SELECT own.room_id, r.last_activity_at
           FROM room_members own FORCE INDEX (rooms_of_a_user) STRAIGHT_JOIN rooms r ON r.room_id = own.room_id
          WHERE own.user_id = ?
            ${before ? "AND (r.last_activity_at < ? OR (r.last_activity_at = ? AND r.room_id < ?))" : ""}
          ORDER BY r.last_activity_at DESC, r.room_id DESC LIMIT ?
       ) p
       JOIN rooms r ON r.room_id = p.room_id
       JOIN room_members m ON m.room_id = p.room_id AND m.user_id = ?
       LEFT JOIN messages l ON l.message_id = r.last_message_id
       LEFT JOIN hidden_messages h ON h.room_id = p.room_id AND h.user_id = m.user_id AND h.seq = r.last_seq
      ORDER BY p.last_activity_at DESC, p.room_id DESC`,
    [userId, ...(before ? [before.at, before.at, before.roomId] : []), limit, userId],
  );
  const hidden = rows.filter((row) => row.hidden);
  const earlier = await findLatest(
    db,
    userId,
    hidden.map((row) => ({ roomId: row.room_id, after: row.from_seq })),
  );
  return rows.map((row) => listedRoomOf(row, row.hidden ? earlier.get(row.room_id) : lastOf(row)));
}

interface ListRow extends RowDataPacket {
  readonly room_id: number;
  readonly type: RoomType;
  readonly name: string | null;
  readonly image_url: string | null;
  readonly pair_key: string | null;
  readonly member_count: number;
  readonly last_activity_at: Date;
  readonly unread: number;
  /** The user sees messages above this. */
  readonly from_seq: number;
  /** Whether the user deleted the last message: 0 or 1. */
  readonly hidden: number;
  /** Of the last message; `null` where there is none. */
  readonly message_id: number | null;
  readonly seq: number;
  readonly content: string;
  readonly message_type: MessageSent["type"];
  readonly sent_at: Date;
  readonly sender_id: number;
  readonly sender_nickname: string;
  readonly target_user_id: number | null;
  readonly target_nickname: string | null;
  /** JSON, the first three. */
  readonly targets: string | null;
  readonly room_name: string | null;
}

/** The room's last message, if the user may see it. */
function lastOf(row: ListRow): LastMessage | undefined {
  if (row.message_id === null || row.seq <= row.from_seq) return undefined;
  return {
    messageId: row.message_id,
    seq: row.seq,
    content: row.content,
    type: row.message_type,
    sentAt: row.sent_at,
    senderId: row.sender_id,
    senderNickname: row.sender_nickname,
    ...subjectOf({ ...row, type: row.message_type }),
  };
}

function listedRoomOf(row: ListRow, last: LastMessage | undefined): ListedRoom {
  return {
    roomId: row.room_id,
    type: row.type,
    name: row.name,
    imageUrl: row.image_url,
    pairKey: row.pair_key,
    memberCount: row.member_count,
    unreadCount: row.unread,
    lastActivityAt: row.last_activity_at,
    lastMessage: last ?? null,
  };
}
