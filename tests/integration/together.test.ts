import type { RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Database, isDuplicate, openDatabase } from "../../shared/store/database.js";
import { together } from "../../shared/store/together.js";
import { newDatabase, noteSent } from "../support/database.js";
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.js";

let url: string;
let close: () => Promise<void>;
let proxy: TcpProxy;
let database: Database;
/** What went to the server, in this order: one for each round trip. */
const sent: string[] = [];

beforeAll(async () => {
  const own = await newDatabase();
  ({ url, close } = own);
  await own.database.query("CREATE TABLE things (n INT PRIMARY KEY)");
  proxy = await startTcpProxy(() => Number(new URL(url).port));
});
afterAll(async () => {
  await proxy.close();
  await close();
});
beforeEach(async () => {
  const through = new URL(url);
  through.port = String(proxy.port);
  database = openDatabase(through.href, { poolSize: 2 });
  await database.query("DELETE FROM things");
  noteSent(database, sent);
  sent.length = 0;
});
afterEach(() => database.end());

const numbers = async (): Promise<readonly number[]> =>
  (await database.query<RowDataPacket[]>("SELECT n FROM things ORDER BY n"))[0].map((row) => row["n"]);
const insert = (db: Pick<Database, "query">, n: number) => db.query("INSERT INTO things (n) VALUES (?)", [n]);

test("what is asked in one turn is one round trip, in its order, and each gets its own answer", async () => {
  const db = together(database);
  const [, [rows], [other]] = await Promise.all([
    insert(db, 1),
    db.query<RowDataPacket[]>("SELECT n FROM things"),
    db.query<RowDataPacket[]>("SELECT ? AS text", ["it's; one?"]),
  ]);
  expect([rows, other]).toEqual([[{ n: 1 }], [{ text: "it's; one?" }]]);
  await insert(db, 2);
  expect(sent).toEqual([
    "INSERT INTO things (n) VALUES (1);\nSELECT n FROM things;\nSELECT 'it\\'s; one?' AS text",
    "INSERT INTO things (n) VALUES (2)",
  ]);
});

test("where one fails those before it are done, those behind it are not, and all throw", async () => {
  const db = together(database);
  const ends = await Promise.allSettled([insert(db, 1), insert(db, 1), insert(db, 3)]);
  expect(ends.map((one) => one.status === "rejected" && isDuplicate(one.reason))).toEqual([true, true, true]);
  expect(await numbers()).toEqual([1]);
  await insert(db, 4);
  expect(await numbers()).toEqual([1, 4]);
});

test("SELECTs are repeated on a connection that lives, and what changes something is not", async () => {
  const db = together(database);
  await Promise.all([1, 2].map(() => database.query("SELECT SLEEP(0.05)")));
  expect(proxy.cut()).toBe(2);
  const asked = [1, 2].map((n) => db.query<RowDataPacket[]>("SELECT ? AS n", [n]));
  expect((await Promise.all(asked)).map(([rows]) => rows)).toEqual([[{ n: 1 }], [{ n: 2 }]]);
  // The server does the work, and its answer is lost with the connection.
  proxy.isMute = true;
  const changing = Promise.allSettled([insert(db, 5), db.query("SELECT 1")]);
  const direct = openDatabase(url, { poolSize: 1 });
  const stored = async () => (await direct.query<RowDataPacket[]>("SELECT n FROM things"))[0].length;
  await expect.poll(stored, { timeout: 300_000 }).toBe(1);
  await direct.end();
  proxy.isMute = false;
  proxy.cut();
  const ends = await changing;
  expect(ends.map((one) => one.status === "rejected" && !isDuplicate(one.reason))).toEqual([true, true]);
  expect(sent.filter((text) => text.startsWith("INSERT"))).toHaveLength(1);
  expect(await numbers()).toEqual([5]);
});

test("what is long together goes in several round trips, on one connection", async () => {
  const db = together(database);
  const text = "x".repeat(30_000);
  const asked = [1, 2, 3, 4, 5].map((n) =>
    db.query<RowDataPacket[]>("SELECT ? AS n, CONNECTION_ID() AS id, LENGTH(?) AS length", [n, text]),
  );
  const rows = (await Promise.all(asked)).map(([[row]]) => row!);
  expect(rows.map((row) => [row["n"], row["length"]])).toEqual([1, 2, 3, 4, 5].map((n) => [n, text.length]));
  expect(new Set(rows.map((row) => row["id"])).size).toBe(1);
  expect(sent).toHaveLength(3);
});
