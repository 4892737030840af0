import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect as connectSocket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startMySql } from "../../local/services/mysql.js";
import type { Service } from "../../local/services/service.js";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { withNamedLock } from "../../shared/store/namedLock.js";
import { inTransaction } from "../../shared/store/transaction.js";
import { rootUrl } from "../support/database.js";

const POOL_SIZE = 16;
const folder = mkdtempSync(join(tmpdir(), "nonstop-lost-"));
let server: Service;
let root: Connection;
let database: Database;

beforeAll(async () => {
  server = await startMySql({ data: folder });
  root = await createConnection(rootUrl(server.url));
  root.on("error", () => {});
  await root.query("CREATE TABLE chat.rows_of_a_test (n INT)");
  database = openDatabase(server.url);
});
afterAll(async () => {
  await database.end();
  root.destroy();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const all = <T>(make: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: POOL_SIZE }, (_, index) => make(index)));
const one = async (): Promise<unknown> => (await database.query("SELECT 1 AS one"))[0];

/** Opens all connections of the pool. */
async function fill(): Promise<void> {
  const connections = await all(() => database.getConnection());
  for (const connection of connections) connection.release();
}

const KILLER = `
  import { createConnection } from "mysql2/promise";
  const root = await createConnection(URL_OF_ROOT);
  const [rows] = await root.query("SELECT id FROM information_schema.processlist WHERE user = 'chat'");
  for (const { id } of rows) await root.query("KILL " + id);
  const [left] = await root.query("SELECT id FROM information_schema.processlist WHERE user = 'chat'");
  await root.end();
  process.stdout.write(String(rows.length));
`;

/**
 * Kills the connections of the pool, and keeps this process from noticing: what comes next goes out on them.
 */
async function killUnnoticed(): Promise<void> {
  await fill();
  const script = KILLER.replace("URL_OF_ROOT", JSON.stringify(rootUrl(server.url)));
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  expect([String(stdout), String(stderr)]).toEqual([String(POOL_SIZE), ""]);
}

describe("when the server has ended all connections of the pool", () => {
  test("a SELECT is answered", async () => {
    await killUnnoticed();
    expect(await one()).toEqual([{ one: 1 }]);
  });

  test("as many at once as there were connections are answered", async () => {
    await killUnnoticed();
    expect(await all(one)).toEqual(Array(POOL_SIZE).fill([{ one: 1 }]));
  });

  test("a transaction and a named lock begin", async () => {
    await killUnnoticed();
    await all((n) => inTransaction(database, (tx) => tx.query("INSERT INTO rows_of_a_test VALUES (?)", [n])));
    await killUnnoticed();
    await withNamedLock(database, "a lock", (db) => db.query("DELETE FROM rows_of_a_test"));
    expect((await database.query("SELECT n FROM rows_of_a_test"))[0]).toEqual([]);
  });

  test("a statement that writes is not made again", async () => {
    await killUnnoticed();
    const written = await Promise.allSettled(
      Array.from({ length: POOL_SIZE }, () => database.query("INSERT INTO rows_of_a_test VALUES (1)")),
    );
    expect(written.map(({ status }) => status)).toContain("rejected");
    const [rows] = await database.query<RowDataPacket[]>("SELECT n FROM rows_of_a_test");
    expect(rows).toHaveLength(written.filter(({ status }) => status === "fulfilled").length);
  });
});

test("a SELECT is answered where each old connection is only found to be lost when it is used", async () => {
  let isOld = false;
  const way = createServer((client) => {
    const lost = isOld ? undefined : client;
    const behind = connectSocket(server.port, "127.0.0.1");
    client.on("data", () => isOld && lost?.destroy());
    client.pipe(behind).pipe(client);
    for (const socket of [client, behind]) socket.on("error", () => {}).on("close", () => behind.destroy());
  });
  await new Promise<void>((resolve) => way.listen(0, "127.0.0.1", resolve));
  const { port } = way.address() as AddressInfo;
  const through = openDatabase(server.url.replace(`:${server.port}/`, `:${port}/`));
  const connections = await all(() => through.getConnection());
  for (const connection of connections) connection.release();
  isOld = true;
  expect((await through.query("SELECT 1 AS one"))[0]).toEqual([{ one: 1 }]);
  await through.end();
  way.close();
});

test("a SELECT whose connection is killed meanwhile is answered by another one", async () => {
  await fill();
  const slow = all(async () => (await database.query("SELECT SLEEP(0.5) AS woken"))[0]);
  const running = async () =>
    (
      await root.query<RowDataPacket[]>(
        "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'",
      )
    )[0];
  await expect.poll(async () => (await running()).length).toBeGreaterThan(0);
  for (const { id } of await running()) await root.query(`KILL ${id}`).catch(() => {});
  expect(await slow).toEqual(Array(POOL_SIZE).fill([{ woken: 0 }]));
});

test("what fails in another way is not made again", async () => {
  const asked = async (): Promise<number> => {
    const [rows] = await root.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Com_select'");
    return Number(rows[0]?.["Value"]);
  };
  const before = await asked();
  await expect(database.query("SELECT nothing FROM nowhere")).rejects.toMatchObject({
    cause: { code: "ER_NO_SUCH_TABLE" },
  });
  const patient = openDatabase(server.url, { statementMs: 300 });
  await expect(patient.query("SELECT SLEEP(5)")).rejects.toMatchObject({ code: "PROTOCOL_SEQUENCE_TIMEOUT" });
  expect(await asked()).toBe(before + 2);
  await patient.end();
});

test("a server that was restarted is asked on new connections", async () => {
  await fill();
  const { port } = server;
  await server.close();
  await expect(one()).rejects.toMatchObject({ code: "ECONNREFUSED" });
  server = await startMySql({ data: folder, port });
  expect(await all(one)).toEqual(Array(POOL_SIZE).fill([{ one: 1 }]));
});
