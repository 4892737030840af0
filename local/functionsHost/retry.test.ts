import { describe, expect, test } from "vitest";
import { pause, retryDelays, withRetries } from "./retry.js";
import type { RetryContext, RetryOptions } from "./rpc.js";

function take(options: RetryOptions, count: number, random = () => 0.5): number[] {
  const delays = retryDelays(options, random);
  return Array.from({ length: count }, () => delays.next().value);
}

describe("the pauses between attempts", () => {
  test("stay the same for fixedDelay", () => {
    expect(take({ maxRetryCount: 3, retryStrategy: "fixedDelay", delayInterval: { seconds: 2 } }, 3)).toEqual(
      [2000, 2000, 2000],
    );
  });

  test.each([
    [1, 10, 0.5, [1000, 2000, 3000, 5000, 9000, 10_000, 10_000]],
    [1, 10, 0, [1000, 1800, 2600, 4200, 7400, 10_000]],
    [5, 2, 0.5, [2000, 2000]],
    [0, 10, 0.5, [0, 0, 0]],
  ])("grow from %i s to %i s for exponentialBackoff", (least, most, random, expected) => {
    const options: RetryOptions = {
      maxRetryCount: -1,
      retryStrategy: "exponentialBackoff",
      minimumInterval: { seconds: least },
      maximumInterval: { seconds: most },
    };
    expect(take(options, expected.length, () => random)).toEqual(expected);
    const all = take(options, 2000);
    expect(all.every((delay) => delay <= most * 1000)).toBe(true);
  });
});

describe("attempts", () => {
  const never: RetryOptions = {
    maxRetryCount: -1,
    retryStrategy: "fixedDelay",
    delayInterval: { seconds: 0 },
  };

  test("know which one they are and how the last one ended", async () => {
    const seen: (RetryContext | undefined)[] = [];
    const attempt = async (retry: RetryContext | undefined) => {
      seen.push(retry);
      if (seen.length < 3) throw new Error(`failure ${seen.length}`);
    };
    expect(await withRetries(never, attempt, new AbortController().signal)).toBe("succeeded");
    expect(seen).toMatchObject([
      { retryCount: 0, maxRetryCount: -1 },
      { retryCount: 1, exception: { message: "failure 1" } },
      { retryCount: 2, exception: { message: "failure 2" } },
    ]);
  });

  test.each([
    [undefined, 1],
    [{ ...never, maxRetryCount: 0 }, 1],
    [{ ...never, maxRetryCount: 2 }, 3],
  ])("with %j are %i when all fail", async (options, expected) => {
    let attempts = 0;
    const attempt = async () => {
      attempts += 1;
      throw new Error("no");
    };
    expect(await withRetries(options, attempt, new AbortController().signal)).toBe("failed");
    expect(attempts).toBe(expected);
  });

  test("end in the middle of a pause when they are stopped", async () => {
    const stop = new AbortController();
    const attempt = async () => {
      setImmediate(() => stop.abort());
      throw new Error("no");
    };
    const hour: RetryOptions = { ...never, delayInterval: { seconds: 3600 } };
    expect(await withRetries(hour, attempt, stop.signal)).toBe("stopped");
  });
});

test("a pause that was stopped before it began is none", async () => {
  await pause(24 * 3_600_000, AbortSignal.abort());
});
