import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startMySql } from "../../local/services/mysql.js";
import type { Service } from "../../local/services/service.js";
import { migrate, readMigrations } from "../../shared/store/migrate.js";
import { rootUrl } from "../support/database.js";
import { startQueryProxy } from "../support/queryProxy.js";

const RELEASED = fileURLToPath(new URL("../../shared/store/migrations/", import.meta.url));
const PROGRAM = fileURLToPath(new URL("../../dist/shared/store/migrate.js", import.meta.url));
/** The last migration before those that change rows. */
const BEFORE_CHANGES = 2;

const data = mkdtempSync(join(tmpdir(), "nonstop-killed-"));
let database: Service;
let server: Connection;
let folder: string;
let names = 0;
const made: string[] = [];

beforeAll(async () => {
  database = await startMySql({ data });
  server = await createConnection({ uri: rootUrl(database.url), multipleStatements: true });
  // The proxy reads along. MariaDB has TLS off anyway.
  await server.query("SET GLOBAL require_secure_transport = OFF");
});
afterAll(async () => {
  server.destroy();
  await database.close();
  rmSync(data, { recursive: true, force: true });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "migrations-"));
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  for (const name of made.splice(0)) await server.query("DROP DATABASE IF EXISTS ??", [name]);
});

function newName(): string {
  const name = `test_killed_${process.pid}_${++names}`;
  made.push(name);
  return name;
}
/** Without TLS, so that the proxy can read along. */
function urlOf(name: string, port?: number): string {
  const url = new URL(database.url);
  url.pathname = `/${name}`;
  url.search = "";
  if (port) url.port = String(port);
  return url.href;
}
const write = (file: string, text: string): void => writeFileSync(join(folder, file), text);

const rowsOf = async (sql: string, values: unknown[] = []): Promise<RowDataPacket[]> =>
  (await server.query<RowDataPacket[]>(sql, values))[0];

/** Everything in a database but the times at which something was made. */
async function contents(name: string): Promise<Record<string, unknown>> {
  const tables = await rowsOf(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1",
    [name],
  );
  const all: Record<string, unknown> = {};
  for (const { name: table } of tables) {
    const [created] = await rowsOf("SHOW CREATE TABLE ??.??", [name, table]);
    const rows = await rowsOf("SELECT * FROM ??.?? ORDER BY 1", [name, table]);
    const lasting = rows.map(({ applied_at: _applied, updated_at: _updated, ...row }) => JSON.stringify(row));
    // A transaction that is rolled back leaves a hole in the numbers.
    const schema = String(created?.["Create Table"]).replace(/ AUTO_INCREMENT=\d+/, "");
    all[table] = [schema, lasting.sort()];
  }
  return all;
}

/** Rows that the later migrations change: a system message, an absent member, a deleted message, a position. */
async function seed(name: string): Promise<void> {
  await server.query("USE ??", [name]);
  await server.query(`
    INSERT INTO users (user_id, nickname, updated_at) VALUES (1, 'Ann', NOW(3));
    INSERT INTO rooms (room_id, type, creator_id, member_count, last_seq, last_message_id, last_activity_at, created_at)
      VALUES (1, 'GROUP', 1, 3, 3, 13, '2026-01-02', '2026-01-02');
    INSERT INTO messages (message_id, room_id, seq, sender_id, sender_nickname, dedupe_key, type, content, sent_at) VALUES
      (11, 1, 1, 1, 'Ann', '1', 'TEXT', 'a', '2026-01-02'), (12, 1, 2, 1, 'Ann', '2', 'SYSTEM_INVITE', 'b', '2026-01-02'),
      (13, 1, 3, 1, 'Ann', '3', 'TEXT', 'c', '2026-01-02');
    INSERT INTO room_members (room_id, user_id, joined_at, joined_seq, last_read_seq, last_read_message_id) VALUES
      (1, 1, '2026-01-02', 0, 2, 12), (1, 2, '2026-01-02', 0, 1, 11), (1, 3, '2026-01-02', 0, 0, NULL);
    INSERT INTO hidden_messages VALUES (1, 1, 3), (1, 2, 2), (1, 2, 3);
    INSERT INTO stream_positions (hub, partition_id, hub_created_on, stored_sequence_number, broadcast_sequence_number)
      VALUES ('chat-messages', '0', '2026-01-02 03:04:05.678', 7, 6);
    INSERT INTO subscription_ids (destination, subscription_id) VALUES ('r1', 'sub-0');`);
}

async function migratedUnbroken(): Promise<string> {
  const name = newName();
  for (const { file } of readMigrations().filter(({ version }) => version <= BEFORE_CHANGES))
    cpSync(join(RELEASED, file), join(folder, file));
  await migrate(urlOf(name), folder);
  await seed(name);
  await migrate(urlOf(name));
  return name;
}

test("a process killed at each statement of each released migration leaves what later ones finish", async () => {
  const unbroken = await contents(await migratedUnbroken());
  const name = newName();
  const left = readMigrations().flatMap(({ version, statements }) =>
    statements.map((sql) => ({ version, sql })),
  );
  let child: ChildProcess;
  let next = left[0];
  const proxy = await startQueryProxy(
    database.port,
    (sql) => sql === next?.sql,
    () => child.kill("SIGKILL"),
  );
  const run = async (): Promise<[code: number | null, signal: string | null, said: string]> => {
    child = spawn(process.execPath, [PROGRAM], {
      env: { ...process.env, MYSQL_URL: urlOf(name, proxy.port) },
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (bytes) => (said += String(bytes)));
    const [code, signal] = await once(child, "close");
    return [code, signal, said];
  };
  for (next = left.shift(); next; next = left.shift()) {
    expect([next.sql, ...(await run())]).toEqual([next.sql, null, "SIGKILL", ""]);
    const isLastBefore = next.version === BEFORE_CHANGES && left[0]?.version !== BEFORE_CHANGES;
    if (isLastBefore) await migrateUpTo(BEFORE_CHANGES, name);
  }
  const [code, , said] = await run();
  await proxy.close();
  expect([code, said]).toEqual([0, expect.stringMatching(/^Applied /)]);
  expect(await contents(name)).toEqual(unbroken);
  expect(await migrate(urlOf(name))).toEqual([]);
});

/** Finishes what was begun, so that rows can be put in. */
async function migrateUpTo(version: number, name: string): Promise<void> {
  const upTo = mkdtempSync(join(tmpdir(), "migrations-"));
  for (const one of readMigrations().filter((migration) => migration.version <= version))
    cpSync(join(RELEASED, one.file), join(upTo, one.file));
  await migrate(urlOf(name), upTo);
  rmSync(upTo, { recursive: true });
  await seed(name);
}

test("a connection lost at any statement of its own leaves every change made once", async () => {
  write(
    "0001_first.sql",
    "CREATE TABLE a (id INT PRIMARY KEY, n INT);\nINSERT INTO a VALUES (1, 0), (2, 0);\n",
  );
  write(
    "0002_second.sql",
    [
      "UPDATE a SET n = n + 1;\n",
      "ALTER TABLE a ADD m INT NOT NULL DEFAULT 0, ADD KEY by_n (n), DROP PRIMARY KEY, ADD PRIMARY KEY (id, n);\n",
      "UPDATE a SET m = m + n;\nCREATE TABLE b (id INT);\nALTER TABLE a DROP KEY by_n;\nINSERT INTO b VALUES (1);\n",
    ].join(""),
  );
  const whole = newName();
  let queries = 0;
  const port = database.port;
  const counting = await startQueryProxy(port, () => {
    queries += 1;
    return false;
  });
  await server.query("CREATE DATABASE ?? CHARACTER SET utf8mb4", [whole]);
  await migrate(urlOf(whole, counting.port), folder);
  await counting.close();
  const unbroken = await contents(whole);
  expect(unbroken["a"]).toEqual([expect.any(String), ['{"id":1,"n":1,"m":1}', '{"id":2,"n":1,"m":1}']]);
  expect(unbroken["b"]).toEqual([expect.any(String), ['{"id":1}']]);

  expect(queries).toBeGreaterThan(30);
  for (let last = 1; last <= queries; last += 1) {
    const name = newName();
    await server.query("CREATE DATABASE ?? CHARACTER SET utf8mb4", [name]);
    let asked = 0;
    const proxy = await startQueryProxy(port, () => ++asked === last);
    await expect(migrate(urlOf(name, proxy.port), folder)).rejects.toThrow();
    await proxy.close();
    await migrate(urlOf(name), folder);
    expect([last, await contents(name)]).toEqual([last, unbroken]);
  }
});

test("a table that was there before is no sign that a statement was made", async () => {
  const name = newName();
  write("0001_first.sql", "CREATE TABLE a (id INT);\nCREATE TABLE b (id INT);\n");
  await server.query("CREATE DATABASE ??; CREATE TABLE ??.b (other INT)", [name, name]);
  for (let times = 0; times < 2; times += 1)
    await expect(migrate(urlOf(name), folder)).rejects.toMatchObject({
      cause: { code: "ER_TABLE_EXISTS_ERROR" },
    });
  await server.query("DROP TABLE ??.b", [name]);
  expect(await migrate(urlOf(name), folder)).toEqual(["0001_first.sql"]);
});

test("a migration that was begun and then edited is refused", async () => {
  const name = newName();
  write("0001_first.sql", "CREATE TABLE a (id INT);\nCREATE TABEL b (id INT);\n");
  await expect(migrate(urlOf(name), folder)).rejects.toThrow("0001_first.sql failed at: CREATE TABEL b");
  write("0001_first.sql", "CREATE TABLE a (id BIGINT);\nCREATE TABLE b (id INT);\n");
  await expect(migrate(urlOf(name), folder)).rejects.toThrow(
    "0001_first.sql was changed after it had been begun, at: CREATE TABLE a (id BIGINT)",
  );
});
