import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { start } from "../../local/eventHubs/server.js";
import { freePort } from "../../local/ports.js";
import type { EventBus } from "../../shared/bus/eventBus.js";
import { connectEventHubs } from "../../shared/bus/eventHubs.js";
import { connectKafka } from "../../shared/bus/kafka.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { noKafka, ownKafka } from "../support/kafka.js";

/**
 * A hub with two partitions and the consumer group for recovering. Nobody else publishes to it, which is why
 * the server is not the stack's.
 */
const HUB = "orders";
const PARTITIONS = ["0", "1"];
const HUBS = { [HUB]: PARTITIONS.length, "chat-messages": 1 };
const MANY = 1_000;
/** More than any test reads. */
const END = 1_000_000;

interface Content {
  readonly test: string;
  readonly index: number;
}

interface Setting {
  readonly bus: EventBus;
  /** Cuts the bus's connections, and resolves when its server takes new ones. */
  cut(): Promise<void>;
  close(): Promise<void>;
}

async function fakeSetting(): Promise<Setting> {
  const bus = new FakeEventBus(HUBS);
  return { bus, cut: async () => bus.loseConnection(), close: () => bus.close() };
}

async function realSetting(): Promise<Setting> {
  const data = mkdtempSync(join(tmpdir(), "event-bus-"));
  const hubs = Object.fromEntries(
    Object.entries(HUBS).map(([name, partitions]) => [
      name,
      { partitions, retentionHours: 1, consumerGroups: ["chat-recover"] },
    ]),
  );
  let server = await start({ port: 0, data, hubs });
  const bus = connectEventHubs(server.connectionString);
  return {
    bus,
    async cut() {
      const { port } = server;
      await server.close();
      server = await start({ port, data, hubs });
    },
    async close() {
      await bus.close();
      await server.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

async function kafkaSetting(): Promise<Setting> {
  const kafka = await ownKafka(HUBS);
  const bus = connectKafka({ brokers: [kafka.brokers] });
  return {
    bus,
    cut: () => kafka.startAgain("killed"),
    async close() {
      await bus.close();
      await kafka.close();
    },
  };
}

/** Each with the reason why it can't run here, if there is one. */
const BUSES: readonly [name: string, open: () => Promise<Setting>, missing: string | undefined][] = [
  ["the fake", fakeSetting, undefined],
  ["Event Hubs", realSetting, undefined],
  ["Apache Kafka", kafkaSetting, noKafka],
];

describe.for(BUSES)("the event bus of %s", ([_name, open, missing]) => {
  let bus: EventBus;
  let cut: () => Promise<void>;
  let close: (() => Promise<void>) | undefined;
  /** Where each test's events may begin: the partitions' ends before it. */
  let run = 0;

  beforeAll(async () => {
    if (missing === undefined) ({ bus, cut, close } = await open());
  });
  afterAll(() => close?.());
  beforeEach(({ skip }) => skip(missing !== undefined, missing));

  const contentOf = (body: Uint8Array): Content => JSON.parse(Buffer.from(body).toString());

  /** Publishes events one after another under one key and returns where they stand. */
  async function publishSingly(
    key: string,
    count: number,
  ): Promise<{ partitionId: string; numbers: number[] }> {
    const name = `${process.pid}-${++run}-${Math.random()}`;
    for (let index = 0; index < count; index += 1) await bus.publish(HUB, key, { test: name, index });
    const found = [];
    for (const partitionId of PARTITIONS) {
      const events = await readAll(partitionId);
      const ours = events.filter(({ body }) => contentOf(body).test === name);
      if (ours.length > 0) found.push({ partitionId, events: ours });
    }
    expect(found).toHaveLength(1);
    const { partitionId, events } = found[0]!;
    expect(events.map(({ body }) => contentOf(body).index)).toEqual(events.map((_, index) => index));
    expect(events.map((event) => event.key)).toEqual(events.map(() => key));
    return { partitionId, numbers: events.map(({ sequenceNumber }) => sequenceNumber) };
  }

  const readAll = async (partitionId: string) =>
    bus.readRange(HUB, partitionId, await bus.firstSequenceNumber(HUB, partitionId), END, END);
  const numbersIn = async (partitionId: string, from: number, to: number, limit = MANY): Promise<number[]> =>
    (await bus.readRange(HUB, partitionId, from, to, limit)).map(({ sequenceNumber }) => sequenceNumber);

  test("can be reached", async () => {
    await bus.ping();
  });

  test("knows whether it has a hub", async () => {
    expect([await bus.hasHub(HUB), await bus.hasHub("no-such-hub")]).toEqual([true, false]);
  });

  test("names a hub's partitions", async () => {
    expect([...(await bus.partitionIds(HUB))].sort()).toEqual(PARTITIONS);
  });

  test("names the partition of a key", async () => {
    for (const key of ["1", "42", "9007199254740991", "비"]) {
      const { partitionId } = await publishSingly(key, 1);
      expect(await bus.partitionOf(HUB, key)).toBe(partitionId);
    }
  });

  test("keeps the events of one key in one partition, in their order, and numbers them without a gap", async () => {
    const { numbers } = await publishSingly("key-1", 30);
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
  });

  test("keeps each key's order also when several are published at once", async () => {
    await Promise.all(
      ["a", "b", "c", "d"].map(async (key) => {
        for (let index = 0; index < 15; index += 1)
          await bus.publish(HUB, `${key}-order`, { test: key, index });
      }),
    );
    for (const key of ["a", "b", "c", "d"]) {
      const all = (await Promise.all(PARTITIONS.map(readAll)))
        .flat()
        .filter((one) => one.key === `${key}-order`);
      expect(all.map(({ body }) => contentOf(body).index)).toEqual(Array.from({ length: 15 }, (_, i) => i));
    }
  });

  test("gives back an event's JSON as it was, whatever the characters", async () => {
    const event = { text: '비 👩‍🚀 \0 \u2028 \\ "', deep: { list: [1, null, -0.5] } };
    await bus.publish(HUB, "비 key", event);
    const all = (await Promise.all(PARTITIONS.map(readAll))).flat().filter(({ key }) => key === "비 key");
    expect(all.map(({ body }) => JSON.parse(Buffer.from(body).toString()))).toEqual([event]);
  });

  describe("events of one key that are published together", () => {
    const under = async (key: string) =>
      (await Promise.all(PARTITIONS.map(readAll))).filter((events) => events.some((one) => one.key === key));
    const named = (name: string, count: number): Content[] =>
      Array.from({ length: count }, (_, index) => ({ test: name, index }));

    test("stand in one partition one behind the other, in their order, each with the key", async () => {
      await bus.publishAll(HUB, "together", named("together", 200));
      const [events, ...others] = await under("together");
      expect(others).toEqual([]);
      const ours = events!.filter(({ key }) => key === "together");
      expect(ours.map(({ body }) => contentOf(body))).toEqual(named("together", 200));
      const first = ours[0]!.sequenceNumber;
      expect(ours.map(({ sequenceNumber }) => sequenceNumber)).toEqual(ours.map((_, index) => first + index));
    });

    test("stand where events of that key that are published singly do, in the order of publishing", async () => {
      await bus.publish(HUB, "mixed", { test: "mixed", index: 0 });
      await bus.publishAll(HUB, "mixed", named("mixed", 4).slice(1));
      await bus.publish(HUB, "mixed", { test: "mixed", index: 4 });
      const [events, ...others] = await under("mixed");
      expect(others).toEqual([]);
      const ours = events!.filter(({ key }) => key === "mixed");
      expect(ours.map(({ body }) => contentOf(body))).toEqual(named("mixed", 5));
    });

    test("may be none: nothing is published", async () => {
      const before = await numbersOf("key-none");
      await bus.publishAll(HUB, "key-none", []);
      expect(await numbersOf("key-none")).toEqual(before);
    });

    test("may be one", async () => {
      await bus.publishAll(HUB, "one", [{ test: "one", index: 0 }]);
      expect(await numbersOf("one")).toHaveLength(1);
    });

    test("may have nearly 1 MB, in any characters", async () => {
      const large = Array.from({ length: 300 }, (_, index) => ({ index, text: '비"\\\u0000😀'.repeat(150) }));
      expect(JSON.stringify(large).length).toBeLessThan(1024 * 1024);
      await bus.publishAll(HUB, "large", large);
      const [events] = await under("large");
      const ours = events!.filter(({ key }) => key === "large");
      expect(ours.map(({ body }) => JSON.parse(Buffer.from(body).toString()))).toEqual(large);
    });

    test("stay together, each key's in their order, also when several are published at once", async () => {
      const keys = ["p", "q", "r", "s"].map((key) => `${key}-at-once`);
      await Promise.all(
        keys.map(async (key) => {
          for (let index = 0; index < 30; index += 10)
            await bus.publishAll(HUB, key, named(key, 30).slice(index, index + 10));
        }),
      );
      for (const key of keys) {
        const [events] = await under(key);
        const ours = events!.filter((one) => one.key === key);
        expect(ours.map(({ body }) => contentOf(body))).toEqual(named(key, 30));
      }
    });

    const numbersOf = async (key: string): Promise<number[]> =>
      (await Promise.all(PARTITIONS.map(readAll)))
        .flat()
        .filter((one) => one.key === key)
        .map(({ sequenceNumber }) => sequenceNumber);
  });

  test("keeps the trace that an event is published with, and that of several", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await bus.publish(HUB, "traced", { test: "trace", index: 0 }, traceparent);
    await bus.publishAll(HUB, "traced", [{ index: 1 }, { index: 2 }], traceparent);
    await bus.publish(HUB, "traced", { test: "trace", index: 3 });
    const all = (await Promise.all(PARTITIONS.map(readAll))).flat().filter(({ key }) => key === "traced");
    expect(all.map((event) => event.traceparent)).toEqual([traceparent, traceparent, traceparent, undefined]);
  });

  test("knows a partition's last event, and when it came", async () => {
    const before = Date.now();
    const { partitionId, numbers } = await publishSingly("key-5", 3);
    const last = await bus.lastEnqueued(HUB, partitionId);
    expect(last!.sequenceNumber).toBe(numbers.at(-1));
    expect(last!.on!.getTime()).toBeGreaterThanOrEqual(before - 1_000);
    expect(last!.on!.getTime()).toBeLessThanOrEqual(Date.now() + 1_000);
    expect((await readAll(partitionId)).at(-1)!.enqueuedOn).toEqual(last!.on);
  });

  test("has no last event where none ever was", async () => {
    expect(await bus.lastEnqueued("chat-messages", "0")).toBeUndefined();
  });

  test("reads a range with both its ends, and no more than the limit", async () => {
    const { partitionId, numbers } = await publishSingly("key-2", 12);
    const [first] = numbers as [number];
    expect(await numbersIn(partitionId, first + 3, first + 5)).toEqual([first + 3, first + 4, first + 5]);
    expect(await numbersIn(partitionId, first + 3, first + 3)).toEqual([first + 3]);
    expect(await numbersIn(partitionId, first + 3, first + 9, 2)).toEqual([first + 3, first + 4]);
    expect(await numbersIn(partitionId, first, first + 11)).toEqual(numbers);
  });

  test("reads what there is of a range that goes past the end, and nothing of one behind it", async () => {
    const { partitionId, numbers } = await publishSingly("key-3", 3);
    const last = numbers.at(-1)!;
    expect(await numbersIn(partitionId, last - 1, last + 50)).toEqual([last - 1, last]);
    expect(await numbersIn(partitionId, last + 1, last + 50)).toEqual([]);
    expect(await numbersIn(partitionId, last, last - 1)).toEqual([]);
  });

  test("knows a partition's first event", async () => {
    const { partitionId } = await publishSingly("key-4", 1);
    const first = await bus.firstSequenceNumber(HUB, partitionId);
    expect((await readAll(partitionId))[0]?.sequenceNumber).toBe(first);
  });

  test("tells the same id of a hub, however often it is asked", async () => {
    const id = await bus.hubId(HUB);
    expect(id).toMatch(/^[!-~]{1,40}$/);
    expect(await bus.hubId(HUB)).toBe(id);
    expect(await bus.hubId(HUB, "fresh")).toBe(id);
    expect(await bus.hubId("chat-messages")).not.toBe(id);
  });

  test.each<[string, (bus: EventBus) => Promise<unknown>]>([
    ["publish", (one) => one.publish("no-such-hub", "1", {})],
    ["publishAll", (one) => one.publishAll("no-such-hub", "1", [{}])],
    ["publishAgain", (one) => one.publishAgain("no-such-hub", "1", Buffer.from("a"), "a/0/1")],
    ["hubId", (one) => one.hubId("no-such-hub")],
    ["firstSequenceNumber", (one) => one.firstSequenceNumber("no-such-hub", "0")],
    ["readRange", (one) => one.readRange("no-such-hub", "0", 0, 1, 1)],
    ["firstSequenceNumber of no partition", (one) => one.firstSequenceNumber(HUB, "99")],
    ["readRange of no partition", (one) => one.readRange(HUB, "99", 0, 1, 1)],
  ])("says UNAVAILABLE of a hub that is not there: %s", async (_what, ask) => {
    await expect(ask(bus)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test("names its connection: the same while it lasts, another one once it was lost", async () => {
    const { partitionId, numbers } = await publishSingly("connected", 1);
    const name = bus.connection(HUB);
    expect(name).toEqual(expect.any(String));
    await publishSingly("connected", 1);
    await bus.readRange(HUB, partitionId, numbers[0]!, numbers[0]!, 1);
    expect(bus.connection(HUB)).toBe(name);
    await cut();
    await expect.poll(() => bus.lastEnqueued(HUB, partitionId).catch(() => undefined)).toBeDefined();
    expect(bus.connection(HUB)).toEqual(expect.any(String));
    expect(bus.connection(HUB)).not.toBe(name);
  });

  // The last one: the others read all events as JSON.
  test("publishes bytes again as they are, under their key, with the dead letter's place", async () => {
    const bytes = Buffer.from([0, 255, 34, 10, 254]);
    const { partitionId, numbers } = await publishSingly("key-again", 1);
    await bus.publishAgain(HUB, "key-again", bytes, "orders-dlt/0/7");
    const [first, again, ...more] = (await readAll(partitionId)).filter(({ key }) => key === "key-again");
    expect(more).toEqual([]);
    expect([first!.sequenceNumber, first!.replayOf]).toEqual([numbers[0], undefined]);
    expect(Buffer.from(again!.body).equals(bytes)).toBe(true);
    expect(again!.replayOf).toBe("orders-dlt/0/7");
  });
});

describe("an event bus that is away", () => {
  test.each<[string, () => Promise<EventBus>]>([
    [
      "as the fake says",
      async () => {
        const fake = new FakeEventBus({ [HUB]: 1 });
        fake.away = true;
        return fake;
      },
    ],
    [
      "because nobody listens",
      async () => {
        const port = await freePort();
        return connectEventHubs(
          `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true;`,
        );
      },
    ],
    ["because no broker listens", async () => connectKafka({ brokers: [`127.0.0.1:${await freePort()}`] })],
  ])("says UNAVAILABLE, %s", async (_why, open) => {
    const bus = await open();
    for (const ask of [
      () => bus.publish(HUB, "1", {}),
      () => bus.publishAll(HUB, "1", [{}, {}]),
      () => bus.hubId(HUB),
      () => bus.hasHub(HUB),
      () => bus.readRange(HUB, "0", 0, 1, 1),
      () => bus.ping(),
    ])
      await expect(ask()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await bus.close();
  });
});

describe("what Event Hubs says can never be done", () => {
  let data: string;
  let connectionString: string;
  let close: () => Promise<void>;
  const told: string[] = [];

  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), "event-bus-faults-"));
    ({ connectionString, close } = await start({
      port: 0,
      data,
      hubs: { "chat-messages": { partitions: 1, consumerGroups: [] } },
    }));
  });
  afterAll(async () => {
    await close();
    rmSync(data, { recursive: true, force: true });
  });

  test.each<[string, (connection: string) => string, string, string]>([
    ["a wrong key", (all) => all.replace("SAS_KEY_VALUE", "WRONG"), "chat-messages", "UnauthorizedError"],
    ["a hub that is not there", (all) => all, "orders", "MessagingEntityNotFoundError"],
  ])("is told, and asks nobody to send it again: %s", async (_what, change, hub, code) => {
    told.length = 0;
    const bus = connectEventHubs(change(connectionString), { onFault: ({ kind }) => told.push(kind) });
    for (const ask of [() => bus.publish(hub, "key", { a: 1 }), () => bus.partitionIds(hub)]) {
      const failure = await ask().catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "UNAVAILABLE", details: { toBeMended: true } });
      expect(String(failure)).not.toMatch(/again/);
    }
    expect(told).toEqual([code, code]);
    await bus.close();
  });
});
