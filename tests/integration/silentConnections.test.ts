import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { inTransaction } from "../../shared/store/transaction.js";
import { newDatabase } from "../support/database.js";
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.js";

const POOL_SIZE = 8;
let proxy: TcpProxy;
let database: Database;
let url: string;
let close: () => Promise<void>;
let time = 0;
const said: string[] = [];

beforeAll(async () => {
  ({ url, close } = await newDatabase());
  const address = new URL(url);
  proxy = await startTcpProxy(() => Number(new URL(url).port));
  address.port = String(proxy.port);
  database = openDatabase(address.href, { poolSize: POOL_SIZE, statementMs: 2_000, now: () => time });
  await database.query("CREATE TABLE rows_of_a_test (n INT)");
});
afterAll(async () => {
  vi.restoreAllMocks();
  // A connection may still be on its way to a server that said nothing.
  await database.end().catch(() => {});
  await proxy.close();
  await close();
});
beforeEach(() => {
  said.length = 0;
  time += 60_000;
  vi.spyOn(console, "warn").mockImplementation((line: string) => void said.push(JSON.parse(line).message));
});

const all = <T>(make: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: POOL_SIZE }, (_, index) => make(index)));
const one = async (): Promise<unknown> => (await database.query("SELECT 1 AS one"))[0];

/** Opens all connections, and lets the network forget them. */
async function forgetAll(): Promise<void> {
  const connections = await all(() => database.getConnection());
  for (const connection of connections) connection.release();
  proxy.forget();
}

test("idle connections that the network has forgotten cost nobody an answer, and go together", async () => {
  await forgetAll();
  time += 15_000;
  expect(await one()).toEqual([{ one: 1 }]);
  expect(said).toEqual(["the database's server does not answer: its connections are given up"]);
  const { opened } = proxy;
  expect(await all(one)).toEqual(Array(POOL_SIZE).fill([{ one: 1 }]));
  expect(proxy.opened - opened).toBe(POOL_SIZE - 1);
});

test("after one statement without an answer the other connections are asked first", async () => {
  await forgetAll();
  await expect(one()).rejects.toMatchObject({ code: "PROTOCOL_SEQUENCE_TIMEOUT" });
  time += 1;
  await all((n) => inTransaction(database, (tx) => tx.query("INSERT INTO rows_of_a_test VALUES (?)", [n])));
  expect((await database.query("SELECT COUNT(*) AS count FROM rows_of_a_test"))[0]).toEqual([
    { count: POOL_SIZE },
  ]);
});

test("a server that accepts and says nothing is given up, and found again", async () => {
  await forgetAll();
  proxy.isMute = true;
  time += 15_000;
  const [first, second] = await Promise.allSettled([one(), database.getConnection(true)]);
  proxy.isMute = false;
  expect([first.status, second.status]).toEqual(["rejected", "rejected"]);
  expect(await one()).toEqual([{ one: 1 }]);
});
