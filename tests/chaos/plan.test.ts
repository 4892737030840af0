import { describe, expect, test } from "vitest";
import { KINDS, kindOf } from "./faults/kinds.js";
import { plan } from "./plan.js";
import { BUSES } from "./stack/names.js";

describe("the plan of a seed", () => {
  test("is the same each time, and another seed's is another", () => {
    expect(plan(7, 2, "eventhubs")).toEqual(plan(7, 2, "eventhubs"));
    expect(plan(7, 2, "eventhubs")).not.toEqual(plan(8, 2, "eventhubs"));
  });

  test.each(BUSES)("has every kind of fault over forty seeds on %s", (bus) => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 40; seed += 1) for (const { kind } of plan(seed, 2, bus)) seen.add(kind);
    const possible = KINDS.filter(({ buses }) => buses?.includes(bus) !== false);
    expect([...seen].sort()).toEqual(possible.map(({ name }) => name).sort());
    expect(possible.length).toBeGreaterThanOrEqual(17);
  });

  test("leaves the last fifth of the time without faults, and has some even in a short time", () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      for (const { at, ms } of plan(seed, 2, "eventhubs")) expect(at + ms).toBeLessThanOrEqual(96_000);
      expect(plan(seed, 2, "eventhubs").length).toBeGreaterThanOrEqual(8);
      expect(plan(seed, 0.5, "eventhubs").length).toBeGreaterThanOrEqual(1);
    }
  });

  test("strikes nothing by two faults at the same time, and leaves those alone that must be", () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const faults = plan(seed, 5, "eventhubs");
      faults.forEach((one, index) => {
        const clash = faults
          .slice(index + 1)
          .filter(({ at }) => at < one.at + one.ms)
          .filter((two) => one.target === two.target || kindOf(one.kind).isAlone || kindOf(two.kind).isAlone);
        expect(clash).toEqual([]);
      });
    }
  });

  test("has only the kinds that are asked for", () => {
    const kinds = new Set(plan(3, 5, "kafka", ["kill", "cut"]).map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(["cut", "kill"]);
  });
});
