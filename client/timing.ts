import { ChatError } from "./errors.js";

/** setTimeout fires at once beyond this. */
const LONGEST_TIMER_MS = 2_147_000_000;

/** A timer that holds no process open. Returns what ends it. */
export function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS)) as unknown;
  // In browsers a timer is a number.
  (timer as { unref?: () => void }).unref?.();
  return () => clearTimeout(timer as number);
}

/** Rejects with the code `OFFLINE` when `run` takes longer; what it does then is not waited for. */
export function within<T>(ms: number, what: string, run: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = after(ms, () => reject(new ChatError("OFFLINE", `${what} within ${ms / 1_000} s`)));
    run().then(resolve, reject).finally(end);
  });
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/**
 * The pause before the attempt that follows so many failures: doubling from half a second to thirty, and of that between a half and
 * the whole, so that clients that were cut off together don't come back together.
 */
export function backoff(failures: number): number {
  const whole = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
  return whole * (0.5 + Math.random() / 2);
}

const SPREAD_MS = 2;
const LONGEST_SPREAD_MS = 10_000;

/** A pause at random, the longer the more clients do the same at the same moment: about one for each millisecond or two. */
export const spread = (clients: number): number =>
  Math.random() * Math.min(clients * SPREAD_MS, LONGEST_SPREAD_MS);
