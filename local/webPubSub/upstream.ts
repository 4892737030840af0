import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, type Dispatcher } from "undici";
import { MAX_MESSAGE_BYTES } from "./frames.js";
import { originAllowed } from "./hosts.js";
import type { Log } from "./log.js";

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface UpstreamOptions {
  /** Pauses before the second, third, ... try of one event. */
  readonly retryPausesMs: readonly number[];
  /** How long one try may take, from queueing to the last byte of the answer. */
  readonly tryTimeoutMs: number;
  readonly log: Log;
}

type Flat = readonly string[];
interface Call {
  readonly method: "POST" | "OPTIONS";
  readonly url: URL;
  readonly headers: Flat;
  readonly body: Buffer | null;
}
interface Try {
  readonly answer: UpstreamAnswer;
  readonly canRetry: boolean;
}
type Validation = { readonly refused: string | undefined };

const MAX_SOCKETS = 256;
const VALIDATION_PAUSE_MS = 1000;

/** Delivers events to event handler URLs: validation first, then each event until an answer or the last try. */
export class Upstream {
  /** What `WebHook-Request-Origin` says; known once the server listens. */
  origin = "localhost";
  readonly #options: UpstreamOptions;
  readonly #agent = new Agent({ connections: MAX_SOCKETS, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  readonly #validations = new Map<string, Promise<Validation>>();
  #delivering = 0;
  #delivered = 0;
  readonly #stop = new AbortController();

  constructor(options: UpstreamOptions) {
    this.#options = options;
    setMaxListeners(0, this.#stop.signal); // one listener for each event that waits for its next try
  }

  /**
   * Posts one event and answers what the handler said last. 408, 5xx and network failures are tried again with the
   * same headers, the event id among them. Never rejects: a handler that can't be reached answers 502, one that did not
   * accept this service's validation 500.
   */
  async deliver(url: URL, validationUrl: URL, headers: Flat, body: Buffer): Promise<UpstreamAnswer> {
    this.#delivering++;
    try {
      return await this.#deliver(url, validationUrl, headers, body);
    } finally {
      this.#delivering--;
      this.#delivered++;
    }
  }

  async #deliver(url: URL, validationUrl: URL, headers: Flat, body: Buffer): Promise<UpstreamAnswer> {
    for (let attempt = 0; ; attempt++) {
      const { answer, canRetry } = await this.#tryOnce(url, validationUrl, headers, body);
      const pause = this.#options.retryPausesMs[attempt];
      if (pause === undefined || !canRetry) return answer;
      try {
        await sleep(pause, undefined, { signal: this.#stop.signal });
      } catch {
        return answer;
      }
    }
  }

  /** How many events are on their way, those that wait for their next try among them. */
  get delivering(): number {
    return this.#delivering;
  }

  /** How many events have been answered or given up. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Gives up the events on their way and closes the sockets. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#agent.destroy();
  }

  async #tryOnce(url: URL, validationUrl: URL, headers: Flat, body: Buffer): Promise<Try> {
    try {
      const { refused } = await this.#validate(validationUrl);
      if (refused !== undefined) return { answer: failure(500, refused), canRetry: false };
      const answer = await this.#call({ method: "POST", url, headers, body });
      return { answer, canRetry: answer.status === 408 || answer.status >= 500 };
    } catch (error) {
      const reason = `The event handler ${url.href} could not be reached: ${text(error)}`;
      return { answer: failure(502, reason), canRetry: true };
    }
  }

  /** CloudEvents webhook §4: no event goes to a URL that has not agreed. An agreement holds for good. */
  #validate(url: URL): Promise<Validation> {
    const key = url.href;
    const known = this.#validations.get(key);
    if (known) return known;
    const running = this.#askPermission(url);
    this.#validations.set(key, running);
    const again = (why: string) => {
      this.#options.log("warn", why);
      // Within the pause every event fails at once instead of asking the same question again.
      const timer = setTimeout(() => this.#validations.delete(key), VALIDATION_PAUSE_MS);
      timer.unref();
    };
    running.then(
      ({ refused }) => refused !== undefined && again(refused),
      (error: unknown) => again(`validation of ${key} failed: ${text(error)}`),
    );
    return running;
  }

  async #askPermission(url: URL): Promise<Validation> {
    const headers = ["WebHook-Request-Origin", this.origin, "ce-awpsversion", "1.0"];
    const answer = await this.#call({ method: "OPTIONS", url, headers, body: null });
    if (answer.status === 408 || answer.status >= 500) throw new Error(`it answered ${answer.status}`);
    const allowed = answer.headers["webhook-allowed-origin"];
    if (answer.status < 300 && originAllowed(allowed, this.origin)) return { refused: undefined };
    return {
      refused: `The event handler ${url.href} did not accept validation: OPTIONS was answered ${answer.status} with WebHook-Allowed-Origin "${allowed ?? ""}", it must allow "${this.origin}" or "*"`,
    };
  }

  /** One HTTP exchange. Undici's own timeouts are off: one timer bounds queueing, headers and body together. */
  #call({ method, url, headers, body }: Call): Promise<UpstreamAnswer> {
    return new Promise((resolve, reject) => {
      let controller: Dispatcher.DispatchController | undefined;
      let late: Error | undefined;
      const giveUp = (error: Error) => {
        late = error;
        controller?.abort(error);
        clearTimeout(timer);
        reject(error);
      };
      const limit = this.#options.tryTimeoutMs;
      const timer = setTimeout(() => giveUp(new Error(`no answer within ${limit} ms`)), limit);
      const chunks: Buffer[] = [];
      let size = 0;
      let status = 0;
      let answered: UpstreamAnswer["headers"] = {};
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart(started) {
          controller = started;
          if (late) started.abort(late);
        },
        onResponseStart(_controller, statusCode, responseHeaders) {
          status = statusCode;
          answered = responseHeaders;
        },
        onResponseData(_controller, chunk) {
          size += chunk.length;
          if (size > MAX_MESSAGE_BYTES)
            giveUp(new Error(`an answer of more than ${MAX_MESSAGE_BYTES} bytes`));
          else chunks.push(chunk);
        },
        onResponseEnd() {
          clearTimeout(timer);
          resolve({
            status,
            headers: answered,
            body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks),
          });
        },
        onResponseError(_controller, error) {
          clearTimeout(timer);
          reject(error);
        },
      };
      const path = url.pathname + url.search;
      this.#agent.dispatch({ origin: url.origin, path, method, headers: headers as string[], body }, handler);
    });
  }
}

function failure(status: number, reason: string): UpstreamAnswer {
  return { status, headers: { "content-type": "text/plain" }, body: Buffer.from(reason) };
}

function text(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return message || code || String(error);
}
