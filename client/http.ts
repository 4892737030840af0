import { ChatError } from "./errors.js";
import type { Tokens } from "./tokens.js";

const PREFIX = "/api/v1/chat";
const TIMEOUT_MS = 20_000;

/** The service's HTTP calls. */
export class Http {
  readonly #url: string;

  constructor(
    url: string,
    private readonly tokens: Tokens,
  ) {
    this.#url = url.replace(/\/+$/, "") + PREFIX;
  }

  /**
   * Resolves with the answer's JSON. Rejects with a `ChatError`: the service's code, or `OFFLINE` when it wasn't reached. A token
   * that is refused is renewed once.
   */
  async request<T>(method: string, path: string, body?: object, signal?: AbortSignal): Promise<T> {
    const token = await this.tokens.get();
    const response = await this.#fetch(method, path, body, token.text, signal);
    if (response.status !== 401) return await read<T>(response);
    // Meanwhile another call may have renewed it.
    const { current } = this.tokens;
    const renewed = current && current.text !== token.text ? current : await this.tokens.renew();
    return await read<T>(await this.#fetch(method, path, body, renewed.text, signal));
  }

  async #fetch(
    method: string,
    path: string,
    body: object | undefined,
    token: string,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    try {
      return await fetch(this.#url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body && { "content-type": "application/json" }),
        },
        ...(body && { body: JSON.stringify(body) }),
        cache: "no-store",
        signal: signal ? AbortSignal.any([timeout, signal]) : timeout,
      });
    } catch (cause) {
      throw new ChatError("OFFLINE", `the service was not reached: ${(cause as Error).message}`, { cause });
    }
  }
}

/** An error answer is a problem (RFC 9457) with the service's code; a gateway's may be anything. */
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
  const retryAfter = Number(body?.["retryAfter"] ?? response.headers.get("retry-after") ?? Number.NaN);
  const field = text("field");
  throw new ChatError(
    text("code") ?? codeOf(response.status),
    text("detail") ?? text("title") ?? `the service answered ${response.status}`,
    {
      status: response.status,
      ...(Number.isFinite(retryAfter) && { retryAfter }),
      ...(field !== undefined && { field }),
    },
  );
}

function codeOf(status: number): string {
  if (status === 401) return "UNAUTHORIZED";
  if (status === 429) return "RATE_LIMIT_EXCEEDED";
  return status >= 500 ? "UNAVAILABLE" : "INVALID_REQUEST";
}

/** Whether the same call can succeed later without anything else being changed. */
export const isPassing = ({ code }: ChatError): boolean =>
  code === "OFFLINE" || code === "UNAVAILABLE" || code === "RATE_LIMIT_EXCEEDED";
