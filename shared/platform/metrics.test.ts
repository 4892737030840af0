import { metrics } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { count, flushCounts } from "./metrics.js";

let lines: Record<string, unknown>[];

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  vi.spyOn(console, "info").mockImplementation((line: string) => void lines.push(JSON.parse(line)));
});
afterEach(() => {
  flushCounts();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("the log", () => {
  test("has one line a minute with what was counted, and none where nothing was", () => {
    count.sessionOpened();
    count.refused("INVALID_MESSAGE", "stomp");
    count.refused("INVALID_MESSAGE", "stomp");
    count.refused("INVALID_MESSAGE", "http");
    vi.advanceTimersByTime(59_999);
    expect(lines).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(lines).toEqual([
      {
        level: "info",
        message: "counts of the last minute",
        counts: {
          "chat.sessions.opened": 1,
          "chat.sessions.active": 1,
          "chat.refusals INVALID_MESSAGE stomp": 2,
          "chat.refusals INVALID_MESSAGE http": 1,
        },
      },
    ]);
    vi.advanceTimersByTime(600_000);
    expect(lines).toHaveLength(1);
    count.sessionEnded("SESSION_LIMIT");
    vi.advanceTimersByTime(60_000);
    expect(lines[1]).toMatchObject({
      counts: { "chat.sessions.ended SESSION_LIMIT": 1, "chat.sessions.active": -1 },
    });
  });

  test("has what was counted last when the app ends", () => {
    count.limitsOpen();
    flushCounts();
    flushCounts();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ counts: { "chat.limits.open": 1 } });
  });
});

describe("OpenTelemetry", () => {
  const start = () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const provider = new MeterProvider({ readers: [reader] });
    metrics.setGlobalMeterProvider(provider);
    return { exporter, provider };
  };
  type Started = ReturnType<typeof start>;
  const points = async ({ exporter, provider }: Started): Promise<unknown[]> => {
    exporter.reset();
    await provider.forceFlush();
    const exported = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics[0]?.metrics ?? []);
    return exported.flatMap(({ descriptor, dataPoints }) =>
      dataPoints.map(({ value, attributes }) => [descriptor.name, descriptor.unit, attributes, value]),
    );
  };
  const end = async ({ provider }: Started): Promise<void> => {
    await provider.shutdown();
    metrics.disable();
  };

  beforeEach(async () => {
    vi.useRealTimers();
    const earlier = start();
    flushCounts();
    await end(earlier);
  });

  test("hears of each, also of those before its SDK came, once", async () => {
    count.refused("NOT_A_MEMBER", "stomp");
    count.refused("NOT_A_MEMBER", "stomp");
    const sdk = start();
    count.sessionOpened();
    count.sessionOpened();
    count.sessionEnded("disconnected");
    count.refused("RATE_LIMIT_EXCEEDED", "http");
    const expected = [
      ["chat.refusals", "{refusal}", { code: "NOT_A_MEMBER", via: "stomp" }, 2],
      ["chat.refusals", "{refusal}", { code: "RATE_LIMIT_EXCEEDED", via: "http" }, 1],
      ["chat.sessions.active", "{session}", {}, 1],
      ["chat.sessions.ended", "{session}", { reason: "disconnected" }, 1],
      ["chat.sessions.opened", "{session}", {}, 2],
    ];
    const sorted = async () => (await points(sdk)).map((point) => JSON.stringify(point)).sort();
    expect(await sorted()).toEqual(expected.map((point) => JSON.stringify(point)));
    flushCounts();
    expect(await sorted()).toEqual(expected.map((point) => JSON.stringify(point)));
    await end(sdk);
  });

  test("hears of the last one before its SDK came with the line of the log, though nothing more is counted", async () => {
    count.limitsOpen();
    const sdk = start();
    flushCounts();
    expect(await points(sdk)).toEqual([["chat.limits.open", "{check}", {}, 1]]);
    await end(sdk);
  });

  test("of a later SDK hears what is counted from then on", async () => {
    const first = start();
    count.limitsOpen();
    await end(first);
    const second = start();
    count.sessionEnded("gone");
    expect(await points(second)).toEqual([
      ["chat.sessions.ended", "{session}", { reason: "gone" }, 1],
      ["chat.sessions.active", "{session}", {}, -1],
    ]);
    await end(second);
  });
});
