import { newClientMessageId } from "./clientMessageId.js";
import { ChatError, textOf, toChatError } from "./errors.js";
import { type ChatTiming, pauseAfter, sleep } from "./timing.js";
import type { Tokens } from "./tokens.js";

const PREFIX = "/api/v1/chat";
const MOST_UNANSWERED = 100;

interface Call {
  readonly body?: object;
  /** Calls with the same key make one thing (`Idempotency-Key`). */
  readonly key?: string;
  readonly signal?: AbortSignal;
}

/** The service's HTTP calls. */
export class Http {
  readonly #url: string;
  /** The keys of calls that make something and got no answer. */
  readonly #unanswered = new Map<string, string>();

  readonly #tokens: Tokens;
  readonly #timing: ChatTiming;

  constructor(url: string, tokens: Tokens, timing: ChatTiming) {
    this.#url = url.replace(/\/+$/, "") + PREFIX;
    this.#tokens = tokens;
    this.#timing = timing;
  }

  /**
   * Resolves with the answer's JSON. Rejects with a `ChatError`: the service's code, or `OFFLINE` when it
   * wasn't reached. Renews a refused token once.
   */
  async request<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const token = await this.#tokens.get();
    const response = await this.#fetch(method, path, call, token.text);
    if (response.status !== 401) return await read<T>(response);
    // Another call may have renewed it already.
    const { current } = this.#tokens;
    const renewed = current && current.text !== token.text ? current : await this.#tokens.renew();
    return await read<T>(await this.#fetch(method, path, call, renewed.text));
  }

  /**
   * Resolves with one field of the answer. Rejects as `request` does, and with `UNEXPECTED` where the answer
   * lacks it.
   */
  async field<T>(method: string, path: string, name: string, call?: Call): Promise<T> {
    return fieldOf<T>(await this.request(method, path, call), name);
  }

  /**
   * Makes something by a POST, once, however often the call is tried. It is tried again for some seconds when
   * the answer was lost or the service could not, and the same call after such a failure goes on where this
   * one has ended.
   */
  async make<T>(path: string, body: object, name: string): Promise<T> {
    const what = `${path} ${JSON.stringify(body)}`;
    const key = this.#unanswered.get(what) ?? newClientMessageId();
    // A call at the same time makes another thing.
    this.#unanswered.delete(what);
    const until = Date.now() + this.#timing.makeForMs;
    for (let failures = 0; ; failures += 1)
      try {
        return await this.field<T>("POST", path, name, { body, key });
      } catch (thrown) {
        const error = toChatError(thrown);
        if (!isPassing(error)) throw error;
        const ms = pauseAfter(error, failures, this.#timing);
        if (error.code === "RATE_LIMIT_EXCEEDED" || Date.now() + ms >= until) {
          this.#keep(what, key);
          throw error;
        }
        await sleep(ms);
      }
  }

  #keep(what: string, key: string): void {
    this.#unanswered.set(what, key);
    if (this.#unanswered.size > MOST_UNANSWERED)
      this.#unanswered.delete(this.#unanswered.keys().next().value!);
  }

  async #fetch(method: string, path: string, { body, key, signal }: Call, token: string): Promise<Response> {
    const timeout = AbortSignal.timeout(this.#timing.callTimeoutMs);
    try {
      return await fetch(this.#url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body && { "content-type": "application/json" }),
          ...(key && { "idempotency-key": key }),
        },
        ...(body && { body: JSON.stringify(body) }),
        cache: "no-store",
        signal: signal ? AbortSignal.any([timeout, signal]) : timeout,
      });
    } catch (cause) {
      throw new ChatError("OFFLINE", `the service was not reached: ${textOf(cause)}`, { cause });
    }
  }
}

function fieldOf<T>(answer: unknown, name: string): T {
  const value = Object(answer)[name];
  if (value === undefined) throw new ChatError("UNEXPECTED", `the service's answer has no ${name}`);
  return value;
}

/**
 * An error of the service is a problem (RFC 9457) with its code. A gateway on the way may answer anything.
 */
async function read<T>(response: Response): Promise<T> {
  let body: Record<string, unknown> | undefined;
  try {
    body = await response.json();
  } catch (cause) {
    if (response.ok)
      throw new ChatError("OFFLINE", "the answer broke off or is no JSON", {
        status: response.status,
        cause,
      });
  }
  if (response.ok) return body as T;
  const text = (name: string) => (typeof body?.[name] === "string" ? (body[name] as string) : undefined);
  const retryAfter = secondsOf(body?.["retryAfter"] ?? response.headers.get("retry-after"));
  const field = text("field");
  throw new ChatError(
    text("code") ?? codeOf(response.status),
    text("detail") ?? text("title") ?? `the service answered ${response.status}`,
    {
      status: response.status,
      ...(retryAfter !== undefined && { retryAfter }),
      ...(field !== undefined && { field }),
    },
  );
}

/** The service tells a number. The header may also have a time (RFC 9110, "Retry-After"). */
function secondsOf(retryAfter: unknown): number | undefined {
  if (retryAfter === null || retryAfter === undefined) return undefined;
  const seconds = Number(retryAfter);
  if (seconds >= 0) return seconds;
  const left = Math.ceil((Date.parse(String(retryAfter)) - Date.now()) / 1_000);
  return left >= 0 ? left : undefined;
}

function codeOf(status: number): string {
  if (status === 401) return "UNAUTHORIZED";
  if (status === 429) return "RATE_LIMIT_EXCEEDED";
  return status >= 500 ? "UNAVAILABLE" : "INVALID_REQUEST";
}

/** Whether the same call can succeed later without anything else being changed. */
export const isPassing = ({ code }: ChatError): boolean =>
  code === "OFFLINE" || code === "UNAVAILABLE" || code === "RATE_LIMIT_EXCEEDED";
