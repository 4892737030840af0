import { expect, test } from "vitest";
import { type Row, ratios, rowText, type Side } from "./pipelineTable.js";

const row = (bus: string, side: Side, p50: number, more: Partial<Row> = {}): Row => ({
  rate: 500,
  seconds: 10,
  sent: 5_000,
  delivered: 50_000,
  expected: 50_000,
  lost: 0,
  repeated: 0,
  disordered: 0,
  errors: 0,
  reads: { sent: 0, arrivals: 0, frames: 0, moves: 0, bytes: 0 },
  p50,
  p99: 10 * p50,
  max: 20 * p50,
  p99BySecond: [],
  growth: 1,
  deliveredPerSecond: 5_000,
  bus,
  side,
  cold: false,
  memoryMb: 700,
  each: {
    upstreamCalls: 1,
    restSends: 1,
    upstreamBytes: 1_500,
    restBytes: 1_200,
    restCalls: 1,
    busSends: 1,
    sqlStatements: 2,
    redisCalls: 1,
    cpu: { servers: p50 / 10, bench: 100 },
  },
  ...more,
});

test("each side is set against the one beside it, at its own rate, without what the load itself takes", () => {
  const rows = [
    row("eventhubs", "one", 20),
    row("eventhubs", "several", 30),
    row("-", "rabbitmq", 5),
    row("eventhubs", "one", 80, { rate: 750 }),
  ];
  expect(ratios(rows)).toEqual([
    "eventhubs / rabbitmq at 500/s, one frame: p50 4.00, p99 4.00, CPU 4.00",
    "eventhubs / rabbitmq at 500/s, several frames: p50 6.00, p99 6.00, CPU 6.00",
  ]);
});

test("one bus is set against the other by the same members, and a load after a start against none", () => {
  const rows = [
    row("eventhubs", "one", 20),
    row("kafka", "one", 30),
    row("kafka", "one", 90, { cold: true }),
  ];
  expect(ratios(rows)).toEqual(["kafka / eventhubs at 500/s, one frame: p50 1.50, p99 1.50, CPU 1.50"]);
});

test("what another service doesn't have is a dash", () => {
  const nothing = { upstreamCalls: Number.NaN, redisCalls: Number.NaN, busSends: Number.NaN };
  const { each } = row("-", "rabbitmq", 5);
  const text = rowText(row("-", "rabbitmq", 5, { each: { ...each, ...nothing } }));
  expect(text.replace(/ +/g, " ")).toContain("| - - - 2.00 1.00 |");
});
