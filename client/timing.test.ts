import { describe, expect, test } from "vitest";
import { ChatError } from "./errors.js";
import { backoff, DEFAULT_TIMING, pauseAfter, sleep, timingOf } from "./timing.js";

describe("the pause before the next attempt", () => {
  test.each([
    [0, 500],
    [1, 1_000],
    [2, 2_000],
    [5, 16_000],
    [6, 30_000],
    [100, 30_000],
  ])("behind %s failures is between a half and the whole of %s ms", (failures, whole) => {
    for (let count = 0; count < 1_000; count += 1) {
      const ms = backoff(failures, DEFAULT_TIMING);
      expect(ms).toBeGreaterThanOrEqual(whole / 2);
      expect(ms).toBeLessThanOrEqual(whole);
    }
  });

  test.each<[what: string, retryAfter: number | undefined, least: number, most: number]>([
    ["what the service asks for", 12, 12_000, 12_000],
    ["an hour, where the service asks for a day", 86_400, 3_600_000, 3_600_000],
    ["a backoff, where the service asks for nothing", undefined, 500, 1_000],
    ["a backoff, where the service asks for no time", 0, 500, 1_000],
  ])("is %s", (_, retryAfter, least, most) => {
    const error = new ChatError("UNAVAILABLE", "not now", retryAfter === undefined ? {} : { retryAfter });
    const ms = pauseAfter(error, 1, DEFAULT_TIMING);
    expect(ms).toBeGreaterThanOrEqual(least);
    expect(ms).toBeLessThanOrEqual(most);
  });
});

test("a sleep ends with its signal, also with one that was aborted before", async () => {
  const until = new AbortController();
  const sleeping = sleep(3_600_000, until.signal);
  until.abort();
  await sleeping;
  await sleep(3_600_000, until.signal);
});

test("a timing that is not given is the usual one, and one that is no time is refused", () => {
  expect(timingOf({ firstPauseMs: 20 })).toEqual({ ...DEFAULT_TIMING, firstPauseMs: 20 });
  for (const wrong of [Number.NaN, -1, undefined, "20"])
    expect(() => timingOf({ firstPauseMs: wrong as number })).toThrow("timing.firstPauseMs");
});
