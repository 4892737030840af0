import { expect, test } from "vitest";
import { packFrames } from "./packing.js";

test.each<[string, string[], number, string[]]>([
  ["nothing gives nothing", [], 10, []],
  ["what fits goes together", ["aaa", "bbb", "ccc"], 10, ["aaabbbccc"]],
  ["what fits exactly goes together", ["aaaaa", "bbbbb"], 10, ["aaaaabbbbb"]],
  ["one byte more begins another message", ["aaaaa", "bbbbbb"], 10, ["aaaaa", "bbbbbb"]],
  ["the order stays, also where a later one would fit", ["aaaaaa", "bbbbbb", "c"], 10, ["aaaaaa", "bbbbbbc"]],
  ["a frame over the limit stands alone", ["a", "b".repeat(12), "c"], 10, ["a", "b".repeat(12), "c"]],
  ["the first one may be over the limit", ["b".repeat(12), "c"], 10, ["b".repeat(12), "c"]],
  ["bytes count, not characters", ["비비", "비비", "aa"], 10, ["비비", "비비aa"]],
  ["empty texts vanish", ["", "a", ""], 10, ["a"]],
])("%s", (_what, frames, limit, packed) => {
  expect(packFrames(frames, limit)).toEqual(packed);
});

test("by itself it packs up to 512 KiB", () => {
  const frame = `${"a".repeat(64 * 1024 - 1)}\0`;
  const packed = packFrames(Array.from({ length: 17 }, () => frame));
  expect(packed.map((text) => text.length / 1024)).toEqual([512, 512, 64]);
});
