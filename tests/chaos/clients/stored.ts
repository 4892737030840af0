import type { RowDataPacket } from "mysql2/promise";
import { connectTo } from "../connect.js";
import type { DatabaseAddress } from "./target.js";

/** What the database says while the run waits for its end. */
export interface Stored {
  /** By room. */
  readonly lastSeqs: ReadonlyMap<number, number>;
  readonly outbox: number;
}

const CONNECTED_MS = 3_000;

interface Row extends RowDataPacket {
  readonly room: number;
  readonly seq: number;
  readonly outbox: number;
}

/** `undefined` where the database doesn't answer. */
export async function lookAtStored(address: DatabaseAddress): Promise<Stored | undefined> {
  const connection = await connectTo({ ...address, connectTimeout: CONNECTED_MS }).catch(() => undefined);
  if (!connection) return undefined;
  try {
    const [rows] = await connection.query<Row[]>({
      sql: `SELECT room_id AS room, last_seq AS seq,
              (SELECT COUNT(*) FROM membership_outbox) + (SELECT COUNT(*) FROM read_outbox) AS outbox FROM rooms`,
      timeout: CONNECTED_MS,
    });
    return {
      lastSeqs: new Map(rows.map(({ room, seq }) => [room, seq])),
      outbox: rows[0]?.outbox ?? 0,
    };
  } catch {
    return undefined;
  } finally {
    connection.destroy();
  }
}
