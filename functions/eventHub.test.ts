import type { InvocationContext } from "@azure/functions";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { batchesOf } from "./eventHub.js";
import type { Consumer } from "./trigger.js";

type Batch = Parameters<Consumer["store"]>[0];

const stored: Batch[] = [];
const caughtUp: [hub: string, partitionId: string | undefined][] = [];
const said: string[] = [];
const consumer: Consumer = {
  store: async (batch) => void stored.push(batch),
  catchUp: async (...place) => void caughtUp.push(place),
};

/** What the trigger does with bodies and the metadata that a worker sent along. */
const call = (bodies: unknown, triggerMetadata: unknown) =>
  trigger.handler(bodies as never, { triggerMetadata } as unknown as InvocationContext);
let trigger: ReturnType<typeof batchesOf>;

beforeEach(() => {
  trigger = batchesOf("chat-messages", "chat-persist", consumer);
  for (const list of [stored, caughtUp, said]) list.length = 0;
  vi.spyOn(console, "error").mockImplementation((line: string) => void said.push(line));
});
afterEach(() => vi.restoreAllMocks());

const BODIES = [Buffer.from("a"), Buffer.from("b")];
const METADATA = {
  partitionContext: { EventHubName: "chat-messages", PartitionId: "3", ConsumerGroup: "chat-persist" },
  partitionKeyArray: ["7"],
  offsetArray: [0, 96],
  sequenceNumberArray: [41, 42],
  systemPropertiesArray: [
    { SequenceNumber: 41, Offset: "0", PartitionKey: "", "x-opt-sequence-number": 41 },
    { SequenceNumber: 42, Offset: "96", PartitionKey: "7" },
  ],
};

describe("a batch is read", () => {
  const without = (name: keyof typeof METADATA) =>
    Object.fromEntries(Object.entries(METADATA).filter(([each]) => each !== name));
  const numbers = (...sequenceNumberArray: unknown[]) => ({ ...METADATA, sequenceNumberArray });
  const numbersOf = (sequenceNumberArray: unknown) => ({
    ...METADATA,
    sequenceNumberArray,
    systemPropertiesArray: [{}, { PartitionKey: "7" }],
  });
  const long = (low: number, high = 0, unsigned = false) => ({ low, high, unsigned });

  test.each<[string, unknown]>([
    ["as the host sends it", METADATA],
    ["with sequence numbers as text", numbers("41", "42")],
    ["with sequence numbers as halves of a Long", numbers(long(41), long(42))],
    ["with sequence numbers as halves of an unsigned Long", numbers(long(41, 0, true), long(42, 0, true))],
    ["with sequence numbers in several shapes", numbers(41, long(42))],
    ["with sequence numbers as bigints", numbers(41n, 42n)],
    ["with the list of sequence numbers as JSON", { ...METADATA, sequenceNumberArray: "[41,42]" }],
    ["with the numbers in the events' own properties alone", without("sequenceNumberArray")],
    ["with numbers that can't be read beside the events' own", numbers({}, {})],
    ["with too few numbers beside the events' own", numbers(41)],
    [
      "with all names as the extension has them",
      {
        PartitionContext: METADATA.partitionContext,
        SequenceNumberArray: METADATA.sequenceNumberArray,
        SystemPropertiesArray: METADATA.systemPropertiesArray,
      },
    ],
    [
      "with all names in lower camel case",
      {
        ...METADATA,
        partitionContext: { partitionId: "3" },
        systemPropertiesArray: [{}, { partitionKey: "7" }],
      },
    ],
    ["with the list of sequence numbers as a typed array", numbersOf(new BigInt64Array([41n, 42n]))],
    ["with the list of sequence numbers as it crosses the wire", numbersOf({ sint64: ["41", "42"] })],
    [
      "with its place under the longer name",
      { ...METADATA, partitionContext: undefined, triggerPartitionContext: { PartitionId: "3" } },
    ],
    ["with its place as JSON", { ...METADATA, partitionContext: '{"PartitionId":"3"}' }],
    ["with the partition as a number", { ...METADATA, partitionContext: { partitionId: 3 } }],
    [
      "with properties as JSON",
      {
        ...METADATA,
        systemPropertiesArray: JSON.stringify(METADATA.systemPropertiesArray),
      },
    ],
  ])("%s", async (_how, metadata) => {
    await call(BODIES, metadata);
    expect(caughtUp).toEqual([]);
    expect(stored).toHaveLength(1);
    expect(stored[0]).toMatchObject({ hub: "chat-messages", partitionId: "3" });
    expect(stored[0]!.events.map(({ sequenceNumber, body }) => [sequenceNumber, String(body)])).toEqual([
      [41, "a"],
      [42, "b"],
    ]);
    expect(stored[0]!.events[1]!.key).toBe("7");
  });

  test.each<[number, object]>([
    [2 ** 32 + 5, long(5, 1)],
    [2 ** 31, long(-(2 ** 31), 0)],
    [2 ** 32 - 1, long(-1, 0)],
    [Number.MAX_SAFE_INTEGER, long(-1, 0x1fffff)],
  ])("with the number %d, which takes more than 31 bits", async (number, halves) => {
    await call([BODIES[0]], numbers(halves));
    expect(stored.map(({ events }) => events[0]!.sequenceNumber)).toEqual([number]);
  });

  test.each<[string, unknown]>([
    ["as a list", [{}, { traceparent: "00-a" }]],
    ["as JSON", '[{"other":1},{"traceparent":"00-a"}]'],
    ["under a name in another case", [null, { TraceParent: "00-a" }]],
  ])("with the trace of each event in its publisher's properties, %s", async (_how, propertiesArray) => {
    await call(BODIES, { ...METADATA, propertiesArray });
    expect(stored[0]!.events.map(({ traceparent }) => traceparent)).toEqual([undefined, "00-a"]);
  });

  test("with the dead letter that an event is the replay of", async () => {
    await call(BODIES, { ...METADATA, propertiesArray: [{}, { "chat-replay-of": "chat-messages-dlt/0/7" }] });
    expect(stored[0]!.events.map(({ replayOf }) => replayOf)).toEqual([undefined, "chat-messages-dlt/0/7"]);
  });

  test.each<[string, unknown]>([
    ["there are none", undefined],
    ["they are no list", "garbage"],
    ["the list is shorter", []],
    ["a trace is no text", [{ traceparent: 1 }, { traceparent: ["00-a"] }]],
  ])("without traces where %s", async (_what, propertiesArray) => {
    await call(BODIES, { ...METADATA, propertiesArray });
    expect(stored[0]!.events.map(({ traceparent }) => traceparent)).toEqual([undefined, undefined]);
  });

  test("without events, which changes nothing", async () => {
    await call([], { ...METADATA, sequenceNumberArray: [], systemPropertiesArray: [] });
    expect(stored).toEqual([{ hub: "chat-messages", partitionId: "3", events: [] }]);
  });
});

describe("what can't be read is told, and the events are read from the hub itself", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  const bad = (sequenceNumberArray: unknown) => ({
    ...METADATA,
    sequenceNumberArray,
    systemPropertiesArray: [{}, {}],
  });

  test.each<[string, unknown, unknown, (string | undefined)?]>([
    ["numbers in a shape of their own", BODIES, bad([{ value: 41 }, { value: 42 }])],
    ["numbers that are none", BODIES, bad([Number.NaN, Number.NaN])],
    ["negative numbers", BODIES, bad([-2, -1])],
    ["negative bigints", BODIES, bad([-2n, -1n])],
    ["a circle", BODIES, bad(circle)],
    ["fractions", BODIES, bad([1.5, 2.5])],
    [
      "more than a number can hold",
      BODIES,
      bad([
        { low: 0, high: 0x200000 },
        { low: 1, high: 0x200000 },
      ]),
    ],
    [
      "a negative Long",
      BODIES,
      bad([
        { low: -2, high: -1 },
        { low: -1, high: -1 },
      ]),
    ],
    ["numbers that fall", BODIES, bad([42, 41])],
    ["a number twice", BODIES, bad([41, 41])],
    ["a number left out", BODIES, bad([41, 43])],
    ["a number that can't be read between others", BODIES, bad([41, null, 42])],
    ["an empty partition", BODIES, { ...METADATA, partitionContext: { PartitionId: "" } }, undefined],
    ["more numbers than events", BODIES, bad([41, 42, 43])],
    ["no numbers at all", BODIES, bad(undefined)],
    ["a list that is no JSON", BODIES, bad("41,42")],
    ["events as objects", [{ v: 1 }, { v: 1 }], METADATA],
    ["events as text", ["a", "b"], METADATA],
    ["one event instead of a list", BODIES[0], METADATA],
    ["no partition", BODIES, { ...METADATA, partitionContext: {} }, undefined],
    ["nothing", BODIES, undefined, undefined],
    ["a text", BODIES, "metadata", undefined],
  ])("%s", async (_what, bodies, metadata, ...partition) => {
    await call(bodies, metadata);
    expect(stored).toEqual([]);
    expect(caughtUp).toEqual([["chat-messages", partition.length > 0 ? partition[0] : "3"]]);
    expect(said).toHaveLength(1);
    expect(JSON.parse(said[0]!)).toMatchObject({ level: "error", hub: "chat-messages" });
  });

  test("once a minute, as likely as not it is every batch", async () => {
    for (let times = 0; times < 50; times += 1) await call(BODIES, bad([{}]));
    expect([caughtUp.length, said.length]).toEqual([50, 1]);
  });

  test("and where that fails, the batch has failed", async () => {
    const failing = batchesOf("chat-messages", "chat-persist", {
      ...consumer,
      catchUp: () => Promise.reject(new Error("the hub is away")),
    });
    const context = { triggerMetadata: bad([{}]) } as unknown as InvocationContext;
    await expect(failing.handler(BODIES as never, context)).rejects.toThrow("the hub is away");
  });
});
