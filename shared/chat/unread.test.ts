import { describe, expect, test } from "vitest";
import { unreadCounter } from "./unread.js";

/** Numbers from 0 to less than 1 that are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("how many have not read a message", () => {
  test.each(Array.from({ length: 50 }, (_, index) => index + 1))("is the naive count: seed %i", (seed) => {
    const random = seeded(seed);
    const lastSeq = Math.floor(random() * 40);
    const reads = Array.from({ length: Math.floor(random() * 60) }, () =>
      Math.floor(random() * (lastSeq + 1)),
    );
    const counts = new Map<number, number>();
    for (const read of reads) counts.set(read, (counts.get(read) ?? 0) + 1);
    const unread = unreadCounter([...counts].sort(([a], [b]) => a - b));
    for (let seq = 0; seq <= lastSeq + 2; seq += 1)
      expect([seq, unread(seq)]).toEqual([seq, reads.filter((read) => read < seq).length]);
  });

  test.each<[string, [number, number][], number, number]>([
    ["nobody is there", [], 5, 0],
    ["nobody has read anything", [[0, 3]], 1, 3],
    ["all have read it", [[5, 3]], 5, 0],
    ["all are one behind", [[4, 3]], 5, 3],
    [
      "the positions are far apart",
      [
        [0, 1],
        [2 ** 52, 2],
        [2 ** 53 - 2, 4],
      ],
      2 ** 53 - 1,
      7,
    ],
  ])("where %s", (_what, positions, seq, count) => {
    expect(unreadCounter(positions)(seq)).toBe(count);
  });
});
