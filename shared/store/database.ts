import { setTimeout as pause } from "node:timers/promises";
import {
  createPool,
  type FieldPacket,
  type Pool,
  type PoolConnection,
  type QueryResult,
} from "mysql2/promise";
import { ChatError } from "../errors.js";

/** What a statement runs on: the database, or one transaction of it. Throws when it takes longer than 15 s. */
export interface Queryable {
  query<T extends QueryResult>(sql: string, values?: unknown): Promise<[T, FieldPacket[]]>;
}

/** Where statements run outside a transaction, and transactions begin. */
export interface Database extends Queryable {
  /** A connection of the pool, ready for use; throws when none is free within 5 s. */
  getConnection(): Promise<PoolConnection>;
  end(): Promise<void>;
  /** After so many milliseconds without an answer a statement fails, and its connection is given up. */
  readonly statementMs: number;
}

const POOL_SIZE = 16;
const WAITING_STATEMENTS = 1_000;
const CONNECTION_MS = 5_000;
/** Longer than any statement here takes, lock waits included; a server that has silently gone would never answer. */
const STATEMENT_MS = 15_000;

/** Two statements: the grammar of SET lets nothing follow an isolation level, and its variable's name differs between MySQL and MariaDB. */
const SESSION_SETTINGS = [
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "SET SESSION innodb_lock_wait_timeout = 10",
];

/**
 * A pool of at most 16 connections. Dates travel as UTC. Transactions are READ COMMITTED: every lock taken here
 * is on rows that exist, and gap locks would only make strangers wait for each other.
 */
export function openDatabase(url: string, statementMs = STATEMENT_MS): Database {
  const pool = createPool({
    uri: url,
    connectionLimit: POOL_SIZE,
    queueLimit: WAITING_STATEMENTS,
    connectTimeout: CONNECTION_MS,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
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
  const database: Database = {
    getConnection: () => connectionOf(pool),
    query: (sql, values) => using(database, (connection) => connection.query(sql, values)),
    statementMs,
    end: () => pool.end(),
  };
  return database;
}

async function connectionOf(pool: Pool): Promise<PoolConnection> {
  const waiting = pool.getConnection();
  const stopped = new AbortController();
  const late = pause(CONNECTION_MS, undefined, { signal: stopped.signal }).then(() => undefined);
  const connection = await Promise.race([waiting, late]).finally(() => stopped.abort());
  late.catch(() => {});
  if (connection) return connection;
  waiting.then(
    (unused) => unused.release(),
    () => {},
  );
  throw new ChatError("UNAVAILABLE", "No connection to the database became free in time; try again.");
}

/** Runs `work` on a connection of its own. One on which something failed that is not the statement's fault is not used again. */
export async function using<T>(database: Database, work: (db: Queryable) => Promise<T>): Promise<T> {
  const connection = await database.getConnection();
  try {
    const result = await work(statementsOn(connection, database.statementMs));
    connection.release();
    return result;
  } catch (error) {
    if (error instanceof ChatError || isOfServer(error)) connection.release();
    else connection.destroy();
    throw error;
  }
}

const statementsOn = (connection: PoolConnection, timeout: number): Queryable => ({
  query: <T extends QueryResult>(sql: string, values?: unknown) =>
    connection.query<T>({ sql, values: values as unknown[], timeout }),
});

/** The server's own answer, after which the connection is as good as before; a time-out or a lost connection is none. */
function isOfServer(error: unknown): boolean {
  const { sqlState, fatal } = (error ?? {}) as { sqlState?: unknown; fatal?: unknown };
  return typeof sqlState === "string" && fatal !== true;
}

/**
 * Runs `work` in one transaction and commits; rolls back and rethrows when it throws. When the connection itself failed it is
 * destroyed, which rolls back as well.
 */
export async function inTransaction<T>(database: Database, work: (tx: Queryable) => Promise<T>): Promise<T> {
  const connection = await database.getConnection();
  const tx = statementsOn(connection, database.statementMs);
  try {
    await tx.query("START TRANSACTION");
    const result = await work(tx);
    await tx.query("COMMIT");
    connection.release();
    return result;
  } catch (error) {
    await rollBack(connection, tx, error);
    throw error;
  }
}

async function rollBack(connection: PoolConnection, tx: Queryable, error: unknown): Promise<void> {
  const usable = error instanceof ChatError || isOfServer(error);
  try {
    if (!usable) throw error;
    await tx.query("ROLLBACK");
    connection.release();
  } catch {
    connection.destroy();
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
