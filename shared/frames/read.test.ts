import { describe, expect, test } from "vitest";
import { joinMoves, type ReadMoved, readShownFrames } from "./read.js";

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

const idsOf = (frames: readonly (readonly [Record<string, string>, string])[]): (string | undefined)[] =>
  frames.map(([headers]) => headers["message-id"]);

describe("the frame of one read", () => {
  test("is the room's, and says from where to where", () => {
    const [[headers, body]] = readShownFrames(5, [move(7, 2, 4)], false) as [
      [Record<string, string>, string],
    ];
    expect(headers).toEqual({
      destination: "/sub/chat/room/5/read",
      "message-id": expect.stringMatching(/^read-[\w-]{22}$/),
      "content-type": "application/json",
    });
    expect(body).toBe(
      '{"roomId":5,"userId":7,"lastReadMessageId":40,"previousLastReadMessageId":20,"lastReadSeq":4,' +
        '"previousLastReadSeq":2,"readAt":"2026-01-02T03:04:05.004Z"}',
    );
  });

  test("says null where nothing had been read", () => {
    const [[, body]] = readShownFrames(5, [move(7, 0, 4)], false) as [[object, string]];
    expect(JSON.parse(body)).toMatchObject({ previousLastReadMessageId: null, previousLastReadSeq: 0 });
  });

  test("has an id of its own, the same for its repeat", () => {
    const reads = [move(7, 2, 4), move(7, 4, 5), move(8, 2, 4)];
    const ids = idsOf(readShownFrames(5, reads, false));
    expect(new Set(ids).size).toBe(3);
    expect(idsOf(readShownFrames(5, reads, false))).toEqual(ids);
    expect(idsOf(readShownFrames(6, reads, false))).not.toEqual(ids);
  });
});

describe("merged reads", () => {
  test("stand in one frame", () => {
    const reads = [move(7, 2, 4), move(8, 0, 4)];
    const [[headers, body], ...more] = readShownFrames(5, reads, true) as [[Record<string, string>, string]];
    expect(more).toEqual([]);
    expect(headers["destination"]).toBe("/sub/chat/room/5/read");
    expect(body).toBe(
      '{"roomId":5,"reads":[{"userId":7,"lastReadMessageId":40,"previousLastReadMessageId":20,"lastReadSeq":4,' +
        '"previousLastReadSeq":2,"readAt":"2026-01-02T03:04:05.004Z"},{"userId":8,"lastReadMessageId":40,' +
        '"previousLastReadMessageId":null,"lastReadSeq":4,"previousLastReadSeq":0,"readAt":"2026-01-02T03:04:05.004Z"}]}',
    );
  });

  test.each([
    [0, []],
    [1, [1]],
    [500, [500]],
    [501, [500, 1]],
    [1_203, [500, 500, 203]],
  ])("of %i members stand in frames of %j", (count, sizes) => {
    const reads = Array.from({ length: count }, (_, index) => move(index + 1, 2, 4));
    const frames = readShownFrames(5, reads, true);
    expect(frames.map(([, body]) => JSON.parse(body).reads.length)).toEqual(sizes);
    expect(
      frames.flatMap(([, body]) => JSON.parse(body).reads.map(({ userId }: ReadMoved) => userId)),
    ).toEqual(reads.map(({ userId }) => userId));
    expect(new Set(idsOf(frames)).size).toBe(frames.length);
  });

  test("of 500 members fit in a WebSocket message many times over, whatever their numbers", () => {
    const most = Number.MAX_SAFE_INTEGER;
    const reads = Array.from({ length: 500 }, (_, index) => ({
      roomId: most,
      userId: most - index,
      lastReadMessageId: most,
      previousLastReadMessageId: most,
      lastReadSeq: most,
      previousLastReadSeq: most,
      readAt: new Date(),
    }));
    for (const [, body] of readShownFrames(most, reads, true)) expect(body.length).toBeLessThan(256 * 1024);
  });
});

describe("moves of a room joined", () => {
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
  ])("%s", (_what, moves, joined) => {
    expect(joinMoves(moves)).toEqual(joined);
  });

  test("bear the time of the last of them", () => {
    const [joined] = joinMoves([move(7, 4, 6, 999), move(7, 0, 4, 1)]);
    expect(joined?.readAt.toISOString()).toBe("2026-01-02T03:04:05.999Z");
  });

  test("leave what was handed over as it was", () => {
    const moves = [move(7, 4, 6), move(7, 0, 4)];
    const copy = structuredClone(moves);
    joinMoves(moves);
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
      const places = new Map<number, number>();
      const moves = Array.from({ length: Math.floor(random() * 40) }, () => {
        const userId = 1 + Math.floor(random() * 4);
        // Now and then a message of the member's own comes first, which moves them without a read.
        const from = (places.get(userId) ?? 0) + (random() < 0.3 ? 1 : 0);
        const to = from + 1 + Math.floor(random() * 5);
        places.set(userId, to);
        return move(userId, from, to);
      }).sort(() => random() - 0.5);
      const lowered = (reads: readonly ReadMoved[]): string[] =>
        reads
          .flatMap(({ userId, previousLastReadSeq: from, lastReadSeq: to }) =>
            Array.from({ length: to - from }, (_, index) => `${userId} read ${from + index + 1}`),
          )
          .sort();
      expect(lowered(joinMoves(moves))).toEqual(lowered(moves));
    },
  );
});
