import { describe, expect, test } from "vitest";
import { compileFilter, FilterError } from "./filter.js";

const ann = { id: "c1", userId: "ann", groups: new Set(["room", "it's", "and"]) };

describe("a filter", () => {
  test.each([
    ["userId eq 'ann'", true],
    ["userId eq 'Ann'", false],
    ["userId ne 'bob'", true],
    ["'ann' eq userId", true],
    ["connectionId eq 'c1'", true],
    ["userId ne null", true],
    ["userId eq null", false],
    ["userId gt 'am' and userId lt 'ao'", true],
    ["userId ge 'b' or userId le 'a'", false],
    ["userId in ('bob','ann')", true],
    ["userId in ('bob')", false],
    ["'room' in groups", true],
    ["'it''s' in groups", true],
    ["'and' in groups", true],
    ["'attic' in groups", false],
    ["not ('room' in groups)", false],
    ["not 'attic' in groups", true],
    ["userId eq 'x' and userId eq 'y' or userId eq 'ann'", true],
    ["userId eq 'x' and (userId eq 'y' or userId eq 'ann')", false],
    ["startswith(userId, 'an') and endswith(userId,'n') and contains(userId,'nn')", true],
    ["  userId   eq\t'ann'  ", true],
  ])("%s is %s for ann in her groups", (source, picks) => {
    expect(compileFilter(source)(ann)).toBe(picks);
  });

  test.each([
    [""],
    ["userId"],
    ["userId eq"],
    ["userId eq ann"],
    ["userId eq 'ann"],
    ["userId like 'ann'"],
    ["userId eq 'ann' userId"],
    ["(userId eq 'ann'"],
    ["userId in ()"],
    ["groups eq 'room'"],
    ["constructor(userId, 'a')"],
    ["userId constructor 'a'"],
    ["length(userId) eq 3"],
    ["userId eq 3"],
    [`${"(".repeat(100)}userId eq 'ann'${")".repeat(100)}`],
    [`${"not ".repeat(1000)}userId eq 'ann'`],
    [`userId eq '${"a".repeat(9000)}'`],
  ])("can't be made of %s", (source) => {
    expect(() => compileFilter(source)).toThrow(FilterError);
  });

  test("says where it stopped understanding", () => {
    expect(() => compileFilter("userId eq ann")).toThrow(
      'The filter has "ann" at position 10 where userId, connectionId, null or a text in single quotes is expected.',
    );
  });
});
