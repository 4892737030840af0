import { type Flat, HttpCalls, type UpstreamAnswer, wordsOf } from "./httpCalls.js";
import type { Log } from "./log.js";
import { TimeLimit } from "./timeLimit.js";
import { Validations } from "./validations.js";

export type { UpstreamAnswer } from "./httpCalls.js";

export interface UpstreamOptions {
  /** Pauses before the second, third, ... try of one event. */
  readonly retryPausesMs: readonly number[];
  /** How long one event may take in all, from queueing to the last byte of the last answer. */
  readonly callTimeoutMs: number;
  readonly validationIntervalMs: number;
  readonly validationTimeoutMs: number;
  readonly log: Log;
}

/** The URL that gets an event, and the URL that is asked first whether its handler wants any. */
export interface Target {
  readonly url: URL;
  readonly validationUrl: URL;
}

/**
 * Delivers events to event handler URLs: validation first, then each event until an answer or the last try.
 */
export class Upstream {
  /** The value of `WebHook-Request-Origin`, known once the server listens. */
  origin = "localhost";
  readonly #options: UpstreamOptions;
  readonly #http: HttpCalls;
  readonly #validations: Validations;
  readonly #underWay = new Set<TimeLimit>();
  #delivered = 0;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.#http = new HttpCalls(options.retryPausesMs);
    this.#validations = new Validations({
      intervalMs: options.validationIntervalMs,
      timeoutMs: options.validationTimeoutMs,
      call: (call, signal) => this.#http.call(call, signal),
      log: options.log,
    });
  }

  /**
   * Posts one event and returns the handler's last answer. Never rejects. The answer is 500 when the handler
   * can't be reached in time or did not accept validation, and when `gone` aborted.
   */
  async deliver(target: Target, headers: Flat, body: Buffer, gone?: AbortSignal): Promise<UpstreamAnswer> {
    const limit = new TimeLimit(this.#options.callTimeoutMs);
    const giveUp = () => limit.abort("the client has gone");
    gone?.addEventListener("abort", giveUp);
    if (gone?.aborted) giveUp();
    this.#underWay.add(limit);
    try {
      return await this.#deliver(target, headers, body, limit.signal);
    } finally {
      limit.end();
      gone?.removeEventListener("abort", giveUp);
      this.#underWay.delete(limit);
      this.#delivered += 1;
    }
  }

  async #deliver(
    { url, validationUrl }: Target,
    headers: Flat,
    body: Buffer,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> {
    try {
      if (!(await unlessAborted(this.#validations.allows(validationUrl, this.origin), signal)))
        return failure(
          `The event handler ${validationUrl.href} did not accept validation by WebHook-Allowed-Origin.`,
        );
      return await this.#http.call({ method: "POST", url, headers, body }, signal);
    } catch (error) {
      return failure(`The event handler ${url.href} could not be reached: ${wordsOf(error)}`);
    }
  }

  /** The number of events on their way, with those that wait for their next try. */
  get delivering(): number {
    return this.#underWay.size;
  }

  /** The number of events that were answered or given up. */
  get delivered(): number {
    return this.#delivered;
  }

  /** The bytes of all calls and answers so far, headers included. */
  get bytes(): number {
    return this.#http.bytes;
  }

  /** Gives up the events on their way and closes the sockets. */
  async close(): Promise<void> {
    for (const call of this.#underWay) call.abort("the server ends");
    await this.#http.close();
  }
}

/** The same promise, which also rejects as soon as the signal aborts. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function failure(reason: string): UpstreamAnswer {
  return { status: 500, headers: { "content-type": "text/plain" }, body: Buffer.from(reason) };
}
