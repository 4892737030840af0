import type { ResultSetHeader, RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";

/** The answer to a call with a key. */
export interface KeptAnswer {
  /** 16 bytes: equal for equal requests, different for different ones. */
  readonly requestHash: Buffer;
  /** JSON */
  readonly answer: string;
}

const HOURS = 24;

/** The answer that is kept for a user's key (16 bytes), or nothing. */
export async function findAnswer(
  db: Queryable,
  userId: number,
  keyHash: Buffer,
): Promise<KeptAnswer | undefined> {
  const [rows] = await db.query<RowDataPacket[]>(
    "SELECT request_hash, answer FROM idempotency_keys WHERE user_id = ? AND key_hash = ?",
    [userId, keyHash],
  );
  const row = rows[0];
  return row && { requestHash: row["request_hash"], answer: row["answer"] };
}

/**
 * Keeps an answer, in the transaction that makes what the answer tells of. It waits for another transaction
 * that is keeping one for the same key. Throws a duplicate error where one is kept.
 */
export async function keepAnswer(
  tx: Queryable,
  userId: number,
  keyHash: Buffer,
  { requestHash, answer }: KeptAnswer,
): Promise<void> {
  await tx.query(
    `INSERT INTO idempotency_keys (user_id, key_hash, request_hash, answer, created_at)
     VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3))`,
    [userId, keyHash, requestHash, answer],
  );
}

/** Deletes up to `limit` answers that are older than a day, the oldest first. Returns how many. */
export async function deleteOldAnswers(db: Queryable, limit: number): Promise<number> {
  const [result] = await db.query<ResultSetHeader>(
    `DELETE FROM idempotency_keys WHERE created_at < UTC_TIMESTAMP(3) - INTERVAL ${HOURS} HOUR ORDER BY created_at LIMIT ?`,
    [limit],
  );
  return result.affectedRows;
}
