import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { EventBus, ReceivedEvent } from "../../shared/bus/eventBus.js";
import { allShown } from "../../shared/consumers/underWay.js";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { storeMessages } from "../../shared/messages/store.js";
import { ChatError } from "../../shared/platform/errors.js";
import { portsOf } from "../../shared/redis/ports.js";
import type { Database } from "../../shared/store/database.js";
import { BROADCAST_LEASE_MS, moveBack } from "../../shared/store/streamPositions.js";
import { inTransaction } from "../../shared/store/transaction.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { changed } from "../fakes/changed.js";
import type { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { newDatabase } from "../support/database.js";
import { HUB, newLog, newRoom, positionIn, putMessage } from "../support/onePartition.js";

let database: Database;
let closeDatabase: () => Promise<void>;
let log: FakeEventBus;
let [flooded, quiet] = [0, 0];
/** What was sent, in order: the room, the message's `seq`, and who sent it. */
let shown: string[];

beforeAll(async () => {
  ({ database, close: closeDatabase } = await newDatabase());
});
afterAll(() => closeDatabase());

beforeEach(async () => {
  log = newLog();
  shown = [];
  [flooded, quiet] = [await newRoom(database), await newRoom(database)];
});

/** So often a send is tried. */
const FAILURES = 4;

/** Sends to the flooded room, or to another one, wait until it is opened. So many of those that come then fail. */
class Gate {
  roomId = flooded;
  #open = (): void => {};
  #closed: Promise<void> = Promise.resolve();
  failures = 0;

  close(): void {
    this.#closed = new Promise((resolve) => {
      this.#open = resolve;
    });
  }
  open(): void {
    this.#open();
  }
  async pass(): Promise<void> {
    await this.#closed;
    if (this.failures === 0) return;
    this.failures -= 1;
    throw new ChatError("UNAVAILABLE", "It is cut off.");
  }
}

/** An instance that reads the partition, as the app is set up. */
class Instance {
  gate = new Gate();
  readonly bus: EventBus = changed(log, {});
  readonly #deps: MessagesDeps;

  /** For so long a batch is tried again in one call. */
  retryBudgetMs = 30_000;

  constructor(name: string) {
    const broadcaster = new FakeBroadcaster();
    const send = broadcaster.sendToGroup.bind(broadcaster);
    broadcaster.sendToGroup = async (group, text) => {
      const { roomId, seq } = JSON.parse(text.slice(text.indexOf("\n\n") + 2, -1));
      if (roomId === this.gate.roomId) await this.gate.pass();
      shown.push(`${roomId === flooded ? "flooded" : "quiet"} ${seq} by ${name}`);
      await send(group, text);
    };
    this.#deps = {
      database,
      bus: this.bus,
      broadcaster,
      ...portsOf(new FakeSessionStore()),
      scheduleReads: () => {},
      now: Date.now,
      retryBudgetMs: this.retryBudgetMs,
      showsBehind: true,
      instance: name,
    };
  }

  store(...events: readonly ReceivedEvent[]): Promise<void> {
    const deps = { ...this.#deps, retryBudgetMs: this.retryBudgetMs };
    return storeMessages({ hub: HUB, partitionId: "0", events }, deps);
  }
}

const put = (roomId: number): ReceivedEvent => putMessage(log, roomId);
const flood = (count: number): readonly ReceivedEvent[] => Array.from({ length: count }, () => put(flooded));
const floodedBy = (name: string, from: number, to: number): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `flooded ${from + index} by ${name}`);

const position = () => positionIn(log, database);
const isEnded = async (call: Promise<void>): Promise<boolean> => {
  let ended = false;
  call.then(() => {
    ended = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  return ended;
};

test("a quiet room sees its messages while a flooded one is still being shown, which keeps its order", async () => {
  const one = new Instance("a");
  one.gate.close();
  await one.store(...flood(5));
  expect(await position()).toMatchObject({ stored: 4, broadcast: -1, broadcaster: "a" });
  const second = one.store(put(quiet), ...flood(2), put(quiet));
  await expect.poll(() => shown).toEqual(["quiet 1 by a", "quiet 2 by a"]);
  expect(await position()).toMatchObject({ stored: 8, broadcast: -1 });
  one.gate.open();
  await second;
  expect(shown.slice(2)).toEqual(floodedBy("a", 1, 7));
  expect(await position()).toMatchObject({ stored: 8, broadcast: 8 });
  expect(await position()).not.toHaveProperty("broadcaster");
});

test("a batch with few messages of each room is shown when its call ends", async () => {
  const one = new Instance("a");
  one.gate.close();
  const call = one.store(...flood(3), put(quiet));
  expect(await isEnded(call)).toBe(false);
  one.gate.open();
  await call;
  expect(shown).toHaveLength(4);
  expect(await position()).toMatchObject({ stored: 3, broadcast: 3 });
});

test("one batch at most is left behind", async () => {
  const one = new Instance("a");
  one.gate.close();
  await one.store(...flood(4));
  const second = one.store(...flood(4));
  const third = one.store(put(quiet));
  await expect.poll(position).toMatchObject({ stored: 7 });
  expect(await isEnded(second)).toBe(false);
  one.gate.open();
  await Promise.all([second, third]);
  await allShown(one.bus);
  expect(shown.filter((text) => text.startsWith("flooded"))).toEqual(floodedBy("a", 1, 8));
  expect(await position()).toMatchObject({ stored: 8, broadcast: 8 });
  expect(await position()).not.toHaveProperty("broadcaster");
});

test("what fails after its call has ended is shown again, though nothing else comes", async () => {
  const one = new Instance("a");
  one.gate.close();
  one.gate.failures = FAILURES;
  await one.store(...flood(4));
  one.gate.open();
  await expect.poll(position).toMatchObject({ stored: 3, broadcast: 3 });
  expect(shown).toEqual(floodedBy("a", 1, 4));
  expect(await position()).not.toHaveProperty("broadcaster");
});

test("what fails while the next batch waits behind it comes first, in order", async () => {
  const one = new Instance("a");
  one.gate.close();
  one.gate.failures = FAILURES;
  await one.store(...flood(4));
  const second = one.store(...flood(2), put(quiet));
  await expect.poll(() => shown).toEqual(["quiet 1 by a"]);
  one.gate.open();
  await second;
  await allShown(one.bus);
  const again = shown.filter((text) => text.startsWith("flooded"));
  expect(again).toEqual(floodedBy("a", 1, 6));
  expect(await position()).toMatchObject({ stored: 6, broadcast: 6 });
  expect(await position()).not.toHaveProperty("broadcaster");
});

test("a batch that comes again while it is shown is shown once", async () => {
  const one = new Instance("a");
  one.gate.close();
  const batch = flood(4);
  await one.store(...batch);
  const again = one.store(...batch);
  expect(await isEnded(again)).toBe(false);
  one.gate.open();
  await again;
  expect(shown).toEqual(floodedBy("a", 1, 4));
  expect(await position()).toMatchObject({ stored: 3, broadcast: 3 });
  expect(await position()).not.toHaveProperty("broadcaster");
});

test("another instance waits until both of two such batches are shown", async () => {
  const [a, b] = [new Instance("a"), new Instance("b")];
  a.gate.close();
  await a.store(...flood(4));
  const second = a.store(...flood(4));
  await expect.poll(position).toMatchObject({ stored: 7 });
  const byB = b.store(put(quiet), ...flood(1));
  await expect.poll(position).toMatchObject({ stored: 9 });
  // Longer than a lease that is not renewed.
  await new Promise((resolve) => setTimeout(resolve, BROADCAST_LEASE_MS + 500));
  expect(shown).toEqual([]);
  a.gate.open();
  await Promise.all([second, byB]);
  await allShown(a.bus);
  expect(shown).toEqual([...floodedBy("a", 1, 8), "quiet 1 by b", "flooded 9 by b"]);
  expect(await position()).toMatchObject({ stored: 9, broadcast: 9 });
  expect(await position()).not.toHaveProperty("broadcaster");
});

test("what another instance has stored in between is shown in its place, and once", async () => {
  const [a, b] = [new Instance("a"), new Instance("b")];
  a.gate.close();
  const [first, between, last] = [flood(4), [put(quiet)], [put(quiet)]];
  await a.store(...first);
  const byB = b.store(...between);
  await expect.poll(position).toMatchObject({ stored: 4 });
  const byA = a.store(...last);
  await expect.poll(position).toMatchObject({ stored: 5 });
  a.gate.open();
  await Promise.all([byA, byB]);
  await allShown(a.bus);
  expect(shown.slice(0, 4)).toEqual(floodedBy("a", 1, 4));
  expect(shown.slice(4).map((text) => text.slice(0, 7))).toEqual(["quiet 1", "quiet 2"]);
  expect(await position()).toMatchObject({ stored: 5, broadcast: 5 });
});

test("a hole that is filled with a flood is shown before what follows", async () => {
  const one = new Instance("a");
  await one.store(put(quiet));
  one.gate.close();
  flood(5);
  const call = one.store(put(quiet));
  await expect.poll(position).toMatchObject({ stored: 5 });
  one.gate.open();
  await call;
  expect(shown).toEqual(["quiet 1 by a", ...floodedBy("a", 1, 5), "quiet 2 by a"]);
  expect(await position()).toMatchObject({ stored: 6, broadcast: 6 });
});

test("a flood behind something that has to be shown again is not left behind: it would be overtaken", async () => {
  const one = new Instance("a");
  one.retryBudgetMs = 0;
  one.gate.roomId = quiet;
  one.gate.failures = FAILURES;
  await expect(one.store(put(quiet))).rejects.toThrow("It is cut off.");
  one.retryBudgetMs = 30_000;
  one.gate.close();
  const second = one.store(...flood(4));
  const third = one.store(put(quiet));
  await expect.poll(position).toMatchObject({ stored: 4, broadcast: -1 });
  expect(await isEnded(second)).toBe(false);
  one.gate.open();
  await Promise.all([second, third]);
  await allShown(one.bus);
  expect(shown).toEqual(["quiet 1 by a", ...floodedBy("a", 1, 4), "quiet 2 by a"]);
  expect(await position()).toMatchObject({ stored: 5, broadcast: 5 });
});

test("what took numbers of a flood, after the log went back, is shown once that is", async () => {
  const one = new Instance("a");
  await one.store(put(quiet));
  one.gate.close();
  await one.store(...flood(6));
  log.goBack(HUB, "0", 3);
  const event = put(quiet);
  expect(event.sequenceNumber).toBe(3);
  const stream = { hub: HUB, partitionId: "0", hubId: await log.hubId(HUB) };
  await inTransaction(database, (tx) => moveBack(tx, stream, 2));
  const call = one.store(event);
  expect(await isEnded(call)).toBe(false);
  one.gate.open();
  await call;
  expect(shown).toEqual(["quiet 1 by a", ...floodedBy("a", 1, 6), "quiet 2 by a"]);
  expect(await position()).toMatchObject({ stored: 3, broadcast: 3 });
});

test("where the next batch can't be shown it is shown again behind the one before it", async () => {
  const one = new Instance("a");
  one.gate.close();
  await one.store(...flood(4));
  const held = one.gate;
  // Those of the first batch wait for one gate, the next batch's for another.
  one.gate = new Gate();
  one.gate.roomId = quiet;
  one.gate.failures = FAILURES;
  const second = one.store(put(quiet), ...flood(1));
  await expect.poll(() => one.gate.failures).toBe(0);
  held.open();
  await second;
  await allShown(one.bus);
  expect(shown.filter((text) => text.startsWith("flooded")).slice(0, 4)).toEqual(floodedBy("a", 1, 4));
  expect(shown.slice(-2).toSorted()).toEqual(["flooded 5 by a", "quiet 1 by a"]);
  expect(await position()).toMatchObject({ stored: 5, broadcast: 5 });
  expect(await position()).not.toHaveProperty("broadcaster");
});
