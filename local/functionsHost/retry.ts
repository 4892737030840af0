import type { Duration, RetryContext, RetryOptions } from "./rpc.js";

/** How calls with retries ended. `stopped`: `signal` aborted first, and the last attempt had failed. */
export type Outcome = "succeeded" | "failed" | "stopped";

/**
 * Calls `attempt` until it succeeds or the function's retry policy ends (-1: never), and once without a
 * policy. The count is only in memory, as in the real host. Never rejects.
 */
export async function withRetries(
  options: RetryOptions | undefined,
  attempt: (retry: RetryContext | undefined) => Promise<unknown>,
  signal: AbortSignal,
): Promise<Outcome> {
  const delays = options && retryDelays(options);
  let exception: RetryContext["exception"];
  for (let retryCount = 0; ; retryCount += 1) {
    try {
      const { maxRetryCount } = options ?? { maxRetryCount: 0 };
      await attempt(options && { retryCount, maxRetryCount, ...(exception && { exception }) });
      return "succeeded";
    } catch (error) {
      exception = describeException(error);
    }
    if (signal.aborted) return "stopped";
    if (!options || !delays || (options.maxRetryCount >= 0 && retryCount >= options.maxRetryCount))
      return "failed";
    await pause(delays.next().value, signal);
    if (signal.aborted) return "stopped";
  }
}

/**
 * The pauses of a retry policy, in milliseconds, without end. Exponential pauses start with the minimum and
 * add to it the minimum times a power of two, spread by a fifth to either side, up to the maximum. Minimum
 * and maximum are whole seconds, because the library rounds the options.
 */
export function* retryDelays(options: RetryOptions, random = Math.random): Generator<number, never> {
  if (options.retryStrategy === "fixedDelay") for (;;) yield milliseconds(options.delayInterval);
  const least = milliseconds(options.minimumInterval);
  const most = milliseconds(options.maximumInterval);
  yield Math.min(least, most);
  for (let power = 1, delay = least; ; power *= 2) {
    if (delay < most) delay = least + (0.8 + random() * 0.4) * power * least;
    // A power this large is above any maximum, and must not become Infinity times zero.
    if (power > 2 ** 30) power = 2 ** 30;
    yield Math.min(delay, most);
  }
}

function milliseconds(duration: Duration | undefined): number {
  return Number(duration?.seconds ?? 0) * 1000;
}

function describeException(error: unknown): { message: string; source: string; stackTrace: string } {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { message, source: "", stackTrace: stack ?? "" };
}

/** Waits for `time` milliseconds (at most 24.8 days, as timers do), or until `signal` aborts. */
export function pause(time: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, time);
    signal.addEventListener("abort", finish);
  });
}
