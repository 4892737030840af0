import { afterEach, expect, test, vi } from "vitest";
import { askedToWait, Quiet, Throttled } from "./retryAfter.js";

const NOW = Date.parse("Fri, 27 Nov 2026 01:00:00 GMT");

afterEach(() => void vi.useRealTimers());

test.each<[Record<string, string>, number | undefined]>([
  [{ "retry-after": "7" }, 7_000],
  [{ "retry-after": " 7 " }, 7_000],
  [{ "retry-after": "0" }, 100],
  [{ "retry-after": "Fri, 27 Nov 2026 01:00:09 GMT" }, 9_000],
  // The two older forms of a date, which a recipient must take (RFC 9110, section 5.6.7).
  [{ "retry-after": "Friday, 27-Nov-26 01:00:09 GMT" }, 9_000],
  [{ "retry-after": "Fri, 27 Nov 2026 00:00:00 GMT" }, 100],
  [{ "retry-after": "Sat, 01 Jan 2050 00:00:00 GMT" }, 60_000],
  [{ "retry-after": "1000000000000" }, 60_000],
  [{ "retry-after-ms": "250", "retry-after": "9" }, 250],
  [{ "x-ms-retry-after-ms": "1500" }, 1_500],
  [{ "retry-after": "soon" }, undefined],
  [{ "retry-after": "-3x" }, undefined],
  [{ "retry-after": "" }, undefined],
  [{}, undefined],
])("%j asks to wait for %s ms", (headers, wait) => {
  expect(askedToWait((name) => headers[name], NOW)).toBe(wait);
});

test("calls wait until the last moment that was asked for, not longer than a minute by a clock set back", async () => {
  vi.useFakeTimers({ now: NOW });
  const quiet = new Quiet();
  await quiet.over(0);
  quiet.note(429, 3_000);
  quiet.note(503, 1_000);
  await expect(quiet.over(2_999)).rejects.toThrow(Throttled);
  let isOver = false;
  const waiting = quiet.over(5_000).then(() => {
    isOver = true;
  });
  await vi.advanceTimersByTimeAsync(2_999);
  expect(isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(300);
  await waiting;
  quiet.note(429, 60_000);
  vi.setSystemTime(NOW - 3_600_000);
  await quiet.over(0);
});
