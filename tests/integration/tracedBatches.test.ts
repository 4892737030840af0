import { metrics, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ReceivedEvent } from "../../shared/bus/eventBus.js";
import { traced } from "../../shared/bus/traced.js";
import type { MessagesDeps } from "../../shared/messages/deps.js";
import { storeMessages } from "../../shared/messages/store.js";
import { flushCounts } from "../../shared/platform/metrics.js";
import { keepContexts } from "../../shared/platform/traceContext.js";
import { portsOf } from "../../shared/redis/ports.js";
import { createGroupRoom } from "../../shared/rooms/createRooms.js";
import type { Database } from "../../shared/store/database.js";
import { addSubscriptionId } from "../../shared/store/subscriptionIds.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { newDatabase } from "../support/database.js";

const HUB = "chat-messages";
const DEAD = "chat-messages-dlt";
const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
/** Users' text, which no span may hold. */
const MARK = "marked text";

let database: Database;
let close: () => Promise<void>;
let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let deps: MessagesDeps;
let roomId: number;
let hubAge = 0;
const lines: string[] = [];

beforeAll(async () => {
  ({ database, close } = await newDatabase());
  keepContexts();
  trace.setGlobalTracerProvider(provider);
});
afterAll(async () => {
  trace.disable();
  await provider.shutdown();
  await close();
});
beforeEach(async () => {
  bus = new FakeEventBus({ [HUB]: 1, [DEAD]: 1 });
  hubAge += 1;
  for (let times = 0; times < hubAge; times += 1) bus.makeHub(HUB, 1);
  broadcaster = new FakeBroadcaster();
  const scheduleReads = () => {};
  const ports = portsOf(new FakeSessionStore());
  deps = {
    database,
    broadcaster,
    bus: traced(bus),
    ...ports,
    scheduleReads,
    now: Date.now,
    retryBudgetMs: 300,
  };
  ({ roomId } = await createGroupRoom({ roomName: "room", userIds: [2], callerId: 1 }, deps));
  await addSubscriptionId(database, `r${roomId}`, "sub-0");
  lines.length = 0;
  for (const level of ["info", "warn", "error"] as const)
    vi.spyOn(console, level).mockImplementation((line: string) => void lines.push(line));
  exporter.reset();
});

let events = 0;
const traceparentOf = (trace: string, span: string, flags = "01"): string =>
  `00-${trace.repeat(32)}-${span.repeat(16)}-${flags}`;

/** An event of a message, published with a trace. */
function put(traceparent?: string, more: object = {}): ReceivedEvent {
  events += 1;
  const event = {
    v: 1,
    eventId: `event-${events}`,
    roomId,
    senderId: 1,
    senderNickname: "Ann",
    clientMessageId: null,
    type: "TEXT",
    content: `${MARK} ${events}`,
    sentAt: "2026-01-02T03:04:05.678Z",
    ...more,
  };
  const put = bus.append(HUB, "0", JSON.stringify(event), String(roomId));
  return traceparent === undefined ? put : { ...put, traceparent };
}

const deliver = (batch: readonly ReceivedEvent[]): Promise<void> =>
  storeMessages({ hub: HUB, partitionId: "0", events: batch }, deps);

const spans = (name: string): ReadableSpan[] =>
  exporter.getFinishedSpans().filter((span) => span.name === `${name} ${HUB}`);
const linked = (span: ReadableSpan | undefined) =>
  span?.links.map(({ context: { traceId, spanId } }) => [traceId[0], spanId[0]]);
const parentOf = (span: ReadableSpan | undefined) => span?.parentSpanContext?.spanId;

test("two messages in one batch are two links of its one span, with what is done as its children", async () => {
  await deliver([put(traceparentOf("a", "1")), put(traceparentOf("b", "2"))]);
  const [batch, ...others] = spans("process");
  expect(others).toEqual([]);
  expect(linked(batch)).toEqual([
    ["a", "1"],
    ["b", "2"],
  ]);
  expect(batch).toMatchObject({
    kind: SpanKind.CONSUMER,
    parentSpanContext: undefined,
    attributes: {
      "messaging.system": "eventhubs",
      "messaging.operation.type": "process",
      "messaging.destination.name": HUB,
      "messaging.destination.partition.id": "0",
      "messaging.batch.message_count": 2,
      "chat.sequence_number.first": 0,
      "chat.sequence_number.last": 1,
    },
  });
  const { spanId, traceId } = batch!.spanContext();
  for (const name of ["store", "broadcast"]) {
    expect(spans(name).map(parentOf)).toEqual([spanId]);
    expect(spans(name)[0]!.spanContext().traceId).toBe(traceId);
  }
  expect(spans("broadcast")[0]!.attributes).toMatchObject({ "chat.messages": 2, "chat.rooms": 1 });
});

describe("the links of a batch", () => {
  test("are one for each trace, of those that came with one that can be read", async () => {
    const bad = [
      "garbage",
      traceparentOf("0", "1"),
      traceparentOf("a", "0"),
      traceparentOf("A", "1"),
      `ff${traceparentOf("a", "1").slice(2)}`,
      `${traceparentOf("a", "1")}-`,
      "x".repeat(10_000),
    ];
    const same = traceparentOf("c", "3");
    await deliver([...bad.map((one) => put(one)), put(), put(same), put(same)]);
    expect(linked(spans("process")[0])).toEqual([["c", "3"]]);
    expect(broadcaster.sent).toHaveLength(bad.length + 3);
  });

  test("are 128 at most", async () => {
    const hex = (index: number) => index.toString(16).padStart(16, "0");
    const many = Array.from({ length: 200 }, (_, index) => put(`00-${"a".repeat(32)}-${hex(index + 1)}-01`));
    await deliver(many);
    expect(spans("process")[0]!.links).toHaveLength(128);
    expect(spans("process")[0]!.droppedLinksCount).toBe(0);
  });
});

describe("a batch that comes again", () => {
  test("after it was stored and shown has a span of its own, and says that nothing was left to do", async () => {
    const batch = [put(traceparentOf("a", "1"))];
    await deliver(batch);
    exporter.reset();
    await deliver(batch);
    expect(linked(spans("process")[0])).toEqual([["a", "1"]]);
    expect(spans("store")[0]!.attributes["chat.events.stored_before"]).toBe(1);
    expect(spans("broadcast")).toEqual([]);
  });

  test("because it could not be shown links to the traces of what is shown again", async () => {
    const batch = [put(traceparentOf("a", "1"))];
    Object.assign(bus.hubs.get(HUB)!.partitions[0]![0]!, { traceparent: traceparentOf("a", "1") });
    broadcaster.away = true;
    await expect(deliver(batch)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(spans("process")[0]).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: { "error.type": "UNAVAILABLE" },
    });
    broadcaster.away = false;
    exporter.reset();
    await deliver(batch);
    const [again, whole] = spans("process");
    expect([linked(again), linked(whole)]).toEqual([[["a", "1"]], [["a", "1"]]]);
    expect(parentOf(again)).toBe(whole!.spanContext().spanId);
    expect(broadcaster.sent).toHaveLength(1);
  });

  test("with a hole before it links to those that were left out", async () => {
    await deliver([put()]);
    put();
    Object.assign(bus.hubs.get(HUB)!.partitions[0]![1]!, { traceparent: traceparentOf("d", "4") });
    exporter.reset();
    await deliver([put(traceparentOf("e", "5"))]);
    const [recovered, whole] = spans("process");
    expect([linked(recovered), linked(whole)]).toEqual([[["d", "4"]], [["e", "5"]]]);
  });
});

test("a dead letter belongs to the trace of its message, and is counted by its code", async () => {
  const read = new MeterProvider();
  metrics.setGlobalMeterProvider(read);
  await deliver([put(traceparentOf("a", "1"), { senderId: 99 })]);
  const sent = exporter.getFinishedSpans().find(({ name }) => name === `send ${DEAD}`)!;
  expect(sent).toMatchObject({ kind: SpanKind.PRODUCER, parentSpanContext: { spanId: "1".repeat(16) } });
  expect(bus.traces.at(-1)).toBe(`00-${"a".repeat(32)}-${sent.spanContext().spanId}-01`);
  flushCounts();
  expect(lines.join()).toContain(`"chat.dead_letters ${HUB} NOT_A_MEMBER":1`);
  metrics.disable();
  await read.shutdown();
});

test("neither spans nor lines have users' text, whatever fails", async () => {
  await deliver([
    put(undefined, { senderId: 99 }),
    put(undefined, { type: MARK }),
    put(undefined, { v: MARK }),
  ]);
  bus.append(HUB, "0", MARK);
  await deliver([{ sequenceNumber: 3, key: MARK, body: Buffer.from(MARK) }]);
  // No rule of the events keeps it out of the column: the server itself refuses it.
  await database.query("DELETE FROM messages");
  await database.query("ALTER TABLE messages MODIFY content VARCHAR(5)");
  await deliver([put()]);
  expect(bus.hubs.get(DEAD)!.partitions[0]).toHaveLength(5);
  const told = exporter
    .getFinishedSpans()
    .map(({ name, attributes, events, status, links }) => [name, attributes, events, status, links]);
  expect(told.length).toBeGreaterThan(5);
  expect(JSON.stringify(told)).not.toContain(MARK);
  expect(lines.join("\n")).toContain("a batch can't be stored as it is");
  expect(lines.join("\n")).not.toContain(MARK);
});
