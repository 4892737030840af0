import { afterEach, beforeEach, vi } from "vitest";

/** How an error says that a failure does not count: Vitest goes by a pattern here, as it loses a function on the way. */
const DOES_NOT_COUNT = "the test does not count, as";

/** A test that fails and does not count, as `doesNotCountIf` says, begins anew; any other failure is one. */
export const UNLESS_LATE = { retry: { count: 5, condition: new RegExp(`^${DOES_NOT_COUNT}`) } };

/** The reason, if there is one, why what a failed test with `UNLESS_LATE` takes for granted did not hold: a busy machine was late for it. Asked when everything after the test is done. */
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
 * For tests with `UNLESS_LATE` that ask a real Redis by our own adapter, and take it for granted that it answers within the adapter's 120 ms. Each needs connections of its own, as one says once a minute only
 * that it had no answer. Takes what is warned of. Returns what notes that a test itself was late for something.
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
