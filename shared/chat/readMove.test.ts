import { describe, expect, test } from "vitest";
import { combineMoves, type ReadMoved } from "./readMove.js";

/** A move whose messages have ten times their seq as their id. */
const move = (userId: number, from: number, to: number, at = to): ReadMoved => ({
  roomId: 5,
  userId,
  lastReadMessageId: to * 10,
  previousLastReadMessageId: from === 0 ? null : from * 10,
  lastReadSeq: to,
  previousLastReadSeq: from,
  readAt: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, at)),
});

describe("moves of a room combined", () => {
  test.each<[string, ReadMoved[], ReadMoved[]]>([
    ["nothing", [], []],
    ["one", [move(7, 0, 4)], [move(7, 0, 4)]],
    ["two that follow each other", [move(7, 0, 4), move(7, 4, 6)], [{ ...move(7, 0, 6) }]],
    ["many, in any order", [move(7, 6, 9), move(7, 0, 4), move(7, 4, 6)], [{ ...move(7, 0, 9) }]],
    [
      "two with the member's own messages between them",
      [move(7, 0, 4), move(7, 5, 6)],
      [move(7, 0, 4), move(7, 5, 6)],
    ],
    [
      "those behind such a gap, but not over it",
      [move(7, 0, 2), move(7, 2, 4), move(7, 5, 6), move(7, 6, 8)],
      [{ ...move(7, 0, 4) }, { ...move(7, 5, 8) }],
    ],
    [
      "each member's own only",
      [move(7, 0, 4), move(8, 4, 6), move(8, 0, 4), move(7, 4, 5)],
      [{ ...move(7, 0, 5) }, { ...move(8, 0, 6) }],
    ],
  ])("%s", (_what, moves, combined) => {
    expect(combineMoves(moves)).toEqual(combined);
  });

  test("bear the time of the last of them", () => {
    const [combined] = combineMoves([move(7, 4, 6, 999), move(7, 0, 4, 1)]);
    expect(combined?.readAt.toISOString()).toBe("2026-01-02T03:04:05.999Z");
  });

  test("leave what was handed over as it was", () => {
    const moves = [move(7, 4, 6), move(7, 0, 4)];
    const copy = structuredClone(moves);
    combineMoves(moves);
    expect(moves).toEqual(copy);
  });

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

  test.each(Array.from({ length: 50 }, (_, index) => index + 1))(
    "lower the same counts as they did one by one: seed %i",
    (seed) => {
      const random = seeded(seed);
      const positions = new Map<number, number>();
      const moves = Array.from({ length: Math.floor(random() * 40) }, () => {
        const userId = 1 + Math.floor(random() * 4);
        // Now and then a message of the member's own comes first, which moves them without a read.
        const from = (positions.get(userId) ?? 0) + (random() < 0.3 ? 1 : 0);
        const to = from + 1 + Math.floor(random() * 5);
        positions.set(userId, to);
        return move(userId, from, to);
      }).sort(() => random() - 0.5);
      const lowered = (reads: readonly ReadMoved[]): string[] =>
        reads
          .flatMap(({ userId, previousLastReadSeq: from, lastReadSeq: to }) =>
            Array.from({ length: to - from }, (_, index) => `${userId} read ${from + index + 1}`),
          )
          .sort();
      expect(lowered(combineMoves(moves))).toEqual(lowered(moves));
    },
  );
});
