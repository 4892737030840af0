import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect as connectSocket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startMySql } from "../../local/services/mysql.js";
import type { Service } from "../../local/services/service.js";
import type { ReceivedEvent } from "../../shared/bus/eventBus.js";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { storeMessages } from "../../shared/messages/store.js";
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
const LONG_MS = 600_000;
/** 1153 in an error packet. */
const PACKET_TOO_LARGE = Buffer.from([0xff, 0x81, 0x04]);

const folder = mkdtempSync(join(tmpdir(), "nonstop-limits-"));
let server: Service;
let root: Connection;

beforeAll(async () => {
  server = await startMySql({ data: folder });
  await migrate(server.url);
  root = await createConnection(rootUrl(server.url));
  const users = [1, 2, 3].map((userId) => [userId, new Date()]);
  await root.query("INSERT INTO chat.users (user_id, updated_at) VALUES ?", [users]);
});
afterAll(async () => {
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

interface World {
  readonly bus: FakeEventBus;
  readonly database: Database;
  readonly deps: MessagesDeps;
  readonly broadcaster: FakeBroadcaster;
  readonly roomId: number;
}

/** A room, a hub, and a pool whose connections have the limits of now. */
async function newWorld(port = server.port): Promise<World> {
  const bus = newBus();
  const url = server.url.replace(`:${server.port}/`, `:${port}/`);
  const database = openDatabase(url, { poolSize: 4 });
  onTestFinished(() => database.end());
  const [broadcaster, ports] = [new FakeBroadcaster(), portsOf(new FakeSessionStore())];
  const readMerger = createReadMerger({ database, broadcaster, now: Date.now, ...ports });
  const { schedule } = readMerger;
  const more = { readMerger, scheduleReads: schedule, now: Date.now, retryBudgetMs: LONG_MS };
  const deps = { database, bus, broadcaster, ...ports, ...more };
  const { roomId } = await createGroupRoom({ roomName: "room", userIds: [2, 3], callerId: 1 }, deps);
  return { bus, database, deps, broadcaster, roomId };
}

let events = 0;
function put({ bus, roomId }: World, content: string): ReceivedEvent {
  events += 1;
  const event = {
    v: 1,
    eventId: `event-${events}`,
    roomId,
    senderId: 1,
    senderNickname: "Ann",
    clientMessageId: null,
    type: "TEXT",
    content,
    sentAt: "2026-01-02T03:04:05.678Z",
  };
  return bus.append(HUB, "0", JSON.stringify(event), String(roomId));
}

const store = ({ deps }: World, batch: readonly ReceivedEvent[]): Promise<void> =>
  storeMessages({ hub: HUB, partitionId: "0", events: batch }, deps);

const stored = async ({ roomId }: World): Promise<string[]> => {
  const [rows] = await root.query<RowDataPacket[]>(
    "SELECT seq, LEFT(content, 4) AS start FROM chat.messages WHERE room_id = ? ORDER BY seq",
    [roomId],
  );
  return rows.map(({ seq, start }) => `${seq} ${start}`);
};

const letters = ({ bus }: World): { body: string; error: { code: string; message: string } }[] =>
  bus.hubs.get(DEAD)!.partitions[0]!.map(({ body }) => JSON.parse(Buffer.from(body).toString()));

/** New connections have the limit. */
async function limitPackets(bytes: number): Promise<void> {
  const [[before]] = await root.query<(RowDataPacket & { n: number })[]>(
    "SELECT @@GLOBAL.max_allowed_packet AS n",
  );
  await root.query("SET GLOBAL max_allowed_packet = ?", [bytes]);
  onTestFinished(async () => {
    await root.query("SET GLOBAL max_allowed_packet = ?", [before!.n]);
  });
}

const text = (number: number, length: number): string => String(number).padStart(4, "0").padEnd(length, "x");

/**
 * The way to the server. `isDeaf` loses every answer "packet too large", as happens where the connection is
 * reset while the packet is still being sent.
 */
async function startWay(isDeaf: boolean): Promise<number> {
  const way = createServer((near) => {
    const far = connectSocket(server.port, "127.0.0.1");
    far.on("data", (bytes) => {
      if (isDeaf && bytes.includes(PACKET_TOO_LARGE)) near.resetAndDestroy();
      else near.write(bytes);
    });
    near.pipe(far);
    for (const socket of [near, far])
      socket
        .on("error", () => {})
        .on("close", () => {
          near.destroy();
          far.destroy();
        });
  });
  await new Promise<void>((resolve) => way.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void way.close());
  return (way.address() as AddressInfo).port;
}

describe.each([
  ["answers so", false],
  ["only seems to be lost", true],
])("where the server %s", (_name, isDeaf) => {
  test("a batch larger than max_allowed_packet is stored in parts, in order and without a gap", async () => {
    await limitPackets(64 * 1024);
    const world = await newWorld(await startWay(isDeaf));
    const batch = Array.from({ length: 200 }, (_, index) => put(world, text(index + 1, 2_000)));
    await store(world, batch);
    expect(await stored(world)).toEqual(batch.map((_, index) => `${index + 1} ${text(index + 1, 4)}`));
    expect(letters(world)).toEqual([]);
  });

  test("an event that exceeds it alone is dead-lettered, and those behind it go on", async () => {
    await limitPackets(16 * 1024);
    const world = await newWorld(await startWay(isDeaf));
    const long = `0003${"😀".repeat(4_900)}`;
    const texts = [
      text(1, 2_000),
      text(2, 2_000),
      long,
      ...[4, 5, 6, 7].map((number) => text(number, 2_000)),
    ];
    await store(
      world,
      texts.map((content) => put(world, content)),
    );
    expect(await stored(world)).toEqual(["1 0001", "2 0002", "3 0004", "4 0005", "5 0006", "6 0007"]);
    expect(letters(world)).toHaveLength(1);
    expect(letters(world)[0]).toMatchObject({ sequenceNumber: 2, error: { code: "INVALID_MESSAGE" } });
    expect(letters(world)[0]!.error.message).toMatch(/bytes exceeds max_allowed_packet, 16384 bytes/);
    expect(letters(world)[0]!.body).toContain(long);
  });
});

test("where rows of one room stay locked, those before it in the batch are stored meanwhile", async () => {
  const world = await newWorld();
  const other = await createGroupRoom({ roomName: "busy", userIds: [2], callerId: 1 }, world.deps);
  const busy = { ...world, roomId: other.roomId };
  const busyElsewhere = await createConnection(server.url);
  onTestFinished(() => busyElsewhere.destroy());
  await busyElsewhere.query("START TRANSACTION");
  await busyElsewhere.query("SELECT 1 FROM chat.rooms WHERE room_id = ? FOR UPDATE", [busy.roomId]);
  const batch = [world, world, busy, busy].map((one, index) => put(one, text(index + 1, 4)));
  const storing = store(world, batch);
  await expect.poll(() => stored(world)).toEqual(["1 0001", "2 0002"]);
  expect(await stored(busy)).toEqual([]);
  await busyElsewhere.query("ROLLBACK");
  await storing;
  expect(await stored(busy)).toEqual(["1 0003", "2 0004"]);
  expect(letters(world)).toEqual([]);
});
