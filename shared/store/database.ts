import type { TokenCredential } from "@azure/identity";
import {
  createPool,
  type FieldPacket,
  format,
  type PoolConnection,
  type QueryResult,
  type RowDataPacket,
} from "mysql2/promise";
import type { OnFault } from "../platform/errors.js";
import { measure } from "../platform/measures.js";
import { connectionTo } from "./connecting.js";
import { failureOf, isLost, isSilent, isUsableAfter, smallerBatch } from "./failures.js";
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

/** Has a statement run in the round trip that ends what it belongs to, before that. A failure is thrown there. */
export interface Later {
  later(sql: string, values?: unknown): void;
}

/** One connection. */
export interface Connected extends Queryable {
  /** Runs statements in order, in one round trip, as `run` does. */
  together(statements: readonly Statement[]): ReturnType<typeof run>;
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
const TIMEZONE = "Z";
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
    timezone: TIMEZONE,
    // For transactions. All that comes from outside reaches a statement as an escaped value.
    multipleStatements: true,
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
      return isSelect(sql) ? onceMore(ask) : ask(false);
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

/** Whether a statement changes nothing, so that it can be repeated wherever it fails. */
export const isSelect = (sql: string): boolean => /^\s*\(*\s*SELECT\b/i.test(sql);

/**
 * Runs `attempt`, and once more on a fresh connection if the pool's connection turned out to be lost, of which
 * `onLost` is told. An attempt must have changed nothing by then.
 */
export async function onceMore<T>(
  attempt: (fresh: boolean) => Promise<T>,
  onLost: () => void = () => {},
): Promise<T> {
  try {
    return await attempt(false);
  } catch (error) {
    // What is too large is also too large for another connection.
    if (!isLost(error) || smallerBatch(error) === "needed") throw error;
    onLost();
    return attempt(true);
  }
}

export interface UsingOptions {
  /**
   * Runs first, and once more on a fresh connection if the first one is lost. It changes nothing that would
   * outlive its connection.
   */
  readonly begin?: (db: Connected) => Promise<unknown>;
  readonly fresh?: boolean;
}

/**
 * Runs `work` on a connection of its own. The connection is not used again after a failure that is not the
 * statement's fault.
 */
export async function using<T>(
  database: Database,
  work: (db: Connected) => Promise<T>,
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
  begin: (db: Connected) => Promise<unknown>,
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

const statementsOn = (connection: PoolConnection, database: Database): Connected => ({
  query: <T extends QueryResult>(sql: string, values?: unknown) =>
    ask<T>(connection, { sql, values: values as unknown[] }, sql, database),
  together: (statements) => run(connection, statements, database),
});

/** A statement as it was written, and as the server gets it: with its values. */
export interface Statement {
  /** For those who mend a fault. Empty where a fault can't be this one's. */
  readonly sql: string;
  readonly text: string;
}

/** A statement that waits to be sent with others, and who waits for its answer. */
export interface Asked extends Statement {
  readonly resolve: (answer: [never, FieldPacket[]]) => void;
  readonly reject: (error: unknown) => void;
}

export const formatted = (sql: string, values?: unknown): Statement => ({
  sql,
  text: values === undefined ? sql : format(sql, values as Parameters<typeof format>[1], false, TIMEZONE),
});

/**
 * Runs statements in order, in one round trip, and returns an answer for each. The first that fails is the last that
 * runs.
 */
export async function run(
  connection: PoolConnection,
  statements: readonly Statement[],
  database: Database,
): Promise<[never, FieldPacket[]][]> {
  const asWritten = (): string =>
    statements.flatMap(({ sql }) => (sql ? shortened(sql, statements.length) : [])).join("; ");
  const sql = statements.map(({ text }) => text).join(";\n");
  const [answers, fields] = await ask<never>(connection, { sql }, asWritten, database);
  if (statements.length === 1) return [[answers, fields]];
  return statements.map((_, index) => [answers[index]!, (fields as unknown as FieldPacket[][])[index]!]);
}

/** Of a statement among several: without the list of its columns, and what follows its table and keys. */
const shortened = (sql: string, among: number): string =>
  among === 1 ? sql : sql.replace(/^\s*SELECT\b[\s\S]*?\bFROM\b/, "SELECT … FROM").slice(0, SHORT);
const SHORT = 60;

async function ask<T extends QueryResult>(
  connection: PoolConnection,
  statement: { readonly sql: string; readonly values?: unknown[] },
  asWritten: string | (() => string),
  database: Database,
): Promise<[T, FieldPacket[]]> {
  try {
    const asked = connection.query<T>({ timeout: database.statementMs, ...statement });
    const answer = await tellingFaults(asked, asWritten, database.onFault);
    database.answers.at = performance.now();
    return answer;
  } catch (error) {
    if (failureOf(error).kind === "moved") database.leaveServer();
    if (isSilent(error)) database.doubtServer();
    const bytes = () => Buffer.byteLength(formatted(statement.sql, statement.values).text) + 1;
    throw await tooLargeOr(error, bytes, (sql) => database.query<RowDataPacket[]>(sql));
  }
}

/** Whether a statement failed on a unique key. */
export function isDuplicate(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ER_DUP_ENTRY";
}
