import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { TIMING } from "../../shared/redis/timing.js";
import { type RunScript, scriptsOn } from "../support/lua.js";

// The script itself on a real Redis, with each moment handed in: hours pass at once, and a clock can be set
// back.

const WINDOW_MS = TIMING.windowMs;
const START_MS = 1_760_000_000_000;
const RUNS = Number(process.env["RATE_RUNS"] ?? 60);

let redis: Redis;
let run: RunScript;
let keys = 0;
beforeAll(() => {
  redis = new Redis(inject("stack").redis);
  run = scriptsOn(redis);
});
afterAll(() => redis.disconnect());

const newKey = (): string => `{user:rate-${process.pid}-${Date.now()}-${++keys}}:messages`;

async function take(key: string, limit: number, now: number): Promise<number> {
  return Number(await run("take", [key], { limit, windowMs: WINDOW_MS, now }));
}

/** The most moments that any window of 60 s, both ends included, holds. */
function most(moments: readonly number[]): number {
  return Math.max(
    0,
    ...moments.map((end) => moments.filter((one) => one <= end && one >= end - WINDOW_MS).length),
  );
}

/** Mostly bursts, sometimes pauses about as long as the window. */
const Pause = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 20 }) },
  { weight: 3, arbitrary: fc.integer({ min: 20, max: 5_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 55_000, max: 62_000 }) },
);

test("no window of 60 s ever holds more than the limit, and who waits retryAfter always passes", async () => {
  const Steps = fc.array(fc.record({ pause: Pause, waits: fc.boolean() }), {
    minLength: 1,
    maxLength: 150,
    size: "max",
  });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 60 }), Steps, async (limit, steps) => {
      const key = newKey();
      const passed: number[] = [];
      let now = START_MS;
      for (const { pause, waits } of steps) {
        now += pause;
        const retryAfter = await take(key, limit, now);
        if (retryAfter === 0) passed.push(now);
        else {
          // Refused only where the window is full, and not for longer than needed.
          expect(passed.filter((one) => one >= now - WINDOW_MS)).toHaveLength(limit);
          expect(retryAfter).toBe(Math.ceil((passed.at(-limit)! + WINDOW_MS + 1 - now) / 1_000));
          if (!waits) continue;
          now += retryAfter * 1_000;
          expect(await take(key, limit, now)).toBe(0);
          passed.push(now);
        }
      }
      expect(most(passed)).toBeLessThanOrEqual(limit);
    }),
    { numRuns: RUNS },
  );
});

test("a clock that is set back lets no more through, and keeps nobody out for longer than the window", async () => {
  const Steps = fc.array(
    fc.record({ pause: Pause, back: fc.option(fc.integer({ min: 1, max: 86_400_000 }), { freq: 4 }) }),
    { minLength: 1, maxLength: 100, size: "max" },
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 10 }), Steps, async (limit, steps) => {
      const key = newKey();
      const passed: number[] = [];
      // What really passes, and what the clock says: no less far apart than the clock was set back.
      let [real, clock] = [START_MS, START_MS];
      for (const { pause, back } of steps) {
        real += pause;
        clock += pause - (back ?? 0);
        const retryAfter = await take(key, limit, clock);
        expect(retryAfter).toBeLessThanOrEqual(61);
        if (retryAfter === 0) passed.push(real);
        else {
          real += retryAfter * 1_000;
          clock += retryAfter * 1_000;
          expect(await take(key, limit, clock)).toBe(0);
          passed.push(real);
        }
      }
      expect(most(passed)).toBeLessThanOrEqual(limit);
    }),
    { numRuns: RUNS },
  );
});

test("a limit that is lowered counts what was let through before", async () => {
  const key = newKey();
  for (let index = 0; index < 10; index += 1) expect(await take(key, 10, START_MS + index * 1_000)).toBe(0);
  expect(await take(key, 4, START_MS + 20_000)).toBe(47);
  expect(await take(key, 4, START_MS + 20_000 + 46_000)).toBe(1);
  expect(await take(key, 4, START_MS + 20_000 + 46_001)).toBe(0);
});

test("its key lives as long as its window, whatever happened to it", async () => {
  const key = newKey();
  for (const now of [START_MS, START_MS + 5, START_MS - 3_600_000]) {
    await take(key, 2, now);
    const left = await redis.pttl(key);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(WINDOW_MS + 1_000);
  }
});
