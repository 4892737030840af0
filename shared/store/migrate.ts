import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { TokenCredential } from "@azure/identity";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { readMysqlConfig } from "../config.js";
import { createCredential } from "../platform/credential.js";
import { sourceFolder } from "../platform/sourceFolder.js";
import { connectionTo } from "./connecting.js";
import { applySteps, finishSteps, prepareSteps } from "./migrationSteps.js";
import { SESSION_STATEMENTS } from "./session.js";

interface Migration {
  readonly version: number;
  readonly file: string;
  readonly statements: readonly string[];
  readonly checksum: string;
}

interface AppliedRow extends RowDataPacket {
  version: number;
  checksum: string;
}

const LOCK_SECONDS = 60;

/** Every migration in order of its number. Throws when two files share a number or a file's name has none. */
export function readMigrations(folder = sourceFolder("store/migrations")): readonly Migration[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".sql"));
  const migrations = files.sort().map((file) => {
    const version = Number(/^(\d{4})_\w+\.sql$/.exec(file)?.[1]);
    if (!version) throw new Error(`${file} must be named NNNN_words.sql`);
    const text = readFileSync(`${folder}/${file}`, "utf8");
    const withoutComments = text.replace(/^\s*--.*$/gm, "");
    const statements = withoutComments.split(/;\s*$/m).map((part) => part.trim());
    const checksum = createHash("sha256").update(text).digest("hex");
    return { version, file, statements: statements.filter((part) => part !== ""), checksum };
  });
  migrations.forEach((one, index) => {
    if (one.version === migrations[index - 1]?.version)
      throw new Error(`two migrations have number ${one.version}`);
  });
  return migrations;
}

/**
 * Makes the database of `url` if it is missing and applies the migrations that are not yet applied, one
 * process at a time. Returns the files applied. Throws when an applied file has been edited since: a released
 * migration never changes, a new one corrects it. A file that was interrupted goes on at its next statement.
 * One that fails goes on there, too, once what is wrong has been mended. The error names the file and the
 * statement.
 */
export async function migrate(
  url: string,
  folder?: string,
  credential?: TokenCredential,
): Promise<readonly string[]> {
  const migrations = readMigrations(folder);
  const connection = await connectCreating(url, credential);
  try {
    const [[lock]] = await connection.query<RowDataPacket[]>(
      "SELECT GET_LOCK('nonstop-chat-migrations', ?) AS taken",
      [LOCK_SECONDS],
    );
    if (lock?.["taken"] !== 1)
      throw new Error(`Another process has been migrating for ${LOCK_SECONDS} s; try again later.`);
    await connection.query(
      `CREATE TABLE IF NOT EXISTS schema_migrations (
         version INT UNSIGNED NOT NULL PRIMARY KEY, file VARCHAR(200) NOT NULL,
         checksum CHAR(64) NOT NULL, applied_at DATETIME(3) NOT NULL)`,
    );
    return await applyMissing(connection, migrations);
  } finally {
    await connection.end();
  }
}

async function applyMissing(
  connection: Connection,
  migrations: readonly Migration[],
): Promise<readonly string[]> {
  const [rows] = await connection.query<AppliedRow[]>("SELECT version, checksum FROM schema_migrations");
  const applied = new Map(rows.map((row) => [row.version, row.checksum]));
  const done: string[] = [];
  for (const migration of migrations) {
    const checksum = applied.get(migration.version);
    if (checksum === migration.checksum) continue;
    if (checksum !== undefined)
      throw new Error(`${migration.file} was changed after it had been applied; add a new migration.`);
    await prepareSteps(connection);
    await applySteps(connection, migration);
    await finishSteps(connection, migration);
    done.push(migration.file);
  }
  return done;
}

/** A connection to the database of the URL. Creates the database if it is missing and the user may do so. */
async function connectCreating(url: string, credential?: TokenCredential): Promise<Connection> {
  const connection = await connectReady(url, credential).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== "ER_BAD_DB_ERROR") throw error;
  });
  if (connection) return connection;
  const server = new URL(url);
  const name = decodeURIComponent(server.pathname.slice(1));
  server.pathname = "/";
  const creating = await connectReady(server.href, credential);
  try {
    await creating.query("CREATE DATABASE IF NOT EXISTS ?? CHARACTER SET utf8mb4", [name]);
  } finally {
    await creating.end();
  }
  return connectReady(url, credential);
}

/**
 * A connection with the settings that the pool's connections have. If they can't be set, none is left open.
 */
async function connectReady(url: string, credential?: TokenCredential): Promise<Connection> {
  const connection = await createConnection(connectionTo(url, credential));
  try {
    for (const sql of SESSION_STATEMENTS) await connection.query(sql);
    return connection;
  } catch (error) {
    // An open connection would keep the process alive.
    connection.destroy();
    throw error;
  }
}

async function main(): Promise<void> {
  const { url, entra, clientId } = readMysqlConfig(process.env);
  const applied = await migrate(url, undefined, entra ? createCredential(clientId) : undefined);
  console.log(applied.length === 0 ? "The schema is up to date." : `Applied ${applied.join(", ")}.`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error: Error) => {
    const cause = error.cause instanceof Error ? `\n  ${error.cause.message}` : "";
    console.error(`Migrating failed: ${error.message}${cause}`);
    process.exitCode = 1;
  });
}
