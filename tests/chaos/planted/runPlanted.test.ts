import { expect, test } from "vitest";
import { verdict } from "./runPlanted.js";

test("a planted fault is found when its own rule finds it", () => {
  const findings = [
    { rule: "seq", text: "a gap" },
    { rule: "shown", text: "a hole" },
    { rule: "seq", text: "another gap" },
  ];
  expect(verdict("seqSkips", "seq", findings)).toBe("planted seqSkips: found by seq 2 (others: shown 1)");
  expect(verdict("seqSkips", "seq", [])).toBe("planted seqSkips: NOT FOUND by seq (others: none)");
  expect(verdict("seqSkips", "once", findings)).toBe(
    [
      "planted seqSkips: NOT FOUND by once (others: seq 2, shown 1)",
      "  found: seq: a gap",
      "  found: shown: a hole",
      "  found: seq: another gap",
    ].join("\n"),
  );
});
