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

beforeAll(async () => {
  ({ database, close } = await newDatabase());
});
afterAll(() => close());
beforeEach(() => {
  bus = new FakeEventBus({ [MESSAGES]: 2, [READS]: 1 });
  for (const hub of bus.hubs.values()) hub.id = String(now);
  stored = [];
  beforeStore = async () => {};
  const deps = { database, now: () => now, retryBudgetMs: 300 };
  former = createFormerBus(bus, { [MESSAGES]: store, [READS]: store }, deps);
  now += 1_000_000;
});

const store = (batch: EventBatch, deps: ConsumeDeps): Promise<void> =>
  consumeBatch(
    batch,
    {
      store: async (_tx, events) => {
        await beforeStore();
        return { result: events.map(({ body }) => String(body)), refused: [] };
      },
      deadLetterHub: "none",
      nothing: [] as string[],
      combine: (first, second) => [...first, ...second],
      show: async (_stream, bodies) => void stored.push(...bodies),
      shown: { kind: "byOutbox" },
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
  now += 10_001;
  expect(await former.state()).toBe("drained");
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
  await former.sweep();
  put(MESSAGES, "1", "late");
  put(READS, "0", "read");
  await former.sweep();
  expect(stored).toEqual([]);
  now += 30_000;
  await former.sweep();
  expect(stored.sort()).toEqual(["late", "read"]);
});
