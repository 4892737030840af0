import type { ResultSetHeader, RowDataPacket } from "mysql2/promise";
import type { StoredMessage } from "../chat/message.js";
import { isSystem, type MessageSent, type NamedUser } from "../events/messages.js";
import type { Queryable } from "./database.js";
import { type IdToCome, insertLater } from "./idToCome.js";
import { memberKey } from "./members.js";
import type { Transaction } from "./transaction.js";

export interface NewMessage {
  readonly seq: number;
  /** How many of the room's messages up to this one, and including it, are system messages. */
  readonly uncounted: number;
  readonly dedupeKey: Buffer;
  readonly event: MessageSent;
}

interface MessageRow extends RowDataPacket {
  message_id: number;
  seq: number;
  room_id: number;
  sender_id: number;
  sender_nickname: string;
  client_message_id: string | null;
  type: MessageSent["type"];
  content: string;
  sent_at: Date;
  target_user_id: number | null;
  target_nickname: string | null;
  /** JSON */
  targets: string | null;
  room_name: string | null;
}

/** The columns of a `MessageRow`, from `messages m`. */
const COLUMNS = `m.message_id, m.seq, m.room_id, m.sender_id, m.sender_nickname, m.client_message_id, m.type,
  m.content, m.sent_at, m.target_user_id, m.target_nickname, m.targets, m.room_name`;

const messageOf = (row: MessageRow): StoredMessage => ({
  messageId: row.message_id,
  seq: row.seq,
  roomId: row.room_id,
  senderId: row.sender_id,
  senderNickname: row.sender_nickname,
  clientMessageId:
    row.client_message_id === null ? null : (JSON.parse(row.client_message_id) as string | number),
  type: row.type,
  content: row.content,
  sentAt: row.sent_at,
  ...subjectOf(row),
});

/**
 * The users, or the room's name, that a system message speaks of. An invitation once was one message for each
 * user: messages from that time have no list.
 */
export function subjectOf(
  row: Pick<MessageRow, "type" | "target_user_id" | "target_nickname" | "targets" | "room_name">,
): Pick<StoredMessage, "target" | "targets" | "roomName"> {
  if (row.room_name !== null) return { roomName: row.room_name };
  if (row.target_user_id === null) return {};
  const target = { userId: row.target_user_id, nickname: row.target_nickname ?? "" };
  if (row.type !== "SYSTEM_INVITE") return { target };
  return { target, targets: row.targets === null ? [target] : (JSON.parse(row.targets) as NamedUser[]) };
}

/**
 * The most characters for one statement: far less than servers accept as one packet, far more than a usual
 * batch.
 */
const STATEMENT_CHARACTERS = 2_000_000;

/**
 * Inserts messages with the transaction's next statements, and returns the ids that the database will give them, in
 * the same order. The caller holds their rooms' locks and has numbered them. One statement inserts them all, except
 * invitations of hundreds of users with long nicknames: a few of those fill a statement.
 *
 * The server answers with the first id of a statement. The others follow at `idStep`, whatever else is inserted at
 * the same time, because the number of rows is known beforehand: a "simple insert" (MySQL manual, "AUTO_INCREMENT
 * Handling in InnoDB"), in every lock mode.
 */
export function insertMessages(
  tx: Transaction,
  messages: readonly NewMessage[],
  idStep: number,
): readonly IdToCome[] {
  const ids: IdToCome[] = [];
  let rows: unknown[][] = [];
  let characters = 0;
  for (const [index, message] of messages.entries()) {
    const targets = message.event.targets ? JSON.stringify(message.event.targets) : null;
    rows.push(rowOf(message, targets));
    characters += message.event.content.length + (targets?.length ?? 0);
    if (index < messages.length - 1 && characters < STATEMENT_CHARACTERS) continue;
    const ofRows = { name: `first_message_${ids.length}`, count: rows.length, step: idStep };
    ids.push(...insertLater(tx, INSERT, [rows], ofRows));
    [rows, characters] = [[], 0];
  }
  return ids;
}

const INSERT = `INSERT INTO messages (room_id, seq, uncounted, sender_id, sender_nickname, client_message_id,
                        dedupe_key, type, content, sent_at, target_user_id, target_nickname, targets, room_name)
     VALUES ?`;

const rowOf = ({ event, seq, uncounted, dedupeKey }: NewMessage, targets: string | null): unknown[] => [
  event.roomId,
  seq,
  uncounted,
  event.senderId,
  event.senderNickname,
  event.clientMessageId === null ? null : JSON.stringify(event.clientMessageId),
  dedupeKey,
  event.type,
  event.content,
  new Date(event.sentAt),
  event.target?.userId ?? null,
  event.target?.nickname ?? null,
  targets,
  event.roomName ?? null,
];

/** The messages of these rooms with one of these dedupe keys, by `room:hex of the key`. */
export async function findByDedupeKeys(
  db: Queryable,
  keysByRoom: ReadonlyMap<number, readonly Buffer[]>,
): Promise<ReadonlyMap<string, StoredMessage>> {
  const rooms = [...keysByRoom].filter(([, keys]) => keys.length > 0);
  if (rooms.length === 0) return new Map();
  const [rows] = await db.query<(MessageRow & { dedupe_key: Buffer })[]>(
    `SELECT ${COLUMNS}, m.dedupe_key FROM messages m
      WHERE ${rooms.map(() => "(m.room_id = ? AND m.dedupe_key IN (?))").join(" OR ")}`,
    rooms.flat(),
  );
  return new Map(rows.map((row) => [`${row.room_id}:${row.dedupe_key.toString("hex")}`, messageOf(row)]));
}

/**
 * Messages of a room without those that a user deleted for themselves. This is a join, because with a
 * subquery the optimizer reads the whole room before it sorts. It uses the index `place_in_room`, whose order
 * is the page's.
 */
const VISIBLE = `SELECT ${COLUMNS}
  FROM messages m FORCE INDEX (place_in_room)
  LEFT JOIN hidden_messages h ON h.room_id = m.room_id AND h.user_id = ? AND h.seq = m.seq
 WHERE m.room_id = ? AND h.seq IS NULL`;

/** At most `limit` messages of a room with `after < seq` that the user has not deleted, oldest first. */
export async function listMessagesAfter(
  db: Queryable,
  roomId: number,
  userId: number,
  after: number,
  limit: number,
): Promise<readonly StoredMessage[]> {
  const [rows] = await db.query<MessageRow[]>(`${VISIBLE} AND m.seq > ? ORDER BY m.seq LIMIT ?`, [
    userId,
    roomId,
    after,
    limit,
  ]);
  return rows.map(messageOf);
}

/**
 * At most `limit` messages of a room with `after < seq < before` that the user has not deleted, newest first.
 */
export async function listMessagesBefore(
  db: Queryable,
  roomId: number,
  userId: number,
  before: number,
  after: number,
  limit: number,
): Promise<readonly StoredMessage[]> {
  const [rows] = await db.query<MessageRow[]>(
    `${VISIBLE} AND m.seq > ? AND m.seq < ? ORDER BY m.seq DESC LIMIT ?`,
    [userId, roomId, after, before, limit],
  );
  return rows.map(messageOf);
}

/**
 * The latest message of each of these rooms above its `after` that the user has not deleted, by room; one
 * statement.
 */
export async function findLatest(
  db: Queryable,
  userId: number,
  rooms: readonly { readonly roomId: number; readonly after: number }[],
): Promise<ReadonlyMap<number, StoredMessage>> {
  if (rooms.length === 0) return new Map();
  const [rows] = await db.query<MessageRow[]>(
    rooms.map(() => `(${VISIBLE} AND m.seq > ? ORDER BY m.seq DESC LIMIT 1)`).join(" UNION ALL "),
    rooms.flatMap(({ roomId, after }) => [userId, roomId, after]),
  );
  return new Map(rows.map((row) => [row.room_id, messageOf(row)]));
}

/** The place of a message in its room. */
export interface MessagePlace {
  readonly roomId: number;
  readonly seq: number;
  /** How many of the room's messages up to this one, and including it, are system messages. */
  readonly uncounted: number;
  /** Whether the message counts as unread: system messages don't. */
  readonly counts: boolean;
}

/** The places of messages, by message id. */
export async function findPlaces(
  db: Queryable,
  messageIds: readonly number[],
): Promise<ReadonlyMap<number, MessagePlace>> {
  if (messageIds.length === 0) return new Map();
  const [rows] = await db.query<(MessageRow & { uncounted: number })[]>(
    "SELECT message_id, room_id, seq, uncounted, type FROM messages WHERE message_id IN (?)",
    [messageIds],
  );
  return new Map(
    rows.map((row) => [
      row.message_id,
      { roomId: row.room_id, seq: row.seq, uncounted: row.uncounted, counts: !isSystem(row) },
    ]),
  );
}

/**
 * Leaves a message out of one user's history from now on. Returns false if it was left out before. The caller
 * holds the member's lock.
 */
export async function hideMessage(
  tx: Queryable,
  roomId: number,
  userId: number,
  seq: number,
): Promise<boolean> {
  const [result] = await tx.query<ResultSetHeader>(
    "INSERT IGNORE INTO hidden_messages (room_id, user_id, seq) VALUES (?, ?, ?)",
    [roomId, userId, seq],
  );
  return result.affectedRows === 1;
}

/**
 * How many messages above a `seq` each of these members has deleted for themselves, by `memberKey`. System
 * messages don't count. A member without such messages has no entry. The caller holds the members' locks.
 */
export async function countHiddenAbove(
  tx: Queryable,
  positions: readonly { readonly roomId: number; readonly userId: number; readonly seq: number }[],
): Promise<ReadonlyMap<string, number>> {
  if (positions.length === 0) return new Map();
  const [rows] = await tx.query<(RowDataPacket & { room_id: number; user_id: number; hidden: number })[]>(
    `SELECT h.room_id, h.user_id, COUNT(*) AS hidden
       FROM hidden_messages h FORCE INDEX (PRIMARY) STRAIGHT_JOIN messages m FORCE INDEX (place_in_room)
         ON m.room_id = h.room_id AND m.seq = h.seq
      WHERE (${positions.map(() => "(h.room_id = ? AND h.user_id = ? AND h.seq > ?)").join(" OR ")})
        AND m.type NOT LIKE 'SYSTEM%' GROUP BY h.room_id, h.user_id`,
    positions.flatMap(({ roomId, userId, seq }) => [roomId, userId, seq]),
  );
  return new Map(rows.map((row) => [memberKey(row.room_id, row.user_id), row.hidden]));
}
