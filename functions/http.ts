import type { HttpHandler, HttpRequest, HttpResponseInit } from "@azure/functions";
import { type App, getApp } from "../shared/app.js";
import { ChatError, toChatError, toProblem } from "../shared/errors.js";

/** A verified caller's request. */
export interface Call {
  readonly request: HttpRequest;
  readonly caller: Awaited<ReturnType<App["authenticate"]>>;
  readonly callerId: number;
  /** W3C Trace Context of the call. */
  readonly traceparent: string | undefined;
}

const BODY_BYTES = 64 * 1024;

/** What a call counts as, over all of its caller's devices. */
type Counted = Parameters<App["requireRate"]>[1];

/**
 * An HTTP trigger of a verified caller, whose calls count against a limit; whatever is thrown becomes a problem+json answer, here and
 * nowhere else.
 */
export function authenticated(
  counted: Counted,
  handle: (call: Call) => Promise<HttpResponseInit>,
): HttpHandler {
  return async (request, context) => {
    try {
      // Also where no body is looked for.
      refuseLonger(request, BODY_BYTES);
      const caller = await getApp().authenticate(request.headers.get("authorization"));
      await getApp().requireRate(caller.userId, counted);
      const traceparent = context.traceContext?.traceParent;
      return await handle({ request, caller, callerId: caller.userId, traceparent });
    } catch (thrown) {
      return problem(thrown);
    }
  };
}

/** An HTTP trigger of a service that acts for others, which proves it by its token; nothing is counted. */
export function trusted(handle: (request: HttpRequest) => Promise<HttpResponseInit>): HttpHandler {
  return async (request) => {
    try {
      refuseLonger(request, BODY_BYTES);
      await getApp().requireTrusted(request.headers.get("authorization"));
      return await handle(request);
    } catch (thrown) {
      return problem(thrown);
    }
  };
}

/** The answer for whatever was thrown. */
function problem(thrown: unknown): HttpResponseInit {
  const error = toChatError(thrown);
  getApp().reportRefusal(error);
  return toProblem(error);
}

/** The request's JSON body; throws `INVALID_REQUEST` or, past 64 KiB, `MESSAGE_TOO_LARGE` before it is parsed. */
export async function jsonBody(request: HttpRequest): Promise<unknown> {
  return parsed(await bodyOf(request, BODY_BYTES));
}

/** The same for a call that may come without a body, which stands for no fields. */
export async function optionalJsonBody(request: HttpRequest): Promise<unknown> {
  const bytes = await bodyOf(request, BODY_BYTES);
  return bytes.length === 0 ? {} : parsed(bytes);
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ChatError("INVALID_REQUEST", "body: is not JSON in UTF-8", { field: "body", cause });
  }
}

/** The request's bytes, of which no more than `most` are read; throws `MESSAGE_TOO_LARGE` where there are more. */
export async function bodyOf(request: HttpRequest, most: number): Promise<Buffer> {
  refuseLonger(request, most);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop cancels the stream.
    if (size > most) throw tooLarge(most);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Before a byte of the body is read. */
function refuseLonger(request: HttpRequest, most: number): void {
  if (Number(request.headers.get("content-length") ?? 0) > most) throw tooLarge(most);
}

const tooLarge = (most: number): ChatError =>
  new ChatError("MESSAGE_TOO_LARGE", `The body has more than ${most} bytes.`);

/** The client's own key of a call that makes something, as it came. */
export const keyOf = (request: HttpRequest): string | undefined =>
  request.headers.get("idempotency-key") ?? undefined;

/** The query by its names; what a repeated name stands for is the host's affair, and no number. */
export function queryOf(request: HttpRequest): Record<string, string> {
  return Object.fromEntries(request.query.entries());
}
