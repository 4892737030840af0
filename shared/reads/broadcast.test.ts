import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { RETRY_BUDGET_MS } from "../consumers/deps.js";
import { LONGEST_SEND_MS } from "../fanout/send.js";
import { ABANDONED_MS } from "../store/readOutbox.js";
import { BROADCAST_MS } from "./broadcast.js";

test("a broadcast of reads has time for many sends, and has ended before its moves count as abandoned", () => {
  expect(BROADCAST_MS).toBeGreaterThanOrEqual(20_000);
  expect(BROADCAST_MS + LONGEST_SEND_MS).toBeLessThan(ABANDONED_MS);
});

test("a batch gives up its own retries well before the host ends the function", () => {
  const { functionTimeout } = JSON.parse(readFileSync(new URL("../../host.json", import.meta.url), "utf8"));
  const [hours, minutes, seconds] = functionTimeout.split(":").map(Number);
  expect(2 * RETRY_BUDGET_MS).toBeLessThanOrEqual(((hours * 60 + minutes) * 60 + seconds) * 1_000);
});
