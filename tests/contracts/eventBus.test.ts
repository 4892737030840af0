import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { EventBus } from "../../shared/bus/eventBus.js";
import { connectEventHubs } from "../../shared/bus/eventHubs.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { unusedPort } from "../support/unusedPort.js";

/** A hub that nobody else uses meanwhile, with two partitions and the consumer group for recovering. */
const HUB = "chat-read-events";
const PARTITIONS = ["0", "1"];
const MANY = 1_000;
/** More than any test reads. */
const END = 1_000_000;

interface Content {
  readonly test: string;
  readonly index: number;
}

describe.each<[string, () => EventBus]>([
  ["the fake", () => new FakeEventBus({ [HUB]: PARTITIONS.length, "chat-messages": 1 })],
  ["Event Hubs", () => connectEventHubs(inject("stack").eventHubs)],
])("the event bus of %s", (_name, open) => {
  let bus: EventBus;
  /** Where each test's events may begin: the partitions' ends before it. */
  let run = 0;

  beforeAll(() => {
    bus = open();
  });
  afterAll(() => bus.close());

  const contentOf = (body: Uint8Array): Content => JSON.parse(Buffer.from(body).toString());

  /** Publishes events one after another under one key and returns where they stand. */
  async function publishAll(key: string, count: number): Promise<{ partitionId: string; numbers: number[] }> {
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

  test("keeps the events of one key in one partition, in their order, and numbers them without a gap", async () => {
    const { numbers } = await publishAll("key-1", 30);
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

  test("takes an event with a trace", async () => {
    await bus.publish(
      HUB,
      "key-1",
      { test: "trace", index: 0 },
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
  });

  test("reads a range with both its ends, and no more than the limit", async () => {
    const { partitionId, numbers } = await publishAll("key-2", 12);
    const [first] = numbers as [number];
    expect(await numbersIn(partitionId, first + 3, first + 5)).toEqual([first + 3, first + 4, first + 5]);
    expect(await numbersIn(partitionId, first + 3, first + 3)).toEqual([first + 3]);
    expect(await numbersIn(partitionId, first + 3, first + 9, 2)).toEqual([first + 3, first + 4]);
    expect(await numbersIn(partitionId, first, first + 11)).toEqual(numbers);
  });

  test("reads what there is of a range that goes past the end, and nothing of one behind it", async () => {
    const { partitionId, numbers } = await publishAll("key-3", 3);
    const last = numbers.at(-1)!;
    expect(await numbersIn(partitionId, last - 1, last + 50)).toEqual([last - 1, last]);
    expect(await numbersIn(partitionId, last + 1, last + 50)).toEqual([]);
    expect(await numbersIn(partitionId, last, last - 1)).toEqual([]);
  });

  test("knows a partition's first event", async () => {
    const { partitionId } = await publishAll("key-4", 1);
    const first = await bus.firstSequenceNumber(HUB, partitionId);
    expect((await readAll(partitionId))[0]?.sequenceNumber).toBe(first);
  });

  test("tells the same time at which a hub was made, however often it is asked", async () => {
    const on = await bus.createdOn(HUB);
    expect(on).toBeInstanceOf(Date);
    expect(await bus.createdOn(HUB)).toEqual(on);
    expect(await bus.createdOn(HUB, "fresh")).toEqual(on);
  });

  test.each<[string, (bus: EventBus) => Promise<unknown>]>([
    ["publish", (one) => one.publish("no-such-hub", "1", {})],
    ["createdOn", (one) => one.createdOn("no-such-hub")],
    ["firstSequenceNumber", (one) => one.firstSequenceNumber("no-such-hub", "0")],
    ["readRange", (one) => one.readRange("no-such-hub", "0", 0, 1, 1)],
    ["firstSequenceNumber of no partition", (one) => one.firstSequenceNumber(HUB, "99")],
    ["readRange of no partition", (one) => one.readRange(HUB, "99", 0, 1, 1)],
  ])("says UNAVAILABLE of a hub that is not there: %s", async (_what, ask) => {
    await expect(ask(bus)).rejects.toMatchObject({ code: "UNAVAILABLE" });
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
        const port = await unusedPort();
        return connectEventHubs(
          `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true;`,
        );
      },
    ],
  ])("says UNAVAILABLE, %s", async (_why, open) => {
    const bus = await open();
    for (const ask of [
      () => bus.publish(HUB, "1", {}),
      () => bus.createdOn(HUB),
      () => bus.readRange(HUB, "0", 0, 1, 1),
      () => bus.ping(),
    ])
      await expect(ask()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await bus.close();
  });
});
