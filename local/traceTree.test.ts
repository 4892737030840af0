import { expect, test } from "vitest";
import { startTraceScreen } from "./traceScreen.js";
import { linesOf, spansIn } from "./traceTree.js";

const NOON = 1_800_000_000_000;
const nanoseconds = (ms: number): string => `${NOON + ms}000000`;

const span = (spanId: string, name: string, from: number, to: number, more: object = {}) => ({
  traceId: "aa",
  spanId,
  name,
  startTimeUnixNano: nanoseconds(from),
  endTimeUnixNano: nanoseconds(to),
  ...more,
});
const exported = (...spans: readonly object[]) => ({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
const attribute = (key: string, value: object) => ({ key, value });

test("a message is a tree, with the batch that it was handled in below what has sent it", () => {
  const spans = spansIn(
    exported(
      span("1", "SEND /pub/chat/message", 0, 12, {
        attributes: [attribute("user.id", { stringValue: "7" }), attribute("chat.room.id", { intValue: 5 })],
      }),
      span("2", "send chat-messages", 2, 10, {
        parentSpanId: "1",
        attributes: [attribute("messaging.system", { stringValue: "eventhubs" })],
      }),
      span("3", "process chat-messages", 15, 40, { traceId: "bb", links: [{ traceId: "aa", spanId: "2" }] }),
      span("4", "store chat-messages", 16, 30, { traceId: "bb", parentSpanId: "3" }),
      span("5", "broadcast chat-messages", 31, 39, {
        traceId: "bb",
        parentSpanId: "3",
        attributes: [attribute("error.type", { stringValue: "UNAVAILABLE" })],
      }),
    ),
  );
  expect(linesOf(spans)).toEqual([
    "",
    "trace aa",
    "08:00:00.000  SEND /pub/chat/message                           12.0 ms  user.id=7 room.id=5",
    "08:00:00.002    send chat-messages                              8.0 ms",
    "08:00:00.015      -> process chat-messages                     25.0 ms",
    "08:00:00.016        store chat-messages                        14.0 ms",
    "08:00:00.031        broadcast chat-messages                     8.0 ms  !UNAVAILABLE",
  ]);
});

test("what links to nothing that is here stands by itself, and a circle ends", () => {
  const spans = spansIn(
    exported(
      span("3", "process", 0, 1, { links: [{ spanId: "8" }, { spanId: "9" }] }),
      span("4", "a", 0, 1, { parentSpanId: "4" }),
    ),
  );
  expect(linesOf(spans)).toEqual([
    "",
    "trace aa",
    "08:00:00.000  process                                           1.0 ms  messages=2",
  ]);
});

test("the screen shows what is sent to it, and takes no harm from anything else", async () => {
  const lines: string[] = [];
  const screen = await startTraceScreen((line) => void lines.push(line));
  const post = (body: string) =>
    fetch(screen.env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]!, { method: "POST", body });
  for (const body of ["", "{", "null", "[]", '{"resourceSpans":[{"scopeSpans":5}]}', '"text"'])
    await post(body);
  expect((await post(JSON.stringify(exported(span("1", "GET rooms", 0, 3))))).status).toBe(200);
  await expect.poll(() => lines.length).toBe(3);
  expect(lines[2]).toContain("GET rooms");
  await screen.close();
});
