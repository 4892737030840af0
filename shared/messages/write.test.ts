import { expect, test } from "vitest";
import type { Groups } from "../fanout/groups.js";
import { combineStored, nothingStored } from "./write.js";

const groupsOf = (groups: Record<string, string[]>): Promise<Groups> =>
  Promise.resolve(
    new Map(Object.entries(groups).map(([key, wires]) => [key, wires.map((wire) => ({ lane: key, wire }))])),
  );

test("of two transactions' subscribers those of the later one count, and those of its rooms alone", async () => {
  const first = { ...nothingStored, groups: groupsOf({ r1: ["a"], r2: ["a"] }) };
  const second = { ...nothingStored, groups: groupsOf({ r1: ["a", "b"], r3: ["c"] }) };
  const both = await groupsOf({ r1: ["a", "b"], r2: ["a"], r3: ["c"] });
  expect(await combineStored(first, second).groups).toEqual(both);
  expect(await combineStored(nothingStored, first).groups).toEqual(await first.groups);
});
