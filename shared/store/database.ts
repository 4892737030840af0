import type { TokenCredential } from "@azure/identity";
import {
  createPool,
  type FieldPacket,
  type Pool,
  type PoolConnection,
  type QueryResult,
} from "mysql2/promise";
import { LATE, within } from "../platform/async.js";
import { ChatError, type OnFault } from "../platform/errors.js";
import { measure } from "../platform/measures.js";
import { CONNECTION_MS, connectionTo } from "./connecting.js";
import { tellingFaults } from "./faults.js";
import { poolUse } from "./poolUse.js";
import { SESSION_STATEMENTS } from "./session.js";

/**
 * Runs statements: the database itself, or one transaction of it. A statement that takes longer than 15 s
 * throws. A statement throws a `ChatError` that is `toBeMended` where the server says that it can never be
 * done as it is.
 */
export interface Queryable {
  query<T extends QueryResult>(sql: string, values?: unknown): Promise<[T, FieldPacket[]]>;
}

/**
 * Runs statements outside a transaction, and is where transactions begin. A SELECT is repeated once if its
 * connection turns out to be lost.
 */
export interface Database extends Queryable {
  /**
   * Takes a connection of the pool, ready for use. A `fresh` one is opened after the call. Throws when none
   * is free within 5 s.
   */
  getConnection(fresh?: boolean): Promise<PoolConnection>;
  end(): Promise<void>;
  /** After this many milliseconds without an answer a statement fails, and its connection is given up. */
  readonly statementMs: number;
  /** The most connections. */
  readonly poolSize: number;
  readonly onFault: OnFault;
}

export interface DatabaseOptions {
  /** 15 s by default. */
  readonly statementMs?: number;
  /** Called when the server says that something can never be done. Does nothing by default. */
  readonly onFault?: OnFault;
  /** The most connections: 16 by default. */
  readonly poolSize?: number;
  /** The identity whose tokens are the password. Without it the URL has one. */
  readonly credential?: TokenCredential;
}

const POOL_SIZE = 16;
const WAITING_STATEMENTS = 1_000;
/**
 * Longer than any statement here takes, lock waits included. A server that has silently gone never answers.
 */
export const STATEMENT_MS = 15_000;

/**
 * Opens a pool. Dates travel as UTC. Transactions are READ COMMITTED: every lock
 * taken here is on rows that exist, and gap locks would only make unrelated transactions wait for each other.
 */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  const { statementMs = STATEMENT_MS, onFault = () => {}, poolSize = POOL_SIZE, credential } = options;
  const pool = createPool({
    ...connectionTo(url, credential),
    connectionLimit: poolSize,
    queueLimit: WAITING_STATEMENTS,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    timezone: "Z",
    supportBigNumbers: true,
  });
  // The pool itself listens for a connection's first error only. A second error without a listener would end
  // the process.
  pool.pool.on("connection", (connection) => connection.on("error", () => {}));
  const endMeasuring = measure.pool(() => poolUse(pool));
  const getConnection = readyConnections(pool, onFault);
  const database: Database = {
    getConnection,
    query: async (sql, values) => {
      const ask = (fresh: boolean) =>
        using(database, (connection) => connection.query<never>(sql, values), { fresh });
      return SELECTS.test(sql) ? onceMore(ask) : ask(false);
    },
    poolSize,
    statementMs,
    onFault,
    end: () => {
      endMeasuring();
      return pool.end();
    },
  };
  return database;
}

/**
 * Takes connections from a pool and makes them ready. A connection that can't be made ready is destroyed: it
 * would escape, commit or lock in another way than it should.
 */
function readyConnections(pool: Pool, onFault: OnFault): Database["getConnection"] {
  let opened = 0;
  const numbers = new WeakMap<object, number>();
  const numberOf = async (connection: PoolConnection): Promise<number> => {
    const known = numbers.get(connection.connection);
    if (known !== undefined) return known;
    try {
      for (const sql of SESSION_STATEMENTS)
        await tellingFaults(connection.query({ sql, timeout: CONNECTION_MS }), sql, onFault);
    } catch (error) {
      connection.destroy();
      throw error;
    }
    opened += 1;
    numbers.set(connection.connection, opened);
    return opened;
  };
  return async (fresh = false) => {
    const before = opened;
    for (;;) {
      const connection = await tellingFaults(connectionOf(pool), undefined, onFault);
      if ((await numberOf(connection)) > before || !fresh) return connection;
      // This one is older than the call. After a restart of the server all older connections are lost.
      connection.destroy();
    }
  };
}

async function connectionOf(pool: Pool): Promise<PoolConnection> {
  const waiting = pool.getConnection();
  const connection = await within(CONNECTION_MS, waiting);
  if (connection !== LATE) return connection;
  waiting.then(
    (unused) => unused.release(),
    () => {},
  );
  throw new ChatError("UNAVAILABLE", "No connection to the database became free in time; try again.");
}

/** Statements that change nothing, so that one of them can be repeated wherever it fails. */
const SELECTS = /^\s*\(*\s*SELECT\b/i;

/**
 * Runs `attempt`, and once more on a fresh connection if the pool's connection turned out to be lost. An
 * attempt must have changed nothing by then.
 */
async function onceMore<T>(attempt: (fresh: boolean) => Promise<T>): Promise<T> {
  try {
    return await attempt(false);
  } catch (error) {
    if (!isLost(error)) throw error;
    return attempt(true);
  }
}

export interface UsingOptions {
  /**
   * Runs first, and once more on a fresh connection if the first one is lost. It changes nothing that would
   * outlive its connection.
   */
  readonly begin?: (db: Queryable) => Promise<unknown>;
  readonly fresh?: boolean;
}

/**
 * Runs `work` on a connection of its own. The connection is not used again after a failure that is not the
 * statement's fault.
 */
export async function using<T>(
  database: Database,
  work: (db: Queryable) => Promise<T>,
  { begin, fresh = false }: UsingOptions = {},
): Promise<T> {
  const connection = begin
    ? await onceMore((again) => begun(database, begin, again))
    : await database.getConnection(fresh);
  try {
    const result = await work(statementsOn(connection, database));
    connection.release();
    return result;
  } catch (error) {
    giveBack(connection, error);
    throw error;
  }
}

async function begun(
  database: Database,
  begin: (db: Queryable) => Promise<unknown>,
  fresh: boolean,
): Promise<PoolConnection> {
  const connection = await database.getConnection(fresh);
  try {
    await begin(statementsOn(connection, database));
    return connection;
  } catch (error) {
    giveBack(connection, error);
    throw error;
  }
}

function giveBack(connection: PoolConnection, error: unknown): void {
  if (isUsableAfter(error)) connection.release();
  else connection.destroy();
}

const statementsOn = (
  connection: PoolConnection,
  { statementMs, onFault }: Pick<Database, "statementMs" | "onFault">,
): Queryable => ({
  query: <T extends QueryResult>(sql: string, values?: unknown) =>
    tellingFaults(
      connection.query<T>({ sql, values: values as unknown[], timeout: statementMs }),
      sql,
      onFault,
    ),
});

/** The server's error numbers for "this connection ends now": a shutdown, a kill, a time-out, the network. */
const ENDINGS = new Set([1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031]);
/**
 * Its numbers for "this server takes no changes any more": after a failover the address leads to another
 * server.
 */
const READ_ONLY = new Set([1290, 1792, 1836]);

/**
 * Whether an established connection has gone, and the statement with it. A server that has only kept silent
 * for too long doesn't count.
 */
function isLost(error: unknown): boolean {
  const { errno, fatal, sqlState, syscall } = (error ?? {}) as Record<string, unknown>;
  if (typeof errno === "number" && ENDINGS.has(errno)) return true;
  return fatal === true && sqlState === undefined && syscall !== "connect";
}

/**
 * Whether a connection can be used again. After the server's own answer, or an error of ours, it is as good
 * as before. After a time-out it is not.
 */
function isUsableAfter(error: unknown): boolean {
  if (error instanceof ChatError) return true;
  const { sqlState, errno } = (error ?? {}) as { sqlState?: unknown; errno?: unknown };
  return typeof sqlState === "string" && !isLost(error) && !READ_ONLY.has(errno as number);
}

/**
 * Runs `work` in one transaction and commits. When `work` throws, rolls back and rethrows. A connection that
 * failed itself is destroyed, which rolls back as well.
 */
export async function inTransaction<T>(database: Database, work: (tx: Queryable) => Promise<T>): Promise<T> {
  const begin = (tx: Queryable) => tx.query("START TRANSACTION");
  const connection = await onceMore((fresh) => begun(database, begin, fresh));
  const tx = statementsOn(connection, database);
  try {
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
  try {
    if (!isUsableAfter(error)) throw error;
    await tx.query("ROLLBACK");
    connection.release();
  } catch {
    connection.destroy();
  }
}

/**
 * Errors of the data itself, which no repetition mends. A missing table or column is not among them
 * (`faults.ts`): a migration mends it, and events that arrive meanwhile must wait for the migration rather
 * than be refused.
 */
const LASTING = new Set([
  "ER_DATA_TOO_LONG",
  "ER_TRUNCATED_WRONG_VALUE",
  "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD",
  "ER_WARN_DATA_OUT_OF_RANGE",
  "WARN_DATA_TRUNCATED",
  "ER_BAD_NULL_ERROR",
]);

/** Whether a transaction that failed with this error may succeed when it runs again as it is. */
export function mayCommitLater(error: unknown): boolean {
  if (error instanceof ChatError) return error.retryable;
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code !== "string" || !LASTING.has(code);
}

/** Whether a statement failed on a unique key. */
export function isDuplicate(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ER_DUP_ENTRY";
}
