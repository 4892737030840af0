import type { RowDataPacket } from "mysql2/promise";
import type { MessageSent } from "../events/messages.js";
import type { Queryable } from "./database.js";
import type { RoomType } from "./rooms.js";

/** A user's view of a room, as it stands in a list. */
export interface ListedRoom {
  readonly roomId: number;
  readonly type: RoomType;
  readonly name: string | null;
  readonly imageUrl: string | null;
  readonly pairKey: string | null;
  readonly memberCount: number;
  /** Messages behind the user's read position: a subtraction, never a count. */
  readonly unreadCount: number;
  readonly lastActivityAt: Date;
  readonly lastMessage: LastMessage | null;
}

export interface LastMessage {
  readonly messageId: number;
  readonly seq: number;
  readonly content: string;
  readonly type: MessageSent["type"];
  readonly sentAt: Date;
  readonly senderId: number;
}

/** The place of a room in a user's list. */
export interface ListPlace {
  readonly at: Date;
  readonly roomId: number;
}

/**
 * A user's rooms, the one with the latest activity first, at most `limit`, after `before` where it is given. What is read of all the user's rooms is one
 * index entry of the membership and the room's row; everything else is looked up for those of the page alone. The last message is the
 * latest that the user may see: in a group not older than the membership, and not one they deleted.
 */
export async function listRoomsOf(
  db: Queryable,
  userId: number,
  limit: number,
  before?: ListPlace,
): Promise<readonly ListedRoom[]> {
  const [rows] = await db.query<ListRow[]>(
    `SELECT r.room_id, r.type, r.name, r.image_url, r.pair_key, r.member_count, p.last_activity_at,
            r.last_seq - m.last_read_seq AS unread,
            l.message_id, l.seq, l.content, l.type AS message_type, l.sent_at, l.sender_id,
            l.seq > IF(r.type = 'GROUP', m.joined_seq, 0) AS visible, h.seq IS NOT NULL AS hidden
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
  const hidden = rows.filter((row) => row.visible && row.hidden).map((row) => row.room_id);
  const earlier = await findPreviews(db, userId, hidden);
  return rows.map((row) => {
    const last = row.visible ? row : undefined;
    return listedRoomOf(row, row.hidden ? earlier.get(row.room_id) : last);
  });
}

interface MessageColumns {
  readonly message_id: number;
  readonly seq: number;
  readonly content: string;
  readonly message_type: MessageSent["type"];
  readonly sent_at: Date;
  readonly sender_id: number;
}

interface ListRow extends RowDataPacket, MessageColumns {
  readonly room_id: number;
  readonly type: RoomType;
  readonly name: string | null;
  readonly image_url: string | null;
  readonly pair_key: string | null;
  readonly member_count: number;
  readonly last_activity_at: Date;
  readonly unread: number;
  /** 0, 1, or nothing where there is no message. */
  readonly visible: number | null;
  readonly hidden: number;
}

/** The latest messages that a user may see in rooms whose last one they deleted, by room. */
async function findPreviews(
  db: Queryable,
  userId: number,
  roomIds: readonly number[],
): Promise<ReadonlyMap<number, MessageColumns>> {
  if (roomIds.length === 0) return new Map();
  const [rows] = await db.query<(RowDataPacket & MessageColumns & { room_id: number })[]>(
    `SELECT l.room_id, l.message_id, l.seq, l.content, l.type AS message_type, l.sent_at, l.sender_id
       FROM room_members m FORCE INDEX (PRIMARY)
       STRAIGHT_JOIN rooms r ON r.room_id = m.room_id
       STRAIGHT_JOIN messages l ON l.room_id = m.room_id AND l.seq = (
         SELECT v.seq FROM messages v
          WHERE v.room_id = m.room_id AND v.seq > IF(r.type = 'GROUP', m.joined_seq, 0)
            AND NOT EXISTS (SELECT 1 FROM hidden_messages h WHERE h.room_id = v.room_id AND h.user_id = m.user_id AND h.seq = v.seq)
          ORDER BY v.seq DESC LIMIT 1)
      WHERE m.room_id IN (?) AND m.user_id = ?`,
    [roomIds, userId],
  );
  return new Map(rows.map((row) => [row.room_id, row]));
}

function listedRoomOf(row: ListRow, last: MessageColumns | undefined): ListedRoom {
  return {
    roomId: row.room_id,
    type: row.type,
    name: row.name,
    imageUrl: row.image_url,
    pairKey: row.pair_key,
    memberCount: row.member_count,
    unreadCount: row.unread,
    lastActivityAt: row.last_activity_at,
    lastMessage: last
      ? {
          messageId: last.message_id,
          seq: last.seq,
          content: last.content,
          type: last.message_type,
          sentAt: last.sent_at,
          senderId: last.sender_id,
        }
      : null,
  };
}
