import { afterEach, beforeEach, vi } from "vitest";

/**
 * For tests that ask a real Redis by our own adapter, and take it for granted that it answers within the adapter's 120 ms. On a busy machine it may not: what comes of that does not count, and such a test
 * begins anew. Each test needs connections of its own, as one says once a minute only that it had no answer. Takes what is warned of.
 */
export function unlessLate(): { retry: { count: number; condition: () => boolean }; note: () => void } {
  let wasLate = false;
  beforeEach(() => {
    wasLate = false;
    vi.spyOn(console, "warn").mockImplementation((line: unknown) => {
      wasLate ||= String(line).includes("Redis can't be used");
    });
  });
  afterEach(() => void vi.restoreAllMocks());
  return {
    retry: { count: 20, condition: () => wasLate },
    /** The test itself has been late for something. */
    note: () => {
      wasLate = true;
    },
  };
}
