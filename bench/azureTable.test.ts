import { expect, test } from "vitest";
import { azureRows } from "./azureTable.js";
import type { Meter } from "./meter.js";

const each: Meter = {
  upstreamCalls: 1,
  restSends: 1,
  restCalls: 1,
  upstreamBytes: 1_500.4,
  restBytes: 1_234,
  messageEvents: 1,
  readEvents: 0,
  sqlStatements: 3.5,
  sqlBytes: 2_000,
  transactions: 0.25,
  logBytes: 100,
  redisCalls: 2,
  redisCommands: 10,
  redisBytes: 900,
  httpCpuMs: 1,
  eventsCpuMs: 0.2,
  mysqlCpuMs: 0.3,
  redisCpuMs: 0.1,
};

test("calls stand before their bytes; a batch is one execution, and a busy second of 2 GB is 2 GB-s", () => {
  const bytes = { messageEvent: 338, readEvent: 94 };
  expect(azureRows([{ name: "some", each, eventsABatch: 4 }], bytes)).toEqual([
    {
      shape: "some",
      upstream: "1.00, 1,500 B",
      bus: "1.00, 338 B",
      rest: "1.00, 1,234 B",
      sql: "3.50, 2,000 B",
      redis: "2.00, 900 B",
      "executions a million": "1,250,000",
      // 1.2 ms of CPU each are 1,200 s, at 60 % of a core 2,000 s.
      "GB-s a million": "4,000",
    },
  ]);
});

test("of a read its own event counts, too", () => {
  const pair = { ...each, readEvents: 1, upstreamCalls: 2 };
  const [row] = azureRows([{ name: "pair", each: pair, eventsABatch: 2 }], {
    messageEvent: 300,
    readEvent: 100,
  });
  expect([row?.bus, row?.["executions a million"]]).toEqual(["2.00, 400 B", "3,000,000"]);
});
