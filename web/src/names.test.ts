import { expect, test } from "vitest";
import { shownName } from "./names.js";

test.each([
  ["Ann", "Ann"],
  ["  Ann \n Lee ", "Ann Lee"],
  ["민준", "민준"],
  ["مريم", "مريم"],
  ["👩‍👩‍👧", "👩‍👩‍👧"],
  // With its mark (U+202E) it would read "Ann (exe)".
  ["Ann\u202E)exe(", "Ann)exe("],
  ["\u2067Ann", "Ann"],
  ["A\u0000n\u200Bn", "Ann"],
])("%j is shown as %j", (name, shown) => expect(shownName(name)).toBe(shown));

test.each([
  "",
  " ",
  "\u00A0",
  "\u200B\u200D",
  "\u3164",
  "\u115F\u1160",
  "\uFFA0",
  "\u2800\u2800",
  "\u202E",
  "\u0301",
  "\u{E0041}",
  "\u{E000}",
  "\u{2FFFE}",
  null,
  undefined,
])("%j looks like nothing", (name) => expect(shownName(name)).toBeUndefined());
