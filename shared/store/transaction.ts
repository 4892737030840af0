import type { FieldPacket, PoolConnection, QueryResult, ResultSetHeader } from "mysql2/promise";
import { type Database, formatted, onceMore, type Queryable, run, type Statement } from "./database.js";
import { isUsableAfter } from "./failures.js";
import { fitting } from "./together.js";

/**
 * One transaction. What is asked for without awaiting anything in between goes to the server together, in the order
 * in which it was asked for: a round trip costs more than most statements. Where one of several fails, those behind it
 * don't run, all of them throw, and nothing more of the transaction runs. Together they have the time of one statement.
 */
export interface Transaction extends Queryable {
  /**
   * Has a statement run together with the next one that is awaited, or with COMMIT. A failure is thrown there.
   * `then` gets the server's answer.
   */
  later(sql: string, values?: unknown, then?: (answer: ResultSetHeader) => void): void;
  /** Runs what waits: for what is done next outside the database, and must not be done if that fails. */
  flush(): Promise<void>;
  /**
   * What is asked of it goes to the server behind COMMIT, in the same round trip, and sees what is stored then. It must
   * change nothing, and fails where the transaction does. Its own failure is taken for one of COMMIT.
   */
  readonly behindCommit: Queryable;
}

/**
 * Runs `work` in one transaction and commits. When `work` throws, rolls back and rethrows. A connection that
 * failed itself is destroyed, which rolls back as well, unless the COMMIT was on its way: then it may have been
 * committed, now or later, so `work` must be such that it can run again. A connection that turns out to be lost at the
 * first statements is replaced once.
 */
export async function inTransaction<T>(
  database: Database,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const open = new OpenTransaction(database);
  try {
    const result = await work(open);
    await open.commit();
    return result;
  } catch (error) {
    await open.rollBack(error);
    throw error;
  }
}

interface Waiting extends Statement {
  readonly resolve?: (answer: [never, FieldPacket[]]) => void;
  readonly reject?: (error: unknown) => void;
}

const START: Waiting = { ...formatted("START TRANSACTION"), sql: "" };
const COMMIT: Waiting = formatted("COMMIT");
const ROLLBACK: Waiting = formatted("ROLLBACK");

const IS_COMMITTED = new Error("The transaction is committed: nothing more of it can run.");

class OpenTransaction implements Transaction {
  readonly #database: Database;
  #connection: PoolConnection | undefined;
  #waiting: Waiting[] = [];
  readonly #behindCommit: Waiting[] = [];
  /** What has been sent before: it never rejects. */
  #running: Promise<void> = Promise.resolve();
  /** Some of what waits is awaited: it is sent at the end of this turn. */
  #isAsked = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  query<T extends QueryResult>(sql: string, values?: unknown): Promise<[T, FieldPacket[]]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject, ...formatted(sql, values) });
      if (!this.#isAsked) queueMicrotask(() => void this.flush().catch(() => {}));
      this.#isAsked = true;
    });
  }

  readonly behindCommit: Queryable = {
    query: (sql, values) =>
      new Promise((resolve, reject) => {
        if (this.#failure) throw this.#failure.error;
        this.#behindCommit.push({ resolve, reject, ...formatted(sql, values) });
      }),
  };

  later(sql: string, values?: unknown, then?: (answer: ResultSetHeader) => void): void {
    const statement = formatted(sql, values);
    this.#waiting.push(then ? { resolve: ([answer]) => then(answer), ...statement } : statement);
  }

  flush(): Promise<void> {
    const statements = this.#waiting;
    this.#waiting = [];
    this.#isAsked = false;
    const running = this.#running.then(() => this.#run(statements));
    this.#running = running.catch(() => {});
    return running;
  }

  async commit(): Promise<void> {
    this.#waiting.push(COMMIT, ...this.#behindCommit.splice(0));
    await this.flush();
    this.#end(IS_COMMITTED);
    this.#connection?.release();
  }

  /** Never throws: a connection that can't be rolled back is destroyed. */
  async rollBack(error: unknown): Promise<void> {
    const before = this.#failure?.error ?? error;
    this.#end(error);
    await this.#running;
    const connection = this.#connection;
    try {
      if (![error, before, this.#failure?.error].every(isUsableAfter)) throw error;
      if (connection) await run(connection, [ROLLBACK], this.#database);
      connection?.release();
    } catch {
      connection?.destroy();
    }
  }

  /** What waits, and what is asked for from now on, fails. */
  #end(error: unknown): void {
    this.#failure ??= { error };
    for (const { reject } of [...this.#waiting.splice(0), ...this.#behindCommit.splice(0)]) reject?.(error);
  }

  async #run(statements: readonly Waiting[]): Promise<void> {
    let next = 0;
    try {
      while (next < statements.length) {
        if (this.#failure) throw this.#failure.error;
        const together = fitting(statements, next);
        const answers = await this.#send(together);
        next += together.length;
        for (const [index, one] of together.entries()) one.resolve?.(answers[index]!);
      }
    } catch (error) {
      // Who goes on after the failure of the one statement that was asked for has lost nothing else by it.
      if (statements.length > 1) this.#failure ??= { error };
      for (const one of statements.slice(next)) one.reject?.(error);
      throw error;
    }
  }

  /** The first time together with the beginning, on a connection that is ready for use. */
  async #send(statements: readonly Waiting[]): Promise<[never, FieldPacket[]][]> {
    if (this.#connection) return run(this.#connection, statements, this.#database);
    const begin = async (fresh: boolean) => {
      this.#connection = await this.#database.getConnection(fresh);
      return run(this.#connection, [START, ...statements], this.#database);
    };
    // What was sent with COMMIT may have been committed.
    const answers = statements.includes(COMMIT)
      ? await begin(false)
      : await onceMore(begin, () => this.#leave());
    return answers.slice(1);
  }

  #leave(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }
}
