import type { TokenCredential } from "@azure/identity";
import {
  createPool,
  type FieldPacket,
  type PoolConnection,
  type QueryResult,
  type RowDataPacket,
} from "mysql2/promise";
import type { OnFault } from "../platform/errors.js";
import { measure } from "../platform/measures.js";
import { connectionTo } from "./connecting.js";
import { failureOf, isLost, isSilent, isUsableAfter } from "./failures.js";
import { tellingFaults } from "./faults.js";
import { poolUse } from "./poolUse.js";
import { readyConnections } from "./readyConnections.js";
import { tooLargeOr } from "./tooLarge.js";

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
   * Takes a connection of the pool, ready for use. A `fresh` one is opened after the call. Throws when there
   * is none within 5 s.
   */
  getConnection(fresh?: boolean): Promise<PoolConnection>;
  /** The server takes no changes any more: none of the connections that are open now is taken again. */
  leaveServer(): void;
  /** The server has not answered: connections that are open now are asked before they are taken again. */
  doubtServer(): void;
  end(): Promise<void>;
  /** When the server has answered a statement last, whoever asked, by `performance.now()`. */
  readonly answers: { at: number };
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
  /** Milliseconds since 1970. */
  readonly now?: () => number;
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
  const {
    statementMs = STATEMENT_MS,
    onFault = () => {},
    poolSize = POOL_SIZE,
    credential,
    now = Date.now,
  } = options;
  const pool = createPool({
    ...connectionTo(url, credential),
    connectionLimit: poolSize,
    queueLimit: WAITING_STATEMENTS,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    timezone: "Z",
    supportBigNumbers: true,
    // Else each statement pays for a stack trace, of which the log would keep frames of this file.
    trace: false,
  });
  // The pool itself listens for a connection's first error only. A second error without a listener would end
  // the process.
  pool.pool.on("connection", (connection) => connection.on("error", () => {}));
  const endMeasuring = measure.pool(() => poolUse(pool));
  const { take, leave, doubt } = readyConnections(pool, onFault, now);
  const database: Database = {
    getConnection: take,
    leaveServer: leave,
    doubtServer: doubt,
    answers: { at: Number.NEGATIVE_INFINITY },
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

const statementsOn = (connection: PoolConnection, database: Database): Queryable => ({
  query: async <T extends QueryResult>(sql: string, values?: unknown) => {
    try {
      const statement = { sql, values: values as unknown[], timeout: database.statementMs };
      const answer = await tellingFaults(connection.query<T>(statement), sql, database.onFault);
      database.answers.at = performance.now();
      return answer;
    } catch (error) {
      if (failureOf(error).kind === "moved") database.leaveServer();
      if (isSilent(error)) database.doubtServer();
      throw await tooLargeOr(error, { connection, sql, values }, (ask) =>
        database.query<RowDataPacket[]>(ask),
      );
    }
  },
});

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

/** Whether a statement failed on a unique key. */
export function isDuplicate(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ER_DUP_ENTRY";
}
