import { createHash } from "node:crypto";
import type { Connection, RowDataPacket } from "mysql2/promise";
import type { DatabaseAddress } from "../clients/target.js";
import { connectTo } from "../connect.js";

/** A row of `messages`, in the words of the histories. */
export interface StoredMessage {
  readonly room: number;
  readonly seq: number;
  readonly messageId: number;
  readonly sender: number;
  /** As JSON; "null" for none. */
  readonly id: string;
  readonly type: string;
  readonly hash: string;
  /** Whom a system message is about. */
  readonly targets: readonly number[];
  /** How many system messages the room has up to this one. */
  readonly uncounted: number;
}

export interface StoredRoom {
  readonly room: number;
  readonly group: boolean;
  readonly lastSeq: number;
  readonly lastMessageId: number | null;
  readonly lastUncounted: number;
  readonly memberCount: number;
}

export interface StoredMember {
  readonly room: number;
  readonly user: number;
  readonly joinedSeq: number;
  readonly readSeq: number;
  readonly readMessageId: number | null;
}

/** What the database has when the run is over. */
export interface Stored {
  readonly messages: readonly StoredMessage[];
  readonly rooms: readonly StoredRoom[];
  readonly members: readonly StoredMember[];
  readonly outboxes: { readonly membership: number; readonly reads: number };
  /** How many answers to repeated calls are kept, by user. */
  readonly keys: ReadonlyMap<number, number>;
  readonly subscriptionIds: readonly { readonly destination: string; readonly id: string }[];
}

type Row = RowDataPacket & Record<string, unknown>;

/** Reads it all, in one transaction. */
export async function readStored(address: DatabaseAddress): Promise<Stored> {
  const db = await connectTo({ ...address, connectTimeout: 20_000 });
  try {
    await db.query("START TRANSACTION WITH CONSISTENT SNAPSHOT");
    return {
      messages: await readMessages(db),
      rooms: (await rowsOf(db, "SELECT * FROM rooms")).map(roomOf),
      members: (await rowsOf(db, "SELECT * FROM room_members")).map(memberOf),
      outboxes: {
        membership: await countOf(db, "membership_outbox"),
        reads: await countOf(db, "read_outbox"),
      },
      keys: await readKeys(db),
      subscriptionIds: (await rowsOf(db, "SELECT destination, subscription_id FROM subscription_ids")).map(
        (row) => ({ destination: String(row["destination"]), id: String(row["subscription_id"]) }),
      ),
    };
  } finally {
    db.destroy();
  }
}

async function rowsOf(db: Connection, sql: string): Promise<Row[]> {
  const [rows] = await db.query<Row[]>({ sql, timeout: 60_000 });
  return rows;
}

async function countOf(db: Connection, table: string): Promise<number> {
  const [row] = await rowsOf(db, `SELECT COUNT(*) AS count FROM ${table}`);
  return Number(row?.["count"]);
}

async function readKeys(db: Connection): Promise<Map<number, number>> {
  const rows = await rowsOf(db, "SELECT user_id, COUNT(*) AS count FROM idempotency_keys GROUP BY user_id");
  return new Map(rows.map((row) => [Number(row["user_id"]), Number(row["count"])]));
}

const readMessages = async (db: Connection): Promise<StoredMessage[]> =>
  (await rowsOf(db, "SELECT * FROM messages ORDER BY room_id, seq")).map((row) => ({
    room: Number(row["room_id"]),
    seq: Number(row["seq"]),
    messageId: Number(row["message_id"]),
    sender: Number(row["sender_id"]),
    id: String(row["client_message_id"]),
    type: String(row["type"]),
    hash: hash(`${row["type"]}\n${row["content"]}`),
    targets: targetsOf(row),
    uncounted: Number(row["uncounted"]),
  }));

/** An invitation names all, a leave or a kick one. */
function targetsOf(row: Row): number[] {
  const targets = row["targets"];
  const list: { userId: number }[] =
    typeof targets === "string" ? JSON.parse(targets) : Array.isArray(targets) ? targets : [];
  const one = row["target_user_id"];
  return [...new Set([...list.map(({ userId }) => userId), ...(one === null ? [] : [Number(one)])])];
}

const roomOf = (row: Row): StoredRoom => ({
  room: Number(row["room_id"]),
  group: row["type"] === "GROUP",
  lastSeq: Number(row["last_seq"]),
  lastMessageId: numberOrNull(row["last_message_id"]),
  lastUncounted: Number(row["last_uncounted"]),
  memberCount: Number(row["member_count"]),
});

const memberOf = (row: Row): StoredMember => ({
  room: Number(row["room_id"]),
  user: Number(row["user_id"]),
  joinedSeq: Number(row["joined_seq"]),
  readSeq: Number(row["last_read_seq"]),
  readMessageId: numberOrNull(row["last_read_message_id"]),
});

const numberOrNull = (value: unknown): number | null => (value === null ? null : Number(value));
const hash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 24);
