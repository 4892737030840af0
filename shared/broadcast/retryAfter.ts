import { setTimeout as pause } from "node:timers/promises";
import type { WebPubSubServiceClientOptions } from "@azure/web-pubsub";

/** No service keeps this app away for longer, whatever it says, and whatever clock its date is of. */
const LONGEST_MS = 60_000;
/** "At once" is no answer to a service that has refused. */
const SHORTEST_MS = 100;
/** Calls that have waited for the same moment don't all come in it. */
const SPREAD_MS = 200;

/** The service has said that it takes no calls for a while. */
export class Throttled extends Error {
  override readonly name = "Throttled";
  readonly statusCode: number;

  constructor(statusCode: number) {
    super(`The socket service answered ${statusCode} and asks to be left alone for a while.`);
    this.statusCode = statusCode;
  }
}

/**
 * How long an answer asks to wait, in milliseconds: `Retry-After` in seconds or as a date (RFC 9110, section
 * 10.2.3), or Azure's own headers in milliseconds. Nothing where it doesn't ask, or in no way that can be
 * read.
 */
export function askedToWait(header: (name: string) => string | undefined, now: number): number | undefined {
  const milliseconds = header("retry-after-ms") ?? header("x-ms-retry-after-ms");
  const after = header("retry-after")?.trim() ?? "";
  const wait =
    milliseconds !== undefined && /^\d+$/.test(milliseconds)
      ? Number(milliseconds)
      : /^\d+$/.test(after)
        ? Number(after) * 1_000
        : Date.parse(after) - now;
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, SHORTEST_MS), LONGEST_MS);
}

/** Keeps this process's calls away from a service for as long as the service has asked for that. */
export class Quiet {
  readonly #now: () => number;
  #until = 0;
  #why: Throttled | undefined;

  /** `now` is in milliseconds since 1970: the service may tell a date. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Notes what an answer asks for. Returns the reason for the calls that are kept away. */
  note(status: number, wait: number): Throttled {
    this.#why = new Throttled(status);
    this.#until = Math.max(this.#until, this.#now() + wait);
    return this.#why;
  }

  /** What is left, in milliseconds; 0 where calls may go. */
  get left(): number {
    // A clock that was set back must not stretch the wait.
    const left = this.#until - this.#now();
    return left > LONGEST_MS ? 0 : Math.max(0, left);
  }

  /** Waits until calls may go. Throws `Throttled` at once where that is later than `most` milliseconds. */
  async over(most: number): Promise<void> {
    while (this.left > 0) {
      if (this.left > most || !this.#why) throw this.#why ?? new Throttled(429);
      await pause(this.left + Math.random() * SPREAD_MS);
    }
  }
}

type PipelinePolicy = NonNullable<WebPubSubServiceClientOptions["additionalPolicies"]>[number]["policy"];

/**
 * Ends a call whose answer asks to wait. The SDK would wait as well, but for any time, and each call for
 * itself.
 */
export const heeding = (quiet: Quiet, now: () => number = Date.now): PipelinePolicy => ({
  name: "heedRetryAfter",
  async sendRequest(request, next) {
    const response = await next(request);
    if (response.status !== 429 && response.status !== 503) return response;
    const wait = askedToWait((name) => response.headers.get(name), now());
    if (wait === undefined) return response;
    throw quiet.note(response.status, wait);
  },
});
