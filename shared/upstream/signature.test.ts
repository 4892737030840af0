import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { isSigned } from "./signature.js";

const sign = (key: string, connectionId = "conn-1"): string =>
  `sha256=${createHmac("sha256", key).update(connectionId).digest("hex")}`;

test("a known value (RFC 4231, test case 2)", () => {
  const signature = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
  expect(isSigned("what do ya want for nothing?", signature, ["Jefe"])).toBe(true);
});

test.each<[string, string | undefined, string[], boolean]>([
  ["the right one", sign("a"), ["a"], true],
  ["one of two, the first", `${sign("a")},${sign("b")}`, ["a"], true],
  ["one of two, the second", `${sign("b")},${sign("a")}`, ["a"], true],
  ["with a space behind the comma", `${sign("b")}, ${sign("a")}`, ["a"], true],
  ["by our second key", sign("b"), ["a", "b"], true],
  ["missing", undefined, ["a"], false],
  ["empty", "", ["a"], false],
  ["by another key", sign("c"), ["a", "b"], false],
  ["of another connection", sign("a", "conn-2"), ["a"], false],
  ["in upper case", sign("a").toUpperCase(), ["a"], false],
  ["without its prefix", sign("a").slice(7), ["a"], false],
  ["cut short", sign("a").slice(0, -1), ["a"], false],
  ["with more behind it", `${sign("a")}0`, ["a"], false],
  ["of other letters", "sha256=비비비", ["a"], false],
  ["commas only", ",,,,", ["a"], false],
  ["too long to look at", `${"x".repeat(1_000)},${sign("a")}`, ["a"], false],
  ["without any key of ours", sign("a"), [], false],
])("a signature %s", (_what, signature, keys, right) => {
  expect(isSigned("conn-1", signature, keys)).toBe(right);
});

test("no connection id can't be signed for", () => {
  expect(isSigned("", sign("a", ""), ["a"])).toBe(false);
});
