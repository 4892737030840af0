import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startMySql } from "../../local/services/mysql.js";
import type { Service } from "../../local/services/service.js";
import { storeMessages } from "../../shared/messages/store.js";
import { createReadMerger } from "../../shared/reads/merge.js";
import { portsOf } from "../../shared/redis/ports.js";
import { createGroupRoom } from "../../shared/rooms/createRooms.js";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { migrate } from "../../shared/store/migrate.js";
import { inTransaction } from "../../shared/store/transaction.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { rootUrl } from "../support/database.js";
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.js";

const HUB = "chat-messages";
const DEAD = "chat-messages-dlt";
const POOL_SIZE = 6;

/** Two servers with the same rows. The address leads to one of them. */
const folders = ["a", "b"].map((name) => mkdtempSync(join(tmpdir(), `nonstop-failover-${name}-`)));
let servers: Service[];
let roots: Connection[];
let primary = 0;
let address: TcpProxy;
let database: Database;
let roomId: number;
let time = 0;

beforeAll(async () => {
  servers = await Promise.all(folders.map((data) => startMySql({ data })));
  roots = await Promise.all(servers.map(({ url }) => createConnection(rootUrl(url))));
  for (const [index, { url }] of servers.entries()) {
    await migrate(url);
    const root = roots[index]!;
    // A server that is read-only still takes changes of a user with all rights.
    await root.query("CREATE USER app@'127.0.0.1' IDENTIFIED BY 'app'");
    await root.query("GRANT SELECT, INSERT, UPDATE, DELETE ON chat.* TO app@'127.0.0.1'");
    const users = [1, 2].map((userId) => [userId, new Date(0)]);
    await root.query("INSERT INTO chat.users (user_id, updated_at) VALUES ?", [users]);
    const calm = openDatabase(url);
    ({ roomId } = await createGroupRoom({ roomName: "room", userIds: [2], callerId: 1 }, depsOf(calm)));
    await calm.end();
  }
  address = await startTcpProxy(() => servers[primary]!.port);
});
afterAll(async () => {
  await address.close();
  for (const root of roots) root.destroy();
  await Promise.all(servers.map((server) => server.close()));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const depsOf = (store: Database, bus = new FakeEventBus({ [HUB]: 1, [DEAD]: 1 })) => {
  const [broadcaster, ports] = [new FakeBroadcaster(), portsOf(new FakeSessionStore())];
  const readMerger = createReadMerger({ database: store, broadcaster, now: Date.now, ...ports });
  const { schedule } = readMerger;
  const more = { readMerger, scheduleReads: schedule, now: Date.now, retryBudgetMs: 600_000 };
  return { database: store, bus, broadcaster, ...ports, ...more };
};

const all = <T>(ask: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: POOL_SIZE }, ask));

async function fillPool(): Promise<void> {
  const connections = await all(() => database.getConnection());
  for (const connection of connections) connection.release();
}

const portAsked = async (): Promise<number> => {
  const [[row]] = await database.query<RowDataPacket[]>("SELECT @@port AS port");
  return row!["port"];
};
const connectionsTo = async (index: number): Promise<number> => {
  const [rows] = await roots[index]!.query<RowDataPacket[]>(
    "SELECT 1 FROM information_schema.processlist WHERE user = 'app'",
  );
  return rows.length;
};

beforeEach(async () => {
  primary = 0;
  await roots[0]!.query("SET GLOBAL read_only = 0");
  const url = new URL(servers[0]!.url);
  [url.username, url.password, url.port] = ["app", "app", String(address.port)];
  database = openDatabase(url.href, { poolSize: POOL_SIZE, now: () => time });
  await fillPool();
  expect(await connectionsTo(0)).toBe(POOL_SIZE);
});
afterEach(() => database.end());

/** The old server goes on, and takes no changes. Its connections stay open. */
async function failOver(): Promise<void> {
  await roots[0]!.query("SET GLOBAL read_only = 1");
  primary = 1;
}

test("a batch is stored by the new primary, and no connection to the old one is used again", async () => {
  const bus = new FakeEventBus({ [HUB]: 1, [DEAD]: 1 });
  const deps = depsOf(database, bus);
  const event = {
    v: 1,
    eventId: "event",
    roomId,
    senderId: 1,
    senderNickname: "Ann",
    clientMessageId: null,
    type: "TEXT",
    content: "after the failover",
    sentAt: "2026-01-02T03:04:05.678Z",
  };
  const events = [bus.append(HUB, "0", JSON.stringify(event), String(roomId))];
  await failOver();
  await storeMessages({ hub: HUB, partitionId: "0", events }, deps);
  const [rows] = await roots[1]!.query<RowDataPacket[]>("SELECT seq, content FROM chat.messages");
  expect(rows).toEqual([{ seq: 1, content: "after the failover" }]);
  expect(bus.hubs.get(DEAD)?.partitions.flat()).toEqual([]);
  expect(await all(portAsked)).toEqual(Array(POOL_SIZE).fill(servers[1]!.port));
  await expect.poll(() => connectionsTo(0)).toBe(0);
});

test("one statement that fails takes all idle connections with it", async () => {
  await failOver();
  const write = () => database.query("DELETE FROM rooms WHERE room_id = 0");
  await expect(write()).rejects.toMatchObject({ errno: 1290 });
  const written = await Promise.allSettled(Array.from({ length: POOL_SIZE }, write));
  expect(written.map(({ status }) => status)).toEqual(Array(POOL_SIZE).fill("fulfilled"));
  await expect.poll(() => connectionsTo(0)).toBe(0);
});

test("a transaction that is under way meanwhile fails, and its connection isn't used again", async () => {
  const failing = inTransaction(database, async (tx) => {
    await tx.query("SELECT room_id FROM rooms");
    await failOver();
    await tx.query("DELETE FROM rooms WHERE room_id = 0");
  });
  await expect(failing).rejects.toMatchObject({ errno: 1290 });
  await inTransaction(database, (tx) => tx.query("DELETE FROM rooms WHERE room_id = 0"));
});

test("who only reads goes to the new primary, too, once the connections are asked again", async () => {
  await failOver();
  expect(await portAsked()).toBe(servers[0]!.port);
  time += 15_000;
  expect(await all(portAsked)).toEqual(Array(POOL_SIZE).fill(servers[1]!.port));
  await expect.poll(() => connectionsTo(0)).toBe(0);
});

test("an address that goes on leading to a read-only server is read from, on few new connections", async () => {
  await roots[0]!.query("SET GLOBAL read_only = 1");
  time += 15_000;
  const { opened } = address;
  const times = 20;
  for (let round = 0; round < times; round += 1) {
    await expect(database.query("DELETE FROM rooms WHERE room_id = 0")).rejects.toMatchObject({
      errno: 1290,
    });
    expect(await all(portAsked)).toEqual(Array(POOL_SIZE).fill(servers[0]!.port));
  }
  // One for each statement that failed, and the pool's once, as its clock stands.
  expect(address.opened - opened).toBeLessThanOrEqual(times + POOL_SIZE);
});
