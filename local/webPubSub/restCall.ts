import type { Hub } from "./hub.js";
import type { Tokens } from "./tokens.js";

/** One authenticated call on a hub's data plane, its body read whole. */
export interface RestCall {
  readonly method: string;
  readonly hub: Hub;
  /** The path below `/api/hubs/{hub}/`, still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly contentType: string;
  readonly body: Buffer;
  /** True when the caller said how long the body is. */
  readonly hasLength: boolean;
  /** `http://host:port` as the caller wrote it, for the links in an answer. */
  readonly origin: string;
  readonly tokens: Tokens;
}

export interface RestAnswer {
  readonly status: number;
  readonly body?: object;
  /** `x-ms-error-code` of an answer that has no body. */
  readonly errorCode?: string;
}

/** A call that is refused. Its answer is the service's error body `{code, message, target}`. */
export class RestError extends Error {
  readonly status: number;
  readonly code: string;
  readonly target: string | undefined;
  constructor(status: number, code: string, message: string, target?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.target = target;
  }
}

/** What is wrong with a request, and where. */
export function badRequest(message: string, target = "Request"): RestError {
  return new RestError(400, "Error.BadRequest", message, target);
}
