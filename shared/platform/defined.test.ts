import { expect, test } from "vitest";
import { defined } from "./defined.js";

test("fields that are undefined are left out, and no others", () => {
  const fields = { a: undefined, b: null, c: 0, d: "", e: false };
  expect(Object.entries(defined(fields))).toEqual([
    ["b", null],
    ["c", 0],
    ["d", ""],
    ["e", false],
  ]);
  expect(Object.keys(fields)).toContain("a");
});
