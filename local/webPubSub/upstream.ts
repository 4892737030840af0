import { type Flat, HttpCalls, type UpstreamAnswer, wordsOf } from "./httpCalls.js";
import type { Log } from "./log.js";
import { type Stop, TimeLimit } from "./stop.js";
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
      call: (call, stop) => this.#http.call(call, stop),
      log: options.log,
    });
  }

  /**
   * Posts one event and returns the handler's last answer. Never rejects. The answer is 500 when the handler
   * can't be reached in time or did not accept validation, and when `gone` came.
   */
  async deliver(target: Target, headers: Flat, body: Buffer, gone?: Stop): Promise<UpstreamAnswer> {
    const limit = new TimeLimit(this.#options.callTimeoutMs);
    const giveUp = ({ message }: Error) => limit.now(message);
    gone?.add(giveUp);
    this.#underWay.add(limit);
    try {
      return await this.#deliver(target, headers, body, limit);
    } finally {
      limit.end();
      gone?.remove(giveUp);
      this.#underWay.delete(limit);
      this.#delivered += 1;
    }
  }

  async #deliver(
    { url, validationUrl }: Target,
    headers: Flat,
    body: Buffer,
    stop: Stop,
  ): Promise<UpstreamAnswer> {
    try {
      const allowed = this.#validations.allows(validationUrl, this.origin);
      if (!(typeof allowed === "boolean" ? allowed : await stop.during(allowed)))
        return failure(
          `The event handler ${validationUrl.href} did not accept validation by WebHook-Allowed-Origin.`,
        );
      return await this.#http.call({ method: "POST", url, headers, body }, stop);
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
    for (const call of this.#underWay) call.now("the server ends");
    await this.#http.close();
  }
}

function failure(reason: string): UpstreamAnswer {
  return { status: 500, headers: { "content-type": "text/plain" }, body: Buffer.from(reason) };
}
