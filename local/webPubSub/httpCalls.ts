import { setTimeout as sleep } from "node:timers/promises";
import { Agent, buildConnector, type Dispatcher } from "undici";
import { MAX_MESSAGE_BYTES } from "./frames.js";
import type { Stop } from "./stop.js";
import { WireBytes } from "./wireBytes.js";

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Header names and values in turn. */
export type Flat = readonly string[];

export interface Call {
  readonly method: "POST" | "OPTIONS" | "GET";
  readonly url: URL;
  readonly headers: Flat;
  readonly body: Buffer | null;
}

const MAX_SOCKETS = 256;

/** HTTP exchanges with event handlers, over sockets that are kept open. */
export class HttpCalls {
  readonly #retryPausesMs: readonly number[];
  #closed = false;
  readonly #wire = new WireBytes();
  readonly #agent = new Agent({
    connections: MAX_SOCKETS,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: countedBy(this.#wire),
  });

  /** The pauses come before the second, third, ... try of one call. */
  constructor(retryPausesMs: readonly number[]) {
    this.#retryPausesMs = retryPausesMs;
  }

  /**
   * Makes one call. After 408, 5xx and network failures it is tried again with the same headers, the event id
   * among them. Returns the last answer. Rejects when the last try got none, or at once when `stop` comes.
   */
  async call(call: Call, stop: Stop): Promise<UpstreamAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#try(call, stop).catch((error: Error) => error);
      const failed = answer instanceof Error;
      const isPassing = failed || answer.status === 408 || answer.status >= 500;
      const pause = this.#retryPausesMs[attempt];
      if (isPassing && pause !== undefined && !stop.reason && !this.#closed)
        await stop.during(sleep(pause, undefined, { ref: false }));
      else if (failed) throw answer;
      else return answer;
    }
  }

  /** The bytes of all calls and answers so far, headers included. */
  get bytes(): number {
    return this.#wire.total;
  }

  /** Closes the sockets, even those in use. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#agent.destroy();
  }

  /** One exchange. Undici's own timeouts are off: `stop` bounds queueing, headers and body together. */
  #try({ method, url, headers, body }: Call, stop: Stop): Promise<UpstreamAnswer> {
    return new Promise((resolve, reject) => {
      let controller: Dispatcher.DispatchController | undefined;
      let stopped: Error | undefined;
      const giveUp = (error: Error) => {
        stopped = error;
        controller?.abort(error);
        end();
        reject(error);
      };
      const end = () => stop.remove(giveUp);
      stop.add(giveUp);
      if (stopped) return;
      const chunks: Buffer[] = [];
      let size = 0;
      let head: Pick<UpstreamAnswer, "status" | "headers"> = { status: 0, headers: {} };
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart(started) {
          // Thrown, it leaves the connection to the next call; an abort would close it.
          if (stopped) throw stopped;
          controller = started;
        },
        onResponseStart(_controller, status, answered) {
          head = { status, headers: answered };
        },
        onResponseData(_controller, chunk) {
          size += chunk.length;
          if (size > MAX_MESSAGE_BYTES)
            giveUp(new Error(`an answer of more than ${MAX_MESSAGE_BYTES} bytes`));
          else chunks.push(chunk);
        },
        onResponseEnd() {
          end();
          resolve({ body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks), ...head });
        },
        onResponseError(_controller, error) {
          end();
          reject(error);
        },
      };
      const path = url.pathname + url.search;
      this.#agent.dispatch({ origin: url.origin, path, method, headers: headers as string[], body }, handler);
    });
  }
}

/** Opens sockets as undici does by itself, and has their bytes counted. */
function countedBy(wire: WireBytes): buildConnector.connector {
  const open = buildConnector({});
  return (options, callback) =>
    open(options, (...[error, socket]) => {
      if (socket) wire.add(socket);
      if (error) callback(error, null);
      else callback(null, socket);
    });
}

/** The text of a failed call's error. */
export function wordsOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return message || code || String(error);
}
