import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";
import { migrate, readMigrations } from "../../shared/store/migrate.js";

const RELEASED = fileURLToPath(new URL("../../shared/store/migrations/", import.meta.url));

let server: Connection;
let folder: string;
let name: string;
let url: string;
let names = 0;

beforeAll(async () => {
  server = await createConnection(inject("stack").mysql);
});
afterAll(() => server.end());

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "migrations-"));
  name = `test_migrate_${process.pid}_${++names}`;
  const address = new URL(inject("stack").mysql);
  address.pathname = `/${name}`;
  url = address.href;
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await server.query("DROP DATABASE IF EXISTS ??", [name]);
});

const write = (file: string, text: string): void => writeFileSync(join(folder, file), text);
const tables = async (): Promise<string[]> => {
  const [rows] = await server.query<RowDataPacket[]>(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1",
    [name],
  );
  return rows.map((row) => String(row["name"])).sort();
};
const applied = async (): Promise<RowDataPacket[]> =>
  (
    await server.query<RowDataPacket[]>("SELECT version, file FROM ??.schema_migrations ORDER BY 1", [name])
  )[0];
/** Whether anybody still has a connection to the database. */
const connected = async (): Promise<boolean> => {
  const [rows] = await server.query<RowDataPacket[]>(
    "SELECT 1 FROM information_schema.processlist WHERE db = ?",
    [name],
  );
  return rows.length > 0;
};

describe("migrating", () => {
  test("makes a missing database and applies every file in the order of its number", async () => {
    write("0002_second.sql", "ALTER TABLE a ADD COLUMN two INT;\n");
    write("0001_first.sql", "-- the first one\nCREATE TABLE a (one INT);\nCREATE TABLE b (one INT);\n");
    write("notes.txt", "no migration");
    expect(await migrate(url, folder)).toEqual(["0001_first.sql", "0002_second.sql"]);
    expect(await tables()).toEqual(["a", "b", "schema_migration_steps", "schema_migrations"]);
    expect(await applied()).toEqual([
      { version: 1, file: "0001_first.sql" },
      { version: 2, file: "0002_second.sql" },
    ]);
  });

  test("makes the database in utf8mb4", async () => {
    await migrate(url, folder);
    const [rows] = await server.query<RowDataPacket[]>(
      "SELECT default_character_set_name AS name FROM information_schema.schemata WHERE schema_name = ?",
      [name],
    );
    expect(rows[0]?.["name"]).toBe("utf8mb4");
  });

  test("applies nothing the second time, and only what is new the third", async () => {
    write("0001_first.sql", "CREATE TABLE a (one INT);\n");
    await migrate(url, folder);
    expect(await migrate(url, folder)).toEqual([]);
    write("0002_second.sql", "CREATE TABLE b (one INT)");
    expect(await migrate(url, folder)).toEqual(["0002_second.sql"]);
  });

  test("refuses a file that was edited after it had been applied, and changes nothing", async () => {
    write("0001_first.sql", "CREATE TABLE a (one INT);\n");
    await migrate(url, folder);
    write("0001_first.sql", "CREATE TABLE a (one BIGINT);\n");
    write("0002_second.sql", "CREATE TABLE b (one INT);\n");
    await expect(migrate(url, folder)).rejects.toThrow(
      "0001_first.sql was changed after it had been applied; add a new migration.",
    );
    expect(await tables()).toEqual(["a", "schema_migration_steps", "schema_migrations"]);
  });

  test("by several processes at once applies each file once", async () => {
    write("0001_first.sql", "CREATE TABLE a (one INT);\nSELECT SLEEP(0.2);\nINSERT INTO a VALUES (1);\n");
    write("0002_second.sql", "CREATE TABLE b (one INT);\n");
    const done = await Promise.all([1, 2, 3, 4].map(() => migrate(url, folder)));
    expect(done.flat().sort()).toEqual(["0001_first.sql", "0002_second.sql"]);
    const [rows] = await server.query<RowDataPacket[]>("SELECT one FROM ??.a", [name]);
    expect(rows).toEqual([{ one: 1 }]);
  });

  test("says which file and statement failed and why, and keeps what was applied before it", async () => {
    write("0001_first.sql", "CREATE TABLE a (one INT);\n");
    write(
      "0002_second.sql",
      "CREATE TABLE b (one INT);\n\n-- wrong\nALTER TABLE nowhere ADD COLUMN x INT;\n",
    );
    const error = await migrate(url, folder).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      message: "0002_second.sql failed at: ALTER TABLE nowhere ADD COLUMN x INT",
      cause: { code: "ER_NO_SUCH_TABLE" },
    });
    expect(await applied()).toEqual([{ version: 1, file: "0001_first.sql" }]);
    expect(await connected()).toBe(false);
  });

  test("goes on once a failed file has been mended", async () => {
    write("0001_first.sql", "CREATE TABEL a (one INT);\n");
    await expect(migrate(url, folder)).rejects.toThrow("0001_first.sql failed at: CREATE TABEL a");
    write("0001_first.sql", "CREATE TABLE a (one INT);\n");
    expect(await migrate(url, folder)).toEqual(["0001_first.sql"]);
  });

  test("leaves no connection behind, neither after success nor where the user may not make the database", async () => {
    await migrate(url, folder);
    // The server lists a connection for a moment after its end.
    await expect.poll(connected).toBe(false);
    const user = `nobody_${process.pid}`;
    await server.query("CREATE USER ?@'127.0.0.1' IDENTIFIED BY 'secret'", [user]);
    try {
      const forbidden = new URL(url);
      forbidden.username = user;
      forbidden.password = "secret";
      forbidden.pathname = "/not_there";
      await expect(migrate(forbidden.href, folder)).rejects.toHaveProperty("code");
      const left = async (): Promise<number> => {
        const [rows] = await server.query<RowDataPacket[]>(
          "SELECT 1 FROM information_schema.processlist WHERE user = ?",
          [user],
        );
        return rows.length;
      };
      await expect.poll(left).toBe(0);
    } finally {
      await server.query("DROP USER ?@'127.0.0.1'", [user]);
    }
  });

  test("takes what is released by itself, and its copy is the same", async () => {
    cpSync(RELEASED, folder, { recursive: true });
    const files = await migrate(url);
    expect(files).toEqual(readMigrations().map(({ file }) => file));
    expect(await migrate(url, folder)).toEqual([]);
    expect(await tables()).toContain("subscription_ids");
  });
});

describe("what was there before system messages and absent users stopped counting", () => {
  const rows = async (sql: string): Promise<object[]> => {
    const [found] = await server.query<RowDataPacket[]>(
      sql.replaceAll(/\b(rooms|messages|room_members|users|hidden_messages)\b/g, `${name}.$1`),
    );
    // What is inserted has no rows.
    return Array.isArray(found) ? found.map((row) => ({ ...row })) : [];
  };

  test("has the numbers that it would have had", async () => {
    for (const file of ["0001_rooms_and_messages.sql", "0002_membership_and_reads.sql"])
      cpSync(join(RELEASED, file), join(folder, file));
    await migrate(url, folder);
    // 1 has a nickname; 2 and 3 have none: 2 has read, 3 has written once and left; 4 has never been here.
    await rows("INSERT INTO users VALUES (1, 'Ann', NULL, NOW(3))");
    await rows(`INSERT INTO rooms (room_id, type, creator_id, member_count, last_seq, last_message_id, last_activity_at, created_at)
      VALUES (1, 'GROUP', 1, 3, 6, 16, NOW(3), NOW(3)), (2, 'GROUP', 5, 2, 0, NULL, NOW(3), NOW(3))`);
    await rows(`INSERT INTO messages (message_id, room_id, seq, sender_id, sender_nickname, dedupe_key, type, content, sent_at) VALUES
      ${["TEXT", "SYSTEM_INVITE", "TEXT", "SYSTEM_KICK", "TEXT", "SYSTEM_LEAVE"]
        .map((type, index) => `(${11 + index}, 1, ${index + 1}, 3, 'x', ${index}, '${type}', 'x', NOW(3))`)
        .join(", ")}`);
    await rows(`INSERT INTO room_members (room_id, user_id, joined_at, joined_seq, last_read_seq, last_read_message_id) VALUES
      (1, 1, NOW(3), 0, 0, NULL), (1, 2, NOW(3), 2, 4, 14), (1, 4, NOW(3), 2, 2, 12), (2, 5, NOW(3), 0, 0, NULL), (2, 4, NOW(3), 0, 0, NULL)`);
    // 1 has deleted an unread text, an unread system message; 2 one that was read, and an unread text.
    await rows("INSERT INTO hidden_messages VALUES (1, 1, 3), (1, 1, 4), (1, 2, 3), (1, 2, 5)");

    cpSync(RELEASED, folder, { recursive: true });
    await migrate(url, folder);
    expect(await rows("SELECT seq, uncounted FROM messages ORDER BY seq")).toEqual(
      [0, 1, 1, 2, 2, 3].map((uncounted, index) => ({ seq: index + 1, uncounted })),
    );
    expect(await rows("SELECT room_id, last_uncounted, awaited_count FROM rooms")).toEqual([
      { room_id: 1, last_uncounted: 3, awaited_count: 1 },
      { room_id: 2, last_uncounted: 0, awaited_count: 1 },
    ]);
    expect(await rows("SELECT user_id, presence FROM users ORDER BY user_id")).toEqual(
      ["PRESENT", "PRESENT", "PRESENT", "AWAITED", "PRESENT"].map((presence, index) => ({
        user_id: index + 1,
        presence,
      })),
    );
    const member = (
      room_id: number,
      user_id: number,
      last_read_seq: number,
      last_read_uncounted: number,
      hidden_unread: number,
    ) => ({ room_id, user_id, last_read_seq, last_read_uncounted, hidden_unread });
    expect(
      await rows(
        "SELECT room_id, user_id, last_read_seq, last_read_uncounted, hidden_unread FROM room_members ORDER BY 1, 2",
      ),
    ).toEqual([
      member(1, 1, 0, 0, 1),
      member(1, 2, 4, 2, 1),
      member(1, 4, Number.MAX_SAFE_INTEGER, 0, 0),
      member(2, 4, Number.MAX_SAFE_INTEGER, 0, 0),
      member(2, 5, 0, 0, 0),
    ]);
  });
});

test("positions of before go on under the ids that the adapter of Event Hubs gives", async () => {
  for (const one of ["0001_rooms_and_messages", "0002_membership_and_reads", "0003_what_counts"])
    cpSync(join(RELEASED, `${one}.sql`), join(folder, `${one}.sql`));
  await migrate(url, folder);
  const createdOn = ["2026-01-02 03:04:05.678", "2026-01-02 03:04:05.000"];
  for (const [index, time] of createdOn.entries())
    await server.query("INSERT INTO ??.stream_positions VALUES ('chat-messages', '0', ?, ?, 1)", [
      name,
      time,
      index,
    ]);
  cpSync(RELEASED, folder, { recursive: true });
  await migrate(url, folder);
  const [rows] = await server.query<RowDataPacket[]>(
    "SELECT hub_id, stored_sequence_number AS number FROM ??.stream_positions ORDER BY 2",
    [name],
  );
  const ids = ["2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.000Z"];
  expect(rows.map((row) => ({ ...row }))).toEqual(ids.map((hub_id, number) => ({ hub_id, number })));
  expect(ids.map((id) => new Date(id).toISOString())).toEqual(ids);
  // The version before finds its positions as long as it runs.
  const [old] = await server.query<RowDataPacket[]>(
    "SELECT stored_sequence_number FROM ??.stream_positions WHERE hub_created_on = ?",
    [name, createdOn[0]],
  );
  expect(old).toHaveLength(1);
});

describe("a folder of migrations", () => {
  test("is read as statements without comments", () => {
    write(
      "0001_first.sql",
      "-- head; with a semicolon\nCREATE TABLE a (\n  -- inside;\n  one INT,\n  two TEXT DEFAULT ';'\n);\n\n  -- tail\nSELECT 1;",
    );
    const statements = readMigrations(folder)[0]?.statements.map((one) => one.replace(/\s+/g, " "));
    expect(statements).toEqual(["CREATE TABLE a ( one INT, two TEXT DEFAULT ';' )", "SELECT 1"]);
  });

  test.each(["first.sql", "1_first.sql", "0000_first.sql", "0001.sql", "0001_.sql.sql"])(
    "is refused with a file named %s",
    (file) => {
      write(file, "SELECT 1;");
      expect(() => readMigrations(folder)).toThrow(`${file} must be named NNNN_words.sql`);
    },
  );

  test("is refused with two of one number", () => {
    write("0001_first.sql", "SELECT 1;");
    write("0001_other.sql", "SELECT 1;");
    expect(() => readMigrations(folder)).toThrow("two migrations have number 1");
  });
});
