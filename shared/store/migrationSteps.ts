import { createHash } from "node:crypto";
import type { Connection, RowDataPacket } from "mysql2/promise";

interface Steps {
  readonly version: number;
  readonly file: string;
  readonly statements: readonly string[];
}

interface StepRow extends RowDataPacket {
  statement: number;
  checksum: string;
  is_done: number;
}

/** These statements commit by themselves (MySQL's "Statements That Cause an Implicit Commit"). */
const COMMITS = /^(CREATE|ALTER|DROP|RENAME|TRUNCATE)\b/i;

/**
 * What the server answers to a statement of which it has done everything before: the table, column, key or
 * primary key is there, or the table, column or key to drop is not. Both servers do such a statement as a
 * whole or not at all (MySQL 8 and MariaDB 10.6 on: "atomic DDL").
 */
const DONE_BEFORE = new Set([1050, 1051, 1060, 1061, 1068, 1091]);

/** Makes the table of the steps if it is missing. It has rows only while a migration is under way. */
export async function prepareSteps(connection: Connection): Promise<void> {
  await connection.query(
    `CREATE TABLE IF NOT EXISTS schema_migration_steps (
       version INT UNSIGNED NOT NULL, statement INT UNSIGNED NOT NULL,
       checksum CHAR(64) NOT NULL, is_done BOOLEAN NOT NULL, PRIMARY KEY (version, statement))`,
  );
}

/**
 * Applies the statements of a migration, from the one on at which an earlier process was ended. Throws when
 * a statement fails, which it names, or when one that had been begun was changed since.
 */
export async function applySteps(connection: Connection, migration: Steps): Promise<void> {
  const [rows] = await connection.query<StepRow[]>(
    "SELECT statement, checksum, is_done FROM schema_migration_steps WHERE version = ?",
    [migration.version],
  );
  const begun = new Map(rows.map((row) => [row.statement, row]));
  for (const [index, sql] of migration.statements.entries()) {
    const before = begun.get(index);
    const step = [migration.version, index, createHash("sha256").update(sql).digest("hex")] as const;
    if (before && before.checksum !== step[2])
      throw new Error(`${migration.file} was changed after it had been begun, at: ${sql.slice(0, 120)}`);
    if (before?.is_done) continue;
    const apply = COMMITS.test(sql) ? applyCommitting : applyInTransaction;
    await apply(connection, sql, step, before !== undefined).catch((cause: unknown) => {
      throw new Error(`${migration.file} failed at: ${sql.slice(0, 120)}`, { cause });
    });
  }
}

/** Notes that a whole migration is applied, and forgets its steps. */
export async function finishSteps(
  connection: Connection,
  { version, file, checksum }: { version: number; file: string; checksum: string },
): Promise<void> {
  await inOne(connection, async () => {
    const row = [version, file, checksum];
    await connection.query("INSERT INTO schema_migrations VALUES (?, ?, ?, UTC_TIMESTAMP(3))", row);
    await connection.query("DELETE FROM schema_migration_steps WHERE version = ?", [version]);
  });
}

type Step = readonly [version: number, statement: number, checksum: string];

const note = (connection: Connection, step: Step, isDone: boolean) =>
  connection.query(
    `INSERT INTO schema_migration_steps (version, statement, checksum, is_done) VALUES (?)
     ON DUPLICATE KEY UPDATE is_done = ?`,
    [[...step, isDone], isDone],
  );

/** Changes of rows are committed with their note, so they are made once. */
const applyInTransaction = (connection: Connection, sql: string, step: Step): Promise<void> =>
  inOne(connection, async () => {
    await connection.query(sql);
    await note(connection, step, true);
  });

/**
 * A statement that commits by itself is noted before and after. One that was only begun is made again, and
 * what it can't do twice has been done. A statement that the server refuses has not been begun.
 */
async function applyCommitting(
  connection: Connection,
  sql: string,
  step: Step,
  wasBegun: boolean,
): Promise<void> {
  await note(connection, step, false);
  try {
    await connection.query(sql);
  } catch (error) {
    if (!wasBegun) await forget(connection, step, error);
    if (!wasBegun || !DONE_BEFORE.has((error as { errno?: number }).errno ?? 0)) throw error;
  }
  await note(connection, step, true);
}

/** Only the server's own answer says that nothing was done. */
async function forget(connection: Connection, [version, statement]: Step, error: unknown): Promise<void> {
  if (typeof (error as { sqlState?: unknown }).sqlState !== "string") return;
  const which = [version, statement];
  await connection
    .query("DELETE FROM schema_migration_steps WHERE version = ? AND statement = ?", which)
    .catch(() => {});
}

async function inOne(connection: Connection, work: () => Promise<void>): Promise<void> {
  await connection.query("START TRANSACTION");
  try {
    await work();
    await connection.query("COMMIT");
  } catch (error) {
    await connection.query("ROLLBACK").catch(() => {});
    throw error;
  }
}
