import { originAllowed } from "./hosts.js";
import { type Call, type UpstreamAnswer, wordsOf } from "./httpCalls.js";
import type { Log } from "./log.js";
import { type Stop, TimeLimit } from "./stop.js";

export interface ValidationOptions {
  /** How long an agreement holds before it is asked for again. */
  readonly intervalMs: number;
  /** How long one question may take, with its repeats. */
  readonly timeoutMs: number;
  readonly call: (call: Call, stop: Stop) => Promise<UpstreamAnswer>;
  readonly log: Log;
}

interface Known {
  allowed: boolean;
  pauseMs: number;
  askAgainAt: number;
  /** The question under way. Only the very first answer is waited for. */
  asking: Promise<boolean> | undefined;
  isFirst: boolean;
}

/**
 * After a refusal the handler is asked again after this pause, then after twice as long each time, up to the
 * interval.
 */
const FIRST_PAUSE_MS = 1000;

/**
 * Knows which URLs have agreed to get events (CloudEvents webhooks §4), as the vendor's emulator does. The
 * first event of a URL waits for the answer. Later events go by the last known answer; one that comes after
 * the interval has the handler asked again meanwhile.
 */
export class Validations {
  readonly #options: ValidationOptions;
  readonly #known = new Map<string, Known>();

  constructor(options: ValidationOptions) {
    this.#options = options;
  }

  /** True when events may go to the handler of this validation URL. A promise, which never rejects, at first only. */
  allows(url: URL, origin: string): boolean | Promise<boolean> {
    const known = this.#of(url.href);
    if (known.asking === undefined && performance.now() >= known.askAgainAt)
      known.asking = this.#ask(known, url, origin);
    return known.isFirst ? known.asking! : known.allowed;
  }

  #of(key: string): Known {
    const known = this.#known.get(key);
    if (known) return known;
    const fresh: Known = { allowed: true, pauseMs: 0, askAgainAt: 0, asking: undefined, isFirst: true };
    this.#known.set(key, fresh);
    return fresh;
  }

  async #ask(known: Known, url: URL, origin: string): Promise<boolean> {
    const { intervalMs, log } = this.#options;
    const refused = await this.#refusalOf(url, origin);
    const allowed = refused === undefined;
    if (refused !== undefined) log("warn", refused);
    else if (!known.allowed) log("info", `The event handler ${url.href} takes events again.`);
    const soon = Math.min(FIRST_PAUSE_MS, intervalMs);
    if (allowed) known.pauseMs = intervalMs;
    else known.pauseMs = known.allowed ? soon : Math.min(known.pauseMs * 2, intervalMs);
    Object.assign(known, { allowed, isFirst: false, asking: undefined });
    known.askAgainAt = performance.now() + known.pauseMs;
    return allowed;
  }

  /**
   * The reason why the handler may get nothing, undefined when it may. A handler that does not know OPTIONS
   * is asked by GET.
   */
  async #refusalOf(url: URL, origin: string): Promise<string | undefined> {
    const what = `The event handler ${url.href} did not accept validation:`;
    try {
      let answer = await this.#question("OPTIONS", url, origin);
      if (answer.status === 404) answer = await this.#question("GET", url, origin);
      const { status, headers } = answer;
      const allowed = headers["webhook-allowed-origin"];
      if (status >= 200 && status < 300 && originAllowed(allowed, origin)) return undefined;
      return `${what} OPTIONS was answered ${status} with WebHook-Allowed-Origin "${allowed ?? ""}", it must allow "${origin}" or "*"`;
    } catch (error) {
      return `${what} ${wordsOf(error)}`;
    }
  }

  async #question(method: "OPTIONS" | "GET", url: URL, origin: string): Promise<UpstreamAnswer> {
    const { call, timeoutMs } = this.#options;
    const limit = new TimeLimit(timeoutMs);
    const headers = ["WebHook-Request-Origin", origin, "ce-awpsversion", "1.0"];
    try {
      return await call({ method, url, headers, body: null }, limit);
    } finally {
      limit.end();
    }
  }
}
