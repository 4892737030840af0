import { ChatError } from "./errors.js";

/** How long the client waits, in milliseconds. Every value has a default; a test hands in shorter ones. */
export interface ChatTiming {
  /** A WebSocket connection that takes longer to open, up to CONNECTED, is given up. Default: 15,000. */
  readonly openTimeoutMs: number;
  /** A connection that answers none of its frames for this long is given up. Default: 20,000. */
  readonly answerTimeoutMs: number;
  /**
   * A connection that doesn't answer one frame for this long is given up, though it answers others: the
   * service takes the frames of a connection one after the other, and there are many after a reconnect.
   * Default: 180,000.
   */
  readonly longestAnswerMs: number;
  /** A connection that has been silent for this long is asked for a sign of life. Default: 120,000. */
  readonly probeEveryMs: number;
  /** A connection that doesn't answer such a question within this time is given up. Default: 10,000. */
  readonly probeTimeoutMs: number;
  /** A timer that fires this much too late was held up, so that silence means nothing yet. Default: 5,000. */
  readonly lateTimerMs: number;
  /**
   * After a connection that lasted longer than this, the pauses begin with the first one again. Default:
   * 5,000.
   */
  readonly goodAfterMs: number;
  /** The first pause before something is tried again; the next ones double. Default: 500. */
  readonly firstPauseMs: number;
  /** The longest of these pauses. Default: 30,000. */
  readonly longestPauseMs: number;
  /**
   * The longest wait that the service may ask for by `retryAfter`; a longer one may be a mistake. Default:
   * 3,600,000.
   */
  readonly longestRetryAfterMs: number;
  /** A token source that takes longer is asked again. Default: 20,000. */
  readonly tokenTimeoutMs: number;
  /** A token that ends within this time is not used for another call. Default: 5,000. */
  readonly leastTokenMs: number;
  /**
   * A token is renewed this long before it ends; a short one after four fifths of its life. Default: 60,000.
   */
  readonly renewBeforeMs: number;
  /** A token is renewed this long after the last renewal at the earliest. Default: 5,000. */
  readonly soonestRenewalMs: number;
  /** A renewal that failed is tried again after this time. Default: 10,000. */
  readonly renewAgainMs: number;
  /** An HTTP call that takes longer counts as failed. Default: 20,000. */
  readonly callTimeoutMs: number;
  /** A call that makes something is tried again for this long. Default: 10,000. */
  readonly makeForMs: number;
  /** The list of rooms is loaded this long after an event that may have changed it. Default: 300. */
  readonly refreshAfterMs: number;
  /** The list of rooms is loaded about this often while there is a connection. Default: 60,000. */
  readonly pollEveryMs: number;
  /** The members of an open group are loaded this long after they changed. Default: 200. */
  readonly membersAfterMs: number;
  /** An accepted message that wasn't seen for this long is looked for in the history. Default: 10,000. */
  readonly lookAfterMs: number;
  /** The client goes on without an outbox that takes longer. Default: 3,000. */
  readonly outboxTimeoutMs: number;
  /** The client says at most once in this time how far a room was read. Default: 500. */
  readonly readEveryMs: number;
  /** `disconnect()` waits at most this long until the last reads were taken. Default: 2,000. */
  readonly lastReadsMs: number;
}

export const DEFAULT_TIMING: ChatTiming = {
  openTimeoutMs: 15_000,
  answerTimeoutMs: 20_000,
  longestAnswerMs: 180_000,
  probeEveryMs: 120_000,
  probeTimeoutMs: 10_000,
  lateTimerMs: 5_000,
  goodAfterMs: 5_000,
  firstPauseMs: 500,
  longestPauseMs: 30_000,
  longestRetryAfterMs: 3_600_000,
  tokenTimeoutMs: 20_000,
  leastTokenMs: 5_000,
  renewBeforeMs: 60_000,
  soonestRenewalMs: 5_000,
  renewAgainMs: 10_000,
  callTimeoutMs: 20_000,
  makeForMs: 10_000,
  refreshAfterMs: 300,
  pollEveryMs: 60_000,
  membersAfterMs: 200,
  lookAfterMs: 10_000,
  outboxTimeoutMs: 3_000,
  readEveryMs: 500,
  lastReadsMs: 2_000,
};

/**
 * The usual timing but for what is given. Throws a `RangeError` for what is no time: a pause of `NaN` would
 * be none at all.
 */
export function timingOf(given: Partial<ChatTiming> = {}): ChatTiming {
  for (const [name, ms] of Object.entries(given))
    if (typeof ms !== "number" || !(ms >= 0))
      throw new RangeError(`timing.${name} must be a number of milliseconds, not ${ms}`);
  return { ...DEFAULT_TIMING, ...given };
}

/** setTimeout fires at once beyond this. */
const LONGEST_TIMER_MS = 2_147_000_000;

/** A timer that holds no process open. Returns what ends it. */
export function after(ms: number, run: () => void): () => void {
  const timer: unknown = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS));
  // In browsers a timer is a number.
  (timer as { unref?: () => void }).unref?.();
  return () => clearTimeout(timer as number);
}

/** Resolves after a time, or as soon as `until` is aborted. Holds no process open. */
export function sleep(ms: number, until?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      end();
      until?.removeEventListener("abort", wake);
      resolve();
    };
    const end = after(ms, wake);
    until?.addEventListener("abort", wake);
    if (until?.aborted) wake();
  });
}

/** Rejects with the code `OFFLINE` when `run` takes longer; nobody waits for it then. */
export function within<T>(ms: number, what: string, run: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = after(ms, () => reject(new ChatError("OFFLINE", `${what} within ${ms / 1_000} s`)));
    run().then(resolve, reject).finally(end);
  });
}

type Pauses = Pick<ChatTiming, "firstPauseMs" | "longestPauseMs" | "longestRetryAfterMs">;

/**
 * The pause before the next attempt, in milliseconds, where this many have failed before the last one. It
 * doubles with each, from `firstPauseMs` to `longestPauseMs`, and is a random part of that, at least a half:
 * clients that were cut off together don't come back together.
 */
export function backoff(failures: number, { firstPauseMs, longestPauseMs }: Pauses): number {
  const whole = Math.min(firstPauseMs * 2 ** failures, longestPauseMs);
  return whole * (0.5 + Math.random() / 2);
}

/**
 * The pause before the next attempt, in milliseconds: what the service has asked for by `retryAfter`, else a
 * `backoff`.
 */
export function pauseAfter({ retryAfter = 0 }: ChatError, failures: number, timing: Pauses): number {
  return Math.min(retryAfter * 1_000, timing.longestRetryAfterMs) || backoff(failures, timing);
}

const SPREAD_MS = 2;
const LONGEST_SPREAD_MS = 10_000;

/**
 * A random pause, the longer the more clients do the same at the same moment: about one client for each
 * millisecond or two.
 */
export const spread = (clients: number): number =>
  Math.random() * Math.min(clients * SPREAD_MS, LONGEST_SPREAD_MS);
