import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { startMySql } from "../../local/services/mysql.js";
import type { Service } from "../../local/services/service.js";
import { storeMessages } from "../../shared/messages/store.js";
import { isToBeMended, toChatError } from "../../shared/platform/errors.js";
import { createReadMerger } from "../../shared/reads/merge.js";
import { portsOf } from "../../shared/redis/ports.js";
import { createGroupRoom } from "../../shared/rooms/createRooms.js";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { migrate } from "../../shared/store/migrate.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { rootUrl } from "../support/database.js";

const HUB = "chat-messages";
const DEAD = "chat-messages-dlt";
/** The least that a server takes for a limit. */
const LIMIT = 10;

const folder = mkdtempSync(join(tmpdir(), "nonstop-many-"));
let server: Service;
let root: Connection;
let calm: Database;

beforeAll(async () => {
  server = await startMySql({ data: folder });
  await migrate(server.url);
  root = await createConnection(rootUrl(server.url));
  calm = openDatabase(server.url, { poolSize: 4 });
  const users = [1, 2, 3].map((userId) => [userId, new Date()]);
  await calm.query("INSERT INTO users (user_id, updated_at) VALUES ?", [users]);
});
afterAll(async () => {
  await calm.end();
  root.destroy();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Each bus has a hub of another creation time, and so positions of its own. */
let buses = 0;
function newBus(): FakeEventBus {
  const bus = new FakeEventBus({ [HUB]: 1, [DEAD]: 1 });
  buses += 1;
  for (let times = 0; times < buses; times += 1) bus.makeHub(HUB, 1);
  return bus;
}

const depsOf = (database: Database, bus: FakeEventBus) => {
  const [broadcaster, ports] = [new FakeBroadcaster(), portsOf(new FakeSessionStore())];
  const readMerger = createReadMerger({ database, broadcaster, now: Date.now, ...ports });
  const { schedule } = readMerger;
  const more = { readMerger, scheduleReads: schedule, now: Date.now, retryBudgetMs: 600_000 };
  return { database, bus, broadcaster, ...ports, ...more };
};

/** Takes every connection that the server gives to users, and returns what gives them back. */
async function fillServer(): Promise<() => void> {
  const taken: Connection[] = [];
  for (;;) {
    try {
      const connection = await createConnection(server.url);
      connection.on("error", () => {});
      taken.push(connection);
    } catch (error) {
      expect((error as { errno?: unknown }).errno).toSatisfy((errno) => errno === 1040 || errno === 1226);
      return () => {
        for (const connection of taken) connection.destroy();
      };
    }
  }
}

/** 0 is no limit of its own. */
async function limitUser(connections: number): Promise<void> {
  const [[row]] = await calm.query<(RowDataPacket & { account: string })[]>(
    "SELECT CURRENT_USER() AS account",
  );
  const [user, host] = row!.account.split("@");
  await root.query(`ALTER USER ?@? WITH MAX_USER_CONNECTIONS ${connections}`, [user, host]);
}

test.each([
  ["of the server", () => root.query("SET GLOBAL max_connections = ?", [LIMIT])],
  ["of its user", () => limitUser(5)],
])(
  "beyond the connections %s nothing is lost, dead-lettered, or said to be anybody's fault",
  async (whose, limit) => {
    const [[before]] = await root.query<(RowDataPacket & { n: number })[]>(
      "SELECT @@GLOBAL.max_connections AS n",
    );
    const told: unknown[] = [];
    const bus = newBus();
    const { roomId } = await createGroupRoom(
      { roomName: "room", userIds: [2, 3], callerId: 1 },
      depsOf(calm, bus),
    );
    await limit();
    onTestFinished(async () => {
      await root.query("SET GLOBAL max_connections = ?", [before!.n]);
      await limitUser(0);
    });
    const free = await fillServer();
    const full = openDatabase(server.url, { poolSize: 4, onFault: (fault) => told.push(fault) });
    onTestFinished(() => full.end());

    const refused = await createGroupRoom(
      { roomName: "another", userIds: [2], callerId: 1 },
      depsOf(full, bus),
    ).catch((error: unknown) => error);
    expect(toChatError(refused).code).toBe("UNAVAILABLE");
    expect(isToBeMended(refused)).toBe(false);

    const event = {
      v: 1,
      eventId: `event ${whose}`,
      roomId,
      senderId: 1,
      senderNickname: "Ann",
      clientMessageId: null,
      type: "TEXT",
      content: "while it is full",
      sentAt: "2026-01-02T03:04:05.678Z",
    };
    const events = [bus.append(HUB, "0", JSON.stringify(event), String(roomId))];
    let isStored = false;
    const storing = storeMessages({ hub: HUB, partitionId: "0", events }, depsOf(full, bus)).then(() => {
      isStored = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(isStored).toBe(false);
    free();
    await storing;
    const [rows] = await calm.query<RowDataPacket[]>("SELECT content FROM messages WHERE room_id = ?", [
      roomId,
    ]);
    expect(rows).toEqual([{ content: "while it is full" }]);
    expect(bus.hubs.get(DEAD)?.partitions.flat()).toEqual([]);
    expect(told).toEqual([]);
  },
);
