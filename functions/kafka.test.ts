import type { InvocationContext } from "@azure/functions";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { kafkaBatchesOf } from "./kafka.js";
import type { Consumer } from "./trigger.js";

type Batch = Parameters<Consumer["store"]>[0];

const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const stored: Batch[] = [];
const caughtUp: [hub: string, partitionId: string | undefined][] = [];
const said: string[] = [];
let refused: string | undefined;
const consumer: Consumer = {
  async store(batch) {
    if (batch.partitionId === refused) throw new Error(`partition ${refused} fails`);
    stored.push(batch);
  },
  catchUp: async (...place) => void caughtUp.push(place),
};
let trigger: ReturnType<typeof kafkaBatchesOf>;

beforeEach(() => {
  trigger = kafkaBatchesOf("chat-messages", "chat-persist", consumer, { protocol: "plaintext" });
  for (const list of [stored, caughtUp, said]) list.length = 0;
  refused = undefined;
  vi.spyOn(console, "error").mockImplementation((line: string) => void said.push(line));
});
afterEach(() => vi.restoreAllMocks());

const call = (bodies: unknown, triggerMetadata: unknown) =>
  trigger.handler(bodies as never, { triggerMetadata } as unknown as InvocationContext);

const BODIES = [Buffer.from("a"), Buffer.from("b"), Buffer.from("c")];
const METADATA = {
  partitionArray: [0, 2, 0],
  offsetArray: [41, 7, 42],
  topicArray: ["chat-messages", "chat-messages", "chat-messages"],
  keyArray: ["1", null, "3"],
  headersArray: [[], [{ Key: "traceparent", Value: Buffer.from(TRACE).toString("base64") }], []],
};

const what = () =>
  stored.map(({ partitionId, events }) => [
    partitionId,
    events.map(({ sequenceNumber, key, body }) => [sequenceNumber, key, String(body)]),
  ]);
const READ = [
  [
    "0",
    [
      [41, "1", "a"],
      [42, "3", "c"],
    ],
  ],
  ["2", [[7, undefined, "b"]]],
];

test("the binding asks for the bytes of many events, by the settings", () => {
  expect(trigger.trigger).toEqual({
    type: "kafkaTrigger",
    name: "events",
    direction: "in",
    brokerList: "%KAFKA_BROKERS%",
    topic: "chat-messages",
    consumerGroup: "chat-persist",
    cardinality: "many",
    dataType: "binary",
    protocol: "plaintext",
  });
});

describe("a batch of several partitions is stored by partition, in order", () => {
  const long = (low: number, high = 0) => ({ low, high, unsigned: false });

  test.each<[string, object]>([
    ["as the host sends it", METADATA],
    ["with offsets as text", { ...METADATA, offsetArray: ["41", "7", "42"] }],
    ["with offsets as halves of a Long", { ...METADATA, offsetArray: [long(41), long(7), long(42)] }],
    ["with offsets as they cross the wire", { ...METADATA, offsetArray: { sint64: ["41", "7", "42"] } }],
    ["with lists as JSON", { ...METADATA, partitionArray: "[0,2,0]", keyArray: '["1",null,"3"]' }],
    [
      "with names as the extension has them",
      Object.fromEntries(
        Object.entries(METADATA).map(([name, list]) => [`${name[0]!.toUpperCase()}${name.slice(1)}`, list]),
      ),
    ],
  ])("%s", async (_how, metadata) => {
    await call(BODIES, metadata);
    expect(caughtUp).toEqual([]);
    expect(what()).toEqual(READ);
    expect(stored[1]!.events[0]!.traceparent).toBe(TRACE);
  });

  test("without keys where the list is shorter than the batch", async () => {
    await call(BODIES, { ...METADATA, keyArray: ["1", "3"] });
    expect(stored.flatMap(({ events }) => events.map(({ key }) => key))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("with a hole, which is for the consumer to fill", async () => {
    await call(BODIES, { ...METADATA, offsetArray: [41, 7, 45] });
    expect(what()[0]).toEqual([
      "0",
      [
        [41, "1", "a"],
        [45, "3", "c"],
      ],
    ]);
  });

  test.each<[string, string]>([
    ["in base64", Buffer.from("chat-messages-dlt/0/7").toString("base64")],
    ["as text", "chat-messages-dlt/0/7"],
  ])("with the dead letter that an event is the replay of, %s", async (_how, Value) => {
    await call(BODIES, { ...METADATA, headersArray: [[{ Key: "chat-replay-of", Value }], [], []] });
    expect(stored.flatMap(({ events }) => events.map(({ replayOf }) => replayOf))).toEqual([
      "chat-messages-dlt/0/7",
      undefined,
      undefined,
    ]);
  });

  test.each<[string, unknown]>([
    ["there are none", undefined],
    ["they are garbage", "x"],
    ["the value is no trace", [[{ Key: "traceparent", Value: "bm8=" }], [{ Key: "traceparent" }], [{}]]],
  ])("without traces where %s", async (_what, headersArray) => {
    await call(BODIES, { ...METADATA, headersArray });
    expect(what()).toEqual(READ);
    expect(stored.flatMap(({ events }) => events.filter((event) => "traceparent" in event))).toEqual([]);
  });

  test("partition by partition: one that fails brings all again, and the others are stored", async () => {
    refused = "0";
    await expect(call(BODIES, METADATA)).rejects.toThrow("partition 0 fails");
    expect(what()).toEqual([READ[1]]);
  });
});

describe("what can't be read is told, and the events are read from the brokers", () => {
  test.each<[string, unknown, unknown]>([
    ["no metadata", BODIES, undefined],
    ["too few offsets", BODIES, { ...METADATA, offsetArray: [41, 7] }],
    ["too many partitions", BODIES, { ...METADATA, partitionArray: [0, 2, 0, 0] }],
    ["an offset that is no number", BODIES, { ...METADATA, offsetArray: [41, {}, 42] }],
    ["a negative partition", BODIES, { ...METADATA, partitionArray: [0, -1, 0] }],
    ["offsets of a partition that go back", BODIES, { ...METADATA, offsetArray: [42, 7, 41] }],
    ["an offset twice", BODIES, { ...METADATA, offsetArray: [42, 7, 42] }],
    ["bodies that are no bytes", ["a", "b", "c"], METADATA],
    ["no list of bodies", "abc", METADATA],
  ])("%s", async (_what, bodies, metadata) => {
    await call(bodies, metadata);
    expect(stored).toEqual([]);
    expect(caughtUp).toEqual([["chat-messages", undefined]]);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain("can't be read");
  });
});
