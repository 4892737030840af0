import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { EventBatch, ReceivedEvent } from "../../shared/bus/eventBus.js";
import { consumeBatch } from "../../shared/consumers/consumeBatch.js";
import type { ConsumeDeps } from "../../shared/consumers/deps.js";
import { Streams } from "../../shared/consumers/streams.js";
import { ChatError } from "../../shared/platform/errors.js";
import type { Database } from "../../shared/store/database.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { newDatabase } from "../support/database.js";

const MESSAGES = "chat-messages";
const READS = "chat-read-events";

let database: Database;
let close: () => Promise<void>;
let bus: FakeEventBus;
let streams: Streams;
let deps: ConsumeDeps;
let now = 1_800_000_000_000;
/** As the store of messages does it: what comes a second time is neither stored nor shown again. */
let stored: Set<string>;

beforeAll(async () => {
  ({ database, close } = await newDatabase());
});
afterAll(() => close());
// What a test left running would store into the next one's hub.
afterEach(() => streams.idle());
beforeEach(() => {
  now += 10_000_000;
  bus = new FakeEventBus({ [MESSAGES]: 2, [READS]: 1 });
  for (const hub of bus.hubs.values()) hub.id = String(now);
  stored = new Set();
  deps = { database, bus, now: () => now, retryBudgetMs: 300 };
  streams = new Streams({ [MESSAGES]: store, [READS]: store }, deps);
});

function store(batch: EventBatch): Promise<void> {
  return consumeBatch(
    batch,
    {
      lookUp: async (_tx, events) => async () => ({
        result: () => events.map(({ body }) => String(body)),
        refused: [],
      }),
      deadLetterHub: "none",
      nothing: [] as string[],
      combine: (first, second) => [...first, ...second],
      show: async (_stream, bodies) => {
        for (const body of bodies) stored.add(body);
      },
      shown: { kind: "byOutbox" },
    },
    {
      ...deps,
      beforeBatch: (stream) => streams.beforeBatch(stream),
      onBatch: (...batch) => streams.onBatch(...batch),
    },
  );
}

/** Puts events into a partition, a second of the bus's clock apart. */
const put = (partitionId: string, ...bodies: readonly string[]): ReceivedEvent[] =>
  bodies.map((body) => {
    now += 1_000;
    const event = bus.append(MESSAGES, partitionId, body);
    return Object.assign(event, { enqueuedOn: new Date(now) });
  });

const deliver = (partitionId: string, events: readonly ReceivedEvent[]): Promise<void> =>
  store({ hub: MESSAGES, partitionId, events });

const sweepLater = async (): Promise<void> => {
  now += 10_000;
  await streams.sweep();
  await streams.idle();
};

describe("a log that went back after event 5 of 10", () => {
  const TEN = Array.from({ length: 10 }, (_, index) => `old ${index}`);
  const EIGHT = Array.from({ length: 8 }, (_, index) => `new ${index}`);

  /** The log after it went back and eight events more. */
  const goBack = async (): Promise<ReceivedEvent[]> => {
    await deliver("0", put("0", ...TEN));
    bus.goBack(MESSAGES, "0", 5);
    bus.loseConnection();
    now += 60_000;
    return put("0", ...EIGHT);
  };

  test("is found by a trigger that goes on behind its position", async () => {
    const events = await goBack();
    await deliver("0", events.slice(5));
    expect([...stored]).toEqual([...TEN, ...EIGHT]);
  });

  test("is found by a trigger that begins again before its position", async () => {
    const events = await goBack();
    await deliver("0", events.slice(0, 3));
    await deliver("0", events.slice(3));
    expect([...stored]).toEqual([...TEN, ...EIGHT]);
  });

  test("is found in a batch with the number that was stored last, though no connection was lost", async () => {
    const ten = put("0", ...TEN);
    await deliver("0", ten);
    bus.goBack(MESSAGES, "0", 5);
    const eight = EIGHT.map((body) => bus.append(MESSAGES, "0", body));
    for (const event of eight) Object.assign(event, { enqueuedOn: new Date(now + 60_000) });
    await deliver("0", eight.slice(2));
    expect([...stored]).toEqual([...TEN, ...EIGHT]);
  });

  test("is found where connections are opened by comparing alone, and were lost twice within seconds", async () => {
    const ten = put("0", ...TEN);
    await deliver("0", ten.slice(0, 5));
    bus.loseConnection("when asked");
    await deliver("0", ten.slice(5));
    bus.goBack(MESSAGES, "0", 5);
    bus.loseConnection("when asked");
    const eight = put("0", ...EIGHT);
    await deliver("0", eight.slice(5));
    expect([...stored]).toEqual([...TEN, ...EIGHT]);
  });

  describe("while the hub can't be read to compare it", () => {
    let goOn: () => void;
    const hang = async (): Promise<ReceivedEvent[]> => {
      const events = await goBack();
      // By then this process doesn't suspect any more that batches are of the hubs of the tests before.
      now += 700_000;
      bus.hanging = new Promise((resolve) => {
        goOn = resolve;
      });
      return events.slice(5);
    };

    test("stores nothing behind it, and all of it in order once it can", async () => {
      const events = await hang();
      await expect(deliver("0", events)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect([...stored]).toEqual(TEN);
      goOn();
      await deliver("0", events);
      expect([...stored]).toEqual([...TEN, ...EIGHT]);
    });

    test("goes on without after two minutes, and finds it later", async () => {
      const events = await hang();
      await expect(deliver("0", events)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      now += 120_000;
      await deliver("0", events);
      expect([...stored]).toEqual([...TEN, ...EIGHT.slice(5)]);
      goOn();
      await deliver("0", put("0", "new 8"));
      await expect.poll(() => [...stored].sort()).toEqual([...EIGHT, "new 8", ...TEN].sort());
    });

    test("does so, too, where reading fails instead of waiting", async () => {
      const events = await hang();
      bus.hanging = Promise.reject(new ChatError("UNAVAILABLE", "reading fails"));
      bus.hanging.catch(() => {});
      await expect(deliver("0", events)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      now += 120_000;
      await deliver("0", events);
      bus.hanging = undefined;
      await deliver("0", put("0", "new 8"));
      await expect.poll(() => [...stored].sort()).toEqual([...EIGHT, "new 8", ...TEN].sort());
    });
  });

  test("whose clock was ahead by an hour is found, too, and read from its beginning", async () => {
    await deliver("0", put("0", ...TEN));
    bus.goBack(MESSAGES, "0", 5);
    bus.loseConnection();
    const eight = EIGHT.map((body) => bus.append(MESSAGES, "0", body));
    for (const event of bus.hubs.get(MESSAGES)!.partitions[0]!)
      Object.assign(event, { enqueuedOn: new Date(now - 3_600_000) });
    await deliver("0", eight.slice(2));
    expect([...stored]).toEqual([...TEN, ...EIGHT]);
  });

  test("is not seen in a position that an earlier version has moved without its time", async () => {
    await deliver("0", put("0", ...TEN));
    const [event] = put("0", "stored by the earlier version");
    await database.query("UPDATE stream_positions SET stored_sequence_number = 10 WHERE hub_id = ?", [
      bus.hubs.get(MESSAGES)!.id,
    ]);
    now += 60_000;
    bus.loseConnection();
    await deliver("0", put("0", "next"));
    expect(event!.sequenceNumber).toBe(10);
    expect([...stored]).toEqual([...TEN, "next"]);
  });

  test("is found by the sweep where it stands, longer than the position, before anything behind it is read", async () => {
    await goBack();
    for (const _look of [1, 2, 3]) await sweepLater();
    expect([...stored]).toEqual([...TEN, ...EIGHT]);
  });

  test("is found by the sweep while it is shorter than the position, without any trigger", async () => {
    await deliver("0", put("0", ...TEN));
    bus.goBack(MESSAGES, "0", 5);
    put("0", "new 0", "new 1");
    await sweepLater();
    expect([...stored].sort()).toEqual(["new 0", "new 1", ...TEN].sort());
    // And goes on there.
    await deliver("0", put("0", "new 2"));
    expect(stored).toContain("new 2");
  });

  test("with nothing new in it goes on from its end", async () => {
    await deliver("0", put("0", ...TEN));
    bus.goBack(MESSAGES, "0", 5);
    await sweepLater();
    await deliver("0", put("0", "new 0"));
    await streams.idle();
    expect([...stored].sort()).toEqual(["new 0", ...TEN].sort());
  });
});

test("a batch that comes again is no log that went back", async () => {
  const events = put("0", "a", "b", "c");
  await deliver("0", events);
  now += 5_000;
  bus.loseConnection();
  await deliver("0", events);
  await streams.idle();
  now += 5_000;
  await deliver("0", put("0", "d"));
  await streams.idle();
  expect([...stored]).toEqual(["a", "b", "c", "d"]);
});

describe("a partition that stands", () => {
  test("is read by the sweep after 20 s, and one that moves is not", async () => {
    await deliver("0", put("0", "a"));
    put("0", "b", "c");
    put("1", "never begun");
    await sweepLater();
    expect([...stored]).toEqual(["a"]);
    await sweepLater();
    await sweepLater();
    expect([...stored].sort()).toEqual(["a", "b", "c", "never begun"]);
  });

  test("is read by each sweep from then on, until a trigger brings something of it", async () => {
    put("0", "a");
    for (const _look of [1, 2, 3]) await sweepLater();
    put("0", "b");
    await sweepLater();
    expect([...stored]).toEqual(["a", "b"]);
    await deliver("0", put("0", "c"));
    put("0", "d");
    await sweepLater();
    expect([...stored]).toEqual(["a", "b", "c"]);
  });

  test("is left to a trigger that is slow but goes on", async () => {
    const events = put("0", "a", "b", "c", "d", "e");
    for (const event of events.slice(0, 4)) {
      await deliver("0", [event]);
      await sweepLater();
    }
    expect([...stored]).toEqual(["a", "b", "c", "d"]);
  });
});
