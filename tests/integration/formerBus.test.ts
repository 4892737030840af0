import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { EventBatch } from "../../shared/bus/eventBus.js";
import { consumeBatch } from "../../shared/consumers/consumeBatch.js";
import type { ConsumeDeps } from "../../shared/consumers/deps.js";
import { createFormerBus, type FormerBus } from "../../shared/consumers/formerBus.js";
import type { Database } from "../../shared/store/database.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { newDatabase } from "../support/database.js";

const MESSAGES = "chat-messages";
const READS = "chat-read-events";

let database: Database;
let close: () => Promise<void>;
let bus: FakeEventBus;
let former: FormerBus;
let now = 1_800_000_000_000;
let stored: string[] = [];
/** Called before each event is stored. */
let beforeStore: () => Promise<void>;
/** Called before each batch is shown. */
let beforeShow: () => Promise<void>;

beforeAll(async () => {
  ({ database, close } = await newDatabase());
});
afterAll(() => close());
beforeEach(() => {
  bus = new FakeEventBus({ [MESSAGES]: 2, [READS]: 1 });
  for (const hub of bus.hubs.values()) hub.id = String(now);
  stored = [];
  beforeStore = async () => {};
  beforeShow = async () => {};
  const deps = { database, now: () => now, retryBudgetMs: 300, showsBehind: true };
  former = createFormerBus(bus, { [MESSAGES]: store, [READS]: store }, deps);
  now += 1_000_000;
});

const store = (batch: EventBatch, deps: ConsumeDeps): Promise<void> =>
  consumeBatch(
    batch,
    {
      lookUp: async (_tx, events) => async () => {
        await beforeStore();
        return { result: () => events.map(({ body }) => String(body)), refused: [] };
      },
      deadLetterHub: "none",
      nothing: [] as string[],
      combine: (first, second) => [...first, ...second],
      show: async (_stream, bodies) => {
        await beforeShow();
        stored.push(...bodies);
      },
      shown: {
        kind: "byPosition",
        keysOf: () => new Set(["all"]),
        isLong: () => true,
        again: async (_stream, again) => void stored.push(...again.map(({ body }) => String(body))),
      },
    },
    deps,
  );

const put = (hub: string, partitionId: string, ...bodies: readonly string[]): void => {
  for (const body of bodies) bus.append(hub, partitionId, body);
};

test("what waits in a hub is stored once, of all its partitions in order, before it counts as drained", async () => {
  put(MESSAGES, "0", "a1", "a2");
  put(MESSAGES, "1", "b1");
  put(READS, "0", "r1");
  expect(await former.state()).toBe("draining");
  await Promise.all([former.drained(MESSAGES), former.drained(MESSAGES)]);
  expect(stored).toEqual(["a1", "a2", "b1"]);
  await former.drained(READS);
  await former.drained(READS);
  expect(stored).toEqual(["a1", "a2", "b1", "r1"]);
  expect(await former.state()).toBe("drained");
});

test("it is not drained before all of it is shown, however long that takes", async () => {
  put(MESSAGES, "0", "a1", "a2");
  let show = (): void => {};
  const isShown = new Promise<void>((resolve) => {
    show = resolve;
  });
  beforeShow = () => isShown;
  let isDrained = false;
  const drained = former.drained(MESSAGES).then(() => {
    isDrained = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect([isDrained, stored]).toEqual([false, []]);
  show();
  await drained;
  expect(stored).toEqual(["a1", "a2"]);
});

test("it is not drained while it is away, nor when its events can't be stored", async () => {
  put(MESSAGES, "0", "a1");
  bus.away = true;
  await expect(former.drained(MESSAGES)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(await former.state()).toBe("draining");
  bus.away = false;
  let fails = true;
  beforeStore = async () => {
    if (fails) throw Object.assign(new Error("gone"), { code: "ECONNRESET" });
  };
  await expect(former.drained(MESSAGES)).rejects.toThrow();
  expect(stored).toEqual([]);
  fails = false;
  await former.drained(MESSAGES);
  expect(stored).toEqual(["a1"]);
});

test("what instances with the old settings publish later is stored by the sweep, twice a minute", async () => {
  await former.drained(MESSAGES);
  former.sweep();
  await expect.poll(former.state).toBe("drained");
  put(MESSAGES, "1", "late");
  put(READS, "0", "read");
  former.sweep();
  expect(await former.state()).toBe("draining");
  now += 30_000;
  former.sweep();
  await expect.poll(former.state).toBe("drained");
  expect(stored.sort()).toEqual(["late", "read"]);
});

test("instances that go on publishing there don't keep the gate shut", async () => {
  put(MESSAGES, "0", "a1", "a2");
  let more = 0;
  beforeStore = async () => put(MESSAGES, "0", `more ${++more}`);
  await former.drained(MESSAGES);
  expect(stored).toEqual(["a1", "a2"]);
  expect(more).toBe(1);
});

test("all who wait for a hub wait for the same work", async () => {
  put(MESSAGES, "0", "a1");
  let begun = 0;
  beforeStore = async () => {
    begun += 1;
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw Object.assign(new Error("gone"), { code: "ECONNRESET" });
  };
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => former.drained(MESSAGES)));
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["rejected"]));
  // 300 ms of tries, once and not twenty times.
  expect(begun).toBeLessThan(8);
});

test("a hub that the former bus does not have is empty", async () => {
  bus.hubs.delete(READS);
  await former.drained(READS);
  expect(await former.state()).toBe("drained");
});

test("what retention has taken before it was stored does not hold up the rest", async () => {
  put(MESSAGES, "0", "a1");
  await former.drained(MESSAGES);
  put(MESSAGES, "0", "a2", "a3");
  bus.cutBefore(MESSAGES, "0", 3);
  expect(await former.state()).toBe("draining");
  now += 30_000;
  former.sweep();
  await expect.poll(former.state).toBe("drained");
  expect(stored).toEqual(["a1"]);
});
