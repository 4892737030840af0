import type { HttpHandler, HttpRequest, HttpResponseInit, InvocationContext } from "@azure/functions";
import { type App, getApp } from "../shared/app.js";
import { ChatError, toChatError, toProblem } from "../shared/platform/errors.js";

/** A verified caller's request. */
export interface Call {
  readonly request: HttpRequest;
  /** All of it; empty where none was sent. */
  readonly body: Buffer;
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
  return answering(async (request, context) => {
    const caller = await getApp().authenticate(request.headers.get("authorization"));
    await getApp().requireRate(caller.userId, counted);
    const body = await bodyOf(request, BODY_BYTES);
    const traceparent = traceparentOf(request, context);
    return await handle({ request, body, caller, callerId: caller.userId, traceparent });
  });
}

/** An HTTP trigger of a service that acts for others, which proves it by its token; nothing is counted. */
export function trusted(handle: (request: HttpRequest) => Promise<HttpResponseInit>): HttpHandler {
  return answering(async (request) => {
    await getApp().requireTrusted(request.headers.get("authorization"));
    await bodyOf(request, BODY_BYTES);
    return await handle(request);
  });
}

const answering =
  (handle: (request: HttpRequest, context: InvocationContext) => Promise<HttpResponseInit>): HttpHandler =>
  async (request, context) => {
    try {
      // Before anything is asked of others.
      refuseLonger(request, BODY_BYTES);
      return await handle(request, context);
    } catch (thrown) {
      return problem(thrown);
    }
  };

/** The answer for whatever was thrown. */
function problem(thrown: unknown): HttpResponseInit {
  const error = toChatError(thrown);
  getApp().reportRefusal(error);
  return toProblem(error);
}

/** A request's JSON body; throws `INVALID_REQUEST`. */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new ChatError("INVALID_REQUEST", "body: is not JSON in UTF-8", { field: "body", cause });
  }
}

/** The same for a call that may come without a body, which stands for no fields. */
export const parseOptionalJson = (body: Uint8Array): unknown => (body.length === 0 ? {} : parseJson(body));

/**
 * The request's bytes, of which no more than `most` are read. Throws `MESSAGE_TOO_LARGE` where there are more, and `INVALID_REQUEST` where others were announced than have
 * come: the Functions host hands on no body that was sent in chunks, and a call must not mean something else without it.
 */
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
  refuseMissing(request, size);
  return Buffer.concat(chunks);
}

function refuseMissing({ headers }: HttpRequest, size: number): void {
  const length = headers.get("content-length");
  const isWhole = length ? Number(length) === size : size > 0 || !headers.get("transfer-encoding");
  if (isWhole) return;
  const text = "body: was announced and did not arrive whole; send it in one piece, with Content-Length";
  throw new ChatError("INVALID_REQUEST", text, { field: "body" });
}

/** Before a byte of the body is read. */
function refuseLonger(request: HttpRequest, most: number): void {
  if (Number(request.headers.get("content-length") ?? 0) > most) throw tooLarge(most);
}

const tooLarge = (most: number): ChatError =>
  new ChatError("MESSAGE_TOO_LARGE", `The body has more than ${most} bytes.`);

/** The client's own key of a call that makes something, as it came; an empty one is none. */
export const keyOf = (request: HttpRequest): string | undefined =>
  request.headers.get("idempotency-key") || undefined;

/**
 * The query by its names, each as it was written; the values of a repeated one stand for no number. Read from the address: the
 * host's own reading takes names that differ in case alone for one.
 */
export function queryOf(request: HttpRequest): Record<string, string> {
  const { searchParams } = new URL(request.url);
  return Object.fromEntries(
    [...new Set(searchParams.keys())].map((name) => [name, searchParams.getAll(name).join(",")]),
  );
}

/** version "-" trace-id "-" parent-id "-" trace-flags, W3C Trace Context section 3.2. */
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;

/** What a call is traced by: the host's own span where it has one, which is no more than an empty text without a monitor, or else that of the request. */
export function traceparentOf(request: HttpRequest, { traceContext }: InvocationContext): string | undefined {
  const given = [traceContext?.traceParent, request.headers.get("traceparent")];
  return given.find((each): each is string => typeof each === "string" && TRACEPARENT.test(each));
}
