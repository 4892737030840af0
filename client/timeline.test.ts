import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Timeline } from "./timeline.js";
import type { Message } from "./types.js";

const message = (seq: number): Message => ({
  messageId: 100 + seq,
  seq,
  roomId: 1,
  senderId: 2,
  senderNickname: "Ann",
  type: "TEXT",
  content: `${seq}`,
  sentAt: "2026-01-02T03:04:05.678Z",
  unreadCount: 0,
});
const messages = (...seqs: number[]) => seqs.map(message);
const seqsOf = (timeline: Timeline) => timeline.messages.map(({ seq }) => seq);

function started(...seqs: number[]): Timeline {
  const timeline = new Timeline();
  timeline.start(messages(...seqs.reverse()), 50);
  return timeline;
}

describe("messages that come live", () => {
  test("follow each other, and repeats are dropped", () => {
    const timeline = started(1, 2);
    expect([3, 3, 2, 4, 1].map((seq) => timeline.add(message(seq)))).toEqual([
      true,
      false,
      false,
      true,
      false,
    ]);
    expect(seqsOf(timeline)).toEqual([1, 2, 3, 4]);
  });

  test("wait for those before them", () => {
    const timeline = started(1);
    expect(timeline.add(message(4))).toBe(false);
    expect(timeline.add(message(3))).toBe(false);
    expect(seqsOf(timeline)).toEqual([1]);
    expect([timeline.aheadTo, timeline.missing]).toEqual([4, 1]);
    expect(timeline.waiting.map(({ seq }) => seq)).toEqual([3, 4]);
    expect(timeline.add(message(2))).toBe(true);
    expect(seqsOf(timeline)).toEqual([1, 2, 3, 4]);
    expect([timeline.aheadTo, timeline.missing]).toEqual([undefined, 0]);
  });

  test("push the oldest out when they have become thousands, which can be loaded again", () => {
    const timeline = new Timeline();
    timeline.start(messages(2, 1), 50);
    expect(timeline.hasOlder).toBe(false);
    for (let seq = 3; seq <= 20_000; seq += 1) timeline.add(message(seq));
    const seqs = seqsOf(timeline);
    expect(seqs.length).toBeLessThanOrEqual(5_002);
    expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, index) => 20_001 - seqs.length + index));
    expect(timeline.hasOlder).toBe(true);
    const first = seqs[0]!;
    timeline.prepend(messages(first - 1, first - 2), first, 50);
    expect(seqsOf(timeline).slice(0, 3)).toEqual([first - 2, first - 1, first]);
  });

  test("that wait are no more than a thousand; the others are missing and asked for again", () => {
    const timeline = started(1);
    for (let seq = 3; seq < 3_003; seq += 1) timeline.add(message(seq));
    expect([timeline.waiting.length, timeline.aheadTo, timeline.missing]).toEqual([1_000, 3_002, 2_001]);
    const page = Array.from({ length: 100 }, (_, index) => message(index + 2));
    timeline.fill(page, 100, 3_002);
    expect(timeline.upTo).toBe(101);
  });

  test("wait for the first page, and those in it are dropped", () => {
    const timeline = new Timeline();
    for (const seq of [7, 8, 9]) timeline.add(message(seq));
    timeline.start(messages(8, 7, 6), 50);
    expect(seqsOf(timeline)).toEqual([6, 7, 8, 9]);
  });
});

describe("a gap", () => {
  test("is filled from the history", () => {
    const timeline = started(1);
    timeline.add(message(4));
    timeline.fill(messages(2, 3, 4), 100, 4);
    expect(seqsOf(timeline)).toEqual([1, 2, 3, 4]);
  });

  test("may be one that the history has too", () => {
    const timeline = started(1);
    timeline.add(message(4));
    timeline.fill(messages(2, 4), 100, 4);
    expect(seqsOf(timeline)).toEqual([1, 2, 4]);
    expect(timeline.add(message(5))).toBe(true);
  });

  test("hides what was deleted while it waited", () => {
    const timeline = started(1);
    timeline.add(message(4));
    timeline.fill(messages(2), 100, 4);
    expect(seqsOf(timeline)).toEqual([1, 2]);
    expect(timeline.aheadTo).toBeUndefined();
  });

  test("of more than a page is filled page by page", () => {
    const timeline = started(1);
    timeline.add(message(5));
    timeline.fill(messages(2, 3), 2, 5);
    expect(timeline.aheadTo).toBe(5);
    timeline.fill(messages(4, 5), 2, 5);
    expect(seqsOf(timeline)).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("older pages", () => {
  test("come before the first, until one isn't full", () => {
    const timeline = new Timeline();
    timeline.start(messages(6, 5), 2);
    expect(timeline.hasOlder).toBe(true);
    timeline.prepend(messages(4, 3), 5, 2);
    expect([timeline.hasOlder, seqsOf(timeline)]).toEqual([true, [3, 4, 5, 6]]);
    timeline.prepend(messages(2), 3, 2);
    expect([timeline.hasOlder, seqsOf(timeline)]).toEqual([false, [2, 3, 4, 5, 6]]);
  });

  test("that were asked for before another message change nothing", () => {
    const timeline = started(5, 6);
    timeline.prepend(messages(2, 1), 3, 2);
    expect(seqsOf(timeline)).toEqual([5, 6]);
  });
});

test("whatever comes in whatever order, what is shown has no gap and no repeat, and in the end all is there", () => {
  const size = 40;
  const arrivals = fc.array(fc.integer({ min: 1, max: size }), { maxLength: 120 });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: size }),
      arrivals,
      fc.integer({ min: 1, max: 9 }),
      (first, live, limit) => {
        const timeline = new Timeline();
        const after = (seq: number) =>
          Array.from({ length: size - seq }, (_, index) => message(seq + 1 + index));
        for (const seq of live.slice(0, 20)) timeline.add(message(seq));
        timeline.start(
          messages(...Array.from({ length: Math.min(first, limit) }, (_, index) => first - index)),
          limit,
        );
        for (const seq of [...live.slice(20), size]) {
          timeline.add(message(seq));
          const shown = seqsOf(timeline);
          expect(shown).toEqual(shown.map((_, index) => shown[0]! + index));
        }
        for (let rounds = 0; timeline.aheadTo !== undefined; rounds += 1) {
          expect(rounds).toBeLessThan(size + 1);
          timeline.fill(after(timeline.upTo ?? 0).slice(0, limit), limit, timeline.aheadTo);
        }
        const shown = seqsOf(timeline);
        expect(shown).toEqual(
          Array.from({ length: shown.length }, (_, index) => size - shown.length + 1 + index),
        );
        expect(shown.length).toBeGreaterThanOrEqual(size - first);
      },
    ),
  );
});
