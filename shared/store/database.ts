import { createPool, type Pool, type PoolConnection } from "mysql2/promise";
import { ChatError } from "../errors.js";

/** What a statement runs on: the pool, or one connection inside a transaction. */
export type Queryable = Pick<PoolConnection, "query">;

/** Where statements run outside a transaction, and transactions begin. */
export type Database = Pool;

const POOL_SIZE = 16;
const WAITING_STATEMENTS = 1_000;

/** Two statements: the grammar of SET lets nothing follow an isolation level, and its variable's name differs between MySQL and MariaDB. */
const SESSION_SETTINGS = [
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "SET SESSION innodb_lock_wait_timeout = 10",
];

/**
 * A pool of at most 16 connections. Dates travel as UTC. Transactions are READ COMMITTED: every lock taken here
 * is on rows that exist, and gap locks would only make strangers wait for each other.
 */
export function openDatabase(url: string): Database {
  const pool = createPool({
    uri: url,
    connectionLimit: POOL_SIZE,
    queueLimit: WAITING_STATEMENTS,
    connectTimeout: 5_000,
    enableKeepAlive: true,
    timezone: "Z",
    charset: "utf8mb4",
    supportBigNumbers: true,
  });
  pool.pool.on("connection", (connection) => {
    // Both go out before the first statement. A connection without them would lock otherwise than it should: rather none.
    for (const setting of SESSION_SETTINGS)
      connection.query(setting, (error: unknown) => {
        if (error) connection.destroy();
      });
  });
  return pool;
}

/**
 * Runs `work` in one transaction and commits; rolls back and rethrows when it throws. A connection on which the
 * rollback fails is not used again.
 */
export async function inTransaction<T>(database: Database, work: (tx: Queryable) => Promise<T>): Promise<T> {
  const connection = await database.getConnection();
  try {
    await connection.beginTransaction();
    const result = await work(connection);
    await connection.commit();
    connection.release();
    return result;
  } catch (error) {
    await connection.rollback().then(
      () => connection.release(),
      () => connection.destroy(),
    );
    throw error;
  }
}

/**
 * Errors of the data itself, which no repetition mends. A missing table or column is none of them: that is mended by migrating, and
 * what came meanwhile must wait for it rather than be refused.
 */
const LASTING = new Set([
  "ER_DATA_TOO_LONG",
  "ER_TRUNCATED_WRONG_VALUE",
  "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD",
  "ER_WARN_DATA_OUT_OF_RANGE",
  "WARN_DATA_TRUNCATED",
  "ER_BAD_NULL_ERROR",
]);

/** Whether the same transaction may succeed when it is run again. */
export function isPassing(error: unknown): boolean {
  if (error instanceof ChatError) return error.retryable;
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code !== "string" || !LASTING.has(code);
}

/** Whether a statement failed on a unique key. */
export function isDuplicate(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ER_DUP_ENTRY";
}
