import { context, SpanStatusCode, trace } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ChatError } from "./errors.js";
import { log } from "./log.js";
import {
  annotate,
  currentTraceparent,
  detached,
  inSpan,
  inTraceOf,
  linksTo,
  spanContextOf,
} from "./trace.js";
import { keepContexts } from "./traceContext.js";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const TRACEPARENT = `00-${TRACE}-${SPAN}-01`;

beforeEach(() => keepContexts());
afterEach(() => {
  trace.disable();
  context.disable();
  vi.restoreAllMocks();
});

describe("a traceparent", () => {
  test("names a trace, a span and whether it is sampled", () => {
    expect(spanContextOf(TRACEPARENT)).toEqual({
      traceId: TRACE,
      spanId: SPAN,
      traceFlags: 1,
      isRemote: true,
    });
    expect(spanContextOf(`00-${TRACE}-${SPAN}-00`)).toMatchObject({ traceFlags: 0 });
  });

  test("of a version to come is read as far as it is known", () => {
    expect(spanContextOf(`01-${TRACE}-${SPAN}-01`)).toMatchObject({ traceId: TRACE });
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["an empty text", ""],
    ["garbage", "garbage"],
    ["another type", 1],
    ["a list of one", [TRACEPARENT]],
    ["no trace", `00-${"0".repeat(32)}-${SPAN}-01`],
    ["no span", `00-${TRACE}-${"0".repeat(16)}-01`],
    ["upper case", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ["the version that is none", `ff-${TRACE}-${SPAN}-01`],
    ["more behind it", `${TRACEPARENT}-00`],
    ["a line feed behind it", `${TRACEPARENT}\n`],
    ["a blank before it", ` ${TRACEPARENT}`],
    ["a shorter trace", `00-${TRACE.slice(1)}-${SPAN}-01`],
    ["very much", TRACEPARENT.repeat(10_000)],
  ])("is none: %s", (_what, value) => {
    expect(spanContextOf(value)).toBeUndefined();
  });
});

describe("where no provider is registered", () => {
  test("no span is made, nor what would describe one", async () => {
    const start = vi.fn();
    const attributes = vi.fn();
    const result = await inSpan(start, async (span) => {
      annotate(attributes);
      return span ?? "none";
    });
    expect(result).toBe("none");
    expect(start).not.toHaveBeenCalled();
    expect(attributes).not.toHaveBeenCalled();
  });

  test("a caller's trace goes through, over asynchronous calls, and is written into the log", async () => {
    const lines: unknown[] = [];
    vi.spyOn(console, "info").mockImplementation((line: string) => void lines.push(JSON.parse(line)));
    await inTraceOf(TRACEPARENT, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      expect(currentTraceparent()).toBe(TRACEPARENT);
      expect(detached(currentTraceparent)).toBeUndefined();
      log.info("here");
    });
    log.info("there");
    expect(currentTraceparent()).toBeUndefined();
    expect(lines).toEqual([
      { level: "info", message: "here", traceId: TRACE, spanId: SPAN },
      { level: "info", message: "there" },
    ]);
  });

  test("what is no traceparent changes nothing", () => {
    expect(inTraceOf("garbage", currentTraceparent)).toBeUndefined();
    expect(inTraceOf(TRACEPARENT, () => inTraceOf("garbage", currentTraceparent))).toBe(TRACEPARENT);
  });
});

describe("a span", () => {
  const exporter = new InMemorySpanExporter();

  beforeEach(() => {
    exporter.reset();
    trace.setGlobalTracerProvider(
      new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
    );
  });

  const only = () => {
    const [span, ...others] = exporter.getFinishedSpans();
    expect(others).toEqual([]);
    return span!;
  };

  test("is a part of the trace that is named, or else of the one that it runs in", async () => {
    await inSpan(
      () => ({ name: "outer", parent: TRACEPARENT }),
      () =>
        inSpan(
          () => ({ name: "inner" }),
          async () => annotate(() => ({ a: 1 })),
        ),
    );
    const [inner, outer] = exporter.getFinishedSpans();
    expect(outer!.parentSpanContext).toMatchObject({ traceId: TRACE, spanId: SPAN });
    expect(inner!.parentSpanContext!.spanId).toBe(outer!.spanContext().spanId);
    expect([inner!.attributes, outer!.attributes]).toEqual([{ a: 1 }, {}]);
  });

  test.each<[string, unknown, string, SpanStatusCode]>([
    ["a failure of ours", new ChatError("UNAVAILABLE", "secret"), "UNAVAILABLE", SpanStatusCode.ERROR],
    ["a refusal", new ChatError("NOT_A_MEMBER", "secret"), "NOT_A_MEMBER", SpanStatusCode.UNSET],
    [
      "an error of a library",
      Object.assign(new Error("secret"), { code: "ER_DUP_ENTRY", sql: "secret" }),
      "ER_DUP_ENTRY",
      SpanStatusCode.ERROR,
    ],
    ["an error without a code", new TypeError("secret"), "TypeError", SpanStatusCode.ERROR],
    ["a code that is a text", { code: "a secret text" }, "_OTHER", SpanStatusCode.ERROR],
    ["nothing", undefined, "_OTHER", SpanStatusCode.ERROR],
  ])("says of %s what kind it is, and nothing else", async (_what, thrown, type, code) => {
    await expect(
      inSpan(
        () => ({ name: "a" }),
        () => Promise.reject(thrown),
      ),
    ).rejects.toBe(thrown);
    const { attributes, events, status } = only();
    expect({ attributes, events, status }).toEqual({
      attributes: { "error.type": type },
      events: [],
      status: { code },
    });
  });
});

test("links are one for each trace that can be read, and no more than a span keeps", () => {
  const traced = (traceparent?: string) => (traceparent === undefined ? {} : { traceparent });
  expect(linksTo([traced(), traced("garbage"), traced(TRACEPARENT), traced(TRACEPARENT)])).toHaveLength(1);
  const many = Array.from({ length: 500 }, (_, index) =>
    traced(`00-${TRACE}-${(index + 1).toString(16).padStart(16, "0")}-01`),
  );
  expect(linksTo(many)).toHaveLength(128);
});
