import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readOptions } from "./options.js";
import { addToTable, again, isInTable, planText, resultText } from "./report.js";

const OPTIONS = readOptions(["--seed", "7", "--minutes", "1"]);
const RESULT = {
  struck: { counts: { kill: 2, cut: 1 }, leftOut: ["disk full bus: no mount"], failures: [] },
  counts: { send: 12, accepted: 11, message: 50, closed: 3 },
  findings: [{ rule: "accepted", text: "one is not stored" }],
};

test("a table gets one line for each seed, bus and time", () => {
  const folder = mkdtempSync(join(tmpdir(), "nonstop-table-"));
  const file = join(folder, "seeds.md");
  expect(isInTable(file, 7, OPTIONS)).toBe(false);
  addToTable(file, 7, OPTIONS, RESULT);
  addToTable(file, 70, OPTIONS, { ...RESULT, findings: [] });
  expect(readFileSync(file, "utf8")).toBe(
    [
      "| seed | bus | minutes | faults | sends | receipts | shown | reconnects | result |",
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
      "| 7 | eventhubs | 1 | kill 2, cut 1 | 12 | 11 | 50 | 3 | FAILED (1) |",
      "| 70 | eventhubs | 1 | kill 2, cut 1 | 12 | 11 | 50 | 3 | ok |",
      "",
    ].join("\n"),
  );
  expect([7, 70, 0].map((seed) => isInTable(file, seed, OPTIONS))).toEqual([true, true, false]);
  expect(isInTable(file, 7, { ...OPTIONS, bus: "kafka" })).toBe(false);
  rmSync(folder, { recursive: true });
});

test("what was found and left out is said, and how to have it again", () => {
  expect(resultText(RESULT).split("\n")).toEqual([
    "faults: kill 2, cut 1",
    "left out: disk full bus: no mount",
    "counts: send 12, accepted 11, message 50, closed 3",
    "found: accepted: one is not stored",
  ]);
  expect(again(7, { ...OPTIONS, only: ["clock off", "cut"] })).toBe(
    'npm run chaos -- --seed 7 --minutes 1 --bus eventhubs --only "clock off,cut"',
  );
});

test("a plan is a table of its faults", () => {
  const fault = { kind: "slow", at: 3_000, ms: 1_500, target: "host1-bus", amount: 400 };
  expect(planText([fault])).toBe(
    "  at s  fault  of         for s  amount\n  3.0   slow   host1-bus  1.5    400",
  );
});
