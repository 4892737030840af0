import type { RowDataPacket } from "mysql2/promise";
import { connectTo } from "../connect.js";
import type { DatabaseAddress } from "./target.js";

/** What the database says while the run waits for its end. */
export interface Stored {
  /** By room; when it was sent is in milliseconds since 1970. */
  readonly lastMessages: ReadonlyMap<number, { readonly seq: number; readonly sentAt: number }>;
  readonly outbox: number;
}

const CONNECTED_MS = 3_000;

interface Row extends RowDataPacket {
  readonly room: number;
  readonly seq: number;
  readonly sent_at: number;
  readonly outbox: number;
}

/** `undefined` where the database doesn't answer. */
export async function lookAtStored(address: DatabaseAddress): Promise<Stored | undefined> {
  const connection = await connectTo({ ...address, connectTimeout: CONNECTED_MS }).catch(() => undefined);
  if (!connection) return undefined;
  try {
    const [rows] = await connection.query<Row[]>({
      sql: `SELECT r.room_id AS room, r.last_seq AS seq, UNIX_TIMESTAMP(m.sent_at) * 1000 AS sent_at,
              (SELECT COUNT(*) FROM membership_outbox) + (SELECT COUNT(*) FROM read_outbox) AS outbox
              FROM rooms r LEFT JOIN messages m ON m.message_id = r.last_message_id`,
      timeout: CONNECTED_MS,
    });
    return {
      lastMessages: new Map(rows.map(({ room, seq, sent_at }) => [room, { seq, sentAt: Number(sent_at) }])),
      outbox: rows[0]?.outbox ?? 0,
    };
  } catch {
    return undefined;
  } finally {
    connection.destroy();
  }
}
