import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { LastEnqueued, ReceivedEvent } from "../../shared/bus/eventBus.js";
import { health } from "../../shared/calls/health.js";
import { createLag, type Lag } from "../../shared/consumers/lag.js";
import { createFaults } from "../../shared/platform/faults.js";
import type { Database } from "../../shared/store/database.js";
import { beginStream } from "../../shared/store/streamPositions.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { newDatabase } from "../support/database.js";

const MESSAGES = "chat-messages";
const READS = "chat-read-events";

/** A bus that notes what it is asked for, and a clock for its events. */
class WatchedBus extends FakeEventBus {
  readonly asked: string[] = [];

  override lastEnqueued(hub: string, partitionId: string): Promise<LastEnqueued | undefined> {
    this.asked.push(`last ${hub} ${partitionId}`);
    return super.lastEnqueued(hub, partitionId);
  }

  override readRange(...range: Parameters<FakeEventBus["readRange"]>): Promise<readonly ReceivedEvent[]> {
    this.asked.push(`read ${range[0]} ${range[1]}`);
    return super.readRange(...range);
  }
}

let database: Database;
let close: () => Promise<void>;
let bus: WatchedBus;
let lag: Lag;
let now = 1_800_000_000_000;

beforeAll(async () => {
  ({ database, close } = await newDatabase());
});
afterAll(() => close());
beforeEach(() => {
  bus = new WatchedBus({ [MESSAGES]: 2, [READS]: 1 });
  now += 1_000_000;
  // Hubs of its own for each test.
  for (const hub of bus.hubs.values()) hub.id = String(now);
  lag = createLag({ bus, database, now: () => now });
});

/** Events of a partition, by how many seconds ago they came. */
function put(hub: string, partitionId: string, ...secondsAgo: readonly number[]): void {
  for (const seconds of secondsAgo)
    Object.assign(bus.append(hub, partitionId, "{}"), { enqueuedOn: new Date(now - seconds * 1_000) });
}

const stored = (hub: string, partitionId: string, sequenceNumber: number): Promise<void> =>
  beginStream(database, { hub, partitionId, hubId: bus.hubs.get(hub)!.id }, sequenceNumber);

const found = async () =>
  [...(await lag())]
    .sort((a, b) => a.hub.localeCompare(b.hub) || Number(a.partitionId) - Number(b.partitionId))
    .map(({ hub, partitionId, events, ageSeconds }) => [hub, partitionId, events, ageSeconds]);

test("the events behind the stored position wait, and the oldest of them says since when", async () => {
  put(MESSAGES, "0", 90, 60, 30, 10);
  await stored(MESSAGES, "0", 0);
  put(MESSAGES, "1", 50, 5);
  await stored(MESSAGES, "1", 0);
  put(READS, "0", 7);
  await stored(READS, "0", 0);
  expect(await found()).toEqual([
    [MESSAGES, "0", 3, 60],
    [MESSAGES, "1", 1, 5],
    [READS, "0", 0, 0],
  ]);
  // The only one that waits is the last, of which the bus has told.
  expect(bus.asked.filter((one) => one.startsWith("read"))).toEqual([`read ${MESSAGES} 0`]);
});

test("of a stream that has not begun all waits that the hub still has", async () => {
  put(MESSAGES, "0", 90, 60, 30);
  bus.cutBefore(MESSAGES, "0", 1);
  expect((await found()).slice(0, 2)).toEqual([
    [MESSAGES, "0", 2, 60],
    [MESSAGES, "1", 0, 0],
  ]);
});

test("it is looked at once in ten seconds, by however many", async () => {
  await Promise.all(Array.from({ length: 100 }, () => lag()));
  now += 9_000;
  await lag();
  expect(bus.asked).toHaveLength(3);
  now += 1_000;
  await lag();
  expect(bus.asked).toHaveLength(6);
});

test("of very many partitions the oldest events of eight are read, where most wait", async () => {
  bus.makeHub(MESSAGES, 30);
  for (let id = 0; id < 30; id += 1)
    put(MESSAGES, String(id), ...Array.from({ length: id + 2 }, () => 40), 20);
  const all = await found();
  const read = bus.asked.filter((one) => one.startsWith("read")).map((one) => Number(one.split(" ")[2]));
  expect(read.sort((a, b) => a - b)).toEqual([22, 23, 24, 25, 26, 27, 28, 29]);
  // Of the others it is known that they are no younger than the last.
  expect(all.filter(([hub]) => hub === MESSAGES).map(([, , , age]) => age)).toEqual([
    ...Array.from({ length: 22 }, () => 20),
    ...Array.from({ length: 8 }, () => 40),
  ]);
});

const ofHealth = async () => {
  const redis = new FakeSessionStore();
  const faults = createFaults(redis, { mysql: "", eventHubs: "", webPubSub: "" });
  const report = await health({
    database,
    bus,
    broadcaster: new FakeBroadcaster(),
    redis,
    faults,
    lag,
    formerBusState: () => undefined,
  });
  return [report.status, report.lag];
};

test.each([
  ["is up while nothing waits for longer than 15 s", 14, "up"],
  ["is degraded where something does", 90, "degraded"],
])("the health of the whole says what waits in each hub, and %s", async (_what, oldest, status) => {
  put(MESSAGES, "0", oldest, 12, 10);
  put(MESSAGES, "1", 5);
  expect(await ofHealth()).toEqual([
    status,
    { messages: { events: 4, oldestSeconds: oldest }, reads: { events: 0, oldestSeconds: 0 } },
  ]);
});

test("what can't be found is unknown, and what can be is told", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  bus.hubs.delete(MESSAGES);
  put(READS, "0", 12);
  expect(await ofHealth()).toEqual([
    "up",
    { messages: { events: null, oldestSeconds: null }, reads: { events: 1, oldestSeconds: 12 } },
  ]);
  vi.restoreAllMocks();
});

test("a bus that never answers keeps nobody's answer", async () => {
  bus.lastEnqueued = () => new Promise(() => {});
  expect(await ofHealth()).toEqual([
    "up",
    { messages: { events: null, oldestSeconds: null }, reads: { events: null, oldestSeconds: null } },
  ]);
});
