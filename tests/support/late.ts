import { afterEach, beforeEach, vi } from "vitest";

/**
 * How an error says that a failure does not count. Vitest takes a pattern here: a function gets lost on the
 * way.
 */
const DOES_NOT_COUNT = "the test does not count, as";

/** A failure that does not count by `doesNotCountIf` has the test run again, at most five times. */
export const UNLESS_LATE = { retry: { count: 5, condition: new RegExp(`^${DOES_NOT_COUNT}`) } };

/**
 * For tests with `UNLESS_LATE`: `reason` says why a failure does not count, as a busy machine was late for
 * something that the test takes for granted. It is asked after a failure, behind the test's clean-ups.
 */
export function doesNotCountIf(reason: () => string | undefined | Promise<string | undefined>): void {
  beforeEach(({ task, onTestFailed }) => {
    if (typeof task.retry !== "object") return;
    onTestFailed(async () => {
      const why = await reason();
      if (why !== undefined) throw new Error(`${DOES_NOT_COUNT} ${why}`);
    });
  });
}

/**
 * For tests with `UNLESS_LATE` that ask a real Redis by our adapter, and take it for granted that Redis
 * answers within the adapter's 120 ms. Each test needs connections of its own: a connection warns once a
 * minute only that it had no answer. Warnings are kept from the console. The test calls the returned function
 * when it was late itself.
 */
export function unlessRedisIsLate(): () => void {
  let why: string | undefined;
  beforeEach(() => {
    why = undefined;
    vi.spyOn(console, "warn").mockImplementation((line: unknown) => {
      if (String(line).includes("Redis can't be used")) why = "Redis did not answer in time";
    });
  });
  afterEach(() => void vi.restoreAllMocks());
  doesNotCountIf(() => why);
  return () => {
    why = "it took too long itself";
  };
}
