import type { HttpRequest, HttpResponseInit, InvocationContext } from "@azure/functions";
import { getApp } from "../shared/app.js";
import { ChatError, toChatError, toProblem } from "../shared/platform/errors.js";
import { spanContextOf } from "../shared/platform/trace.js";
import type { WholeRequest } from "./wholeRequest.js";

/** The answer to a call that has thrown, counted, and logged where the failure is ours. */
export function refused(thrown: unknown): HttpResponseInit {
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

/**
 * The request's bytes, empty where there is no body. Throws `MESSAGE_TOO_LARGE` at more than `most` bytes, of
 * which no more are read, and `INVALID_REQUEST` where the bytes that came are not those that were announced:
 * the Functions host hands on no body that was sent in chunks, and a call must not mean something else
 * without its body.
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
  const { headers } = request;
  refuseMissing(headers.get("content-length"), headers.get("transfer-encoding"), size);
  return Buffer.concat(chunks);
}

/** The same of a request whose bytes have all come. */
export function wholeBodyOf({ headers, body }: WholeRequest, most: number): Uint8Array {
  const length = headers["content-length"];
  if (Math.max(Number(length ?? 0), body.length) > most) throw tooLarge(most);
  refuseMissing(length, headers["transfer-encoding"], body.length);
  return body;
}

function refuseMissing(
  length: string | null | undefined,
  transferEncoding: string | null | undefined,
  size: number,
): void {
  const isWhole = length ? Number(length) === size : size > 0 || !transferEncoding;
  if (isWhole) return;
  const text = "body: was announced and did not arrive whole; send it in one piece, with Content-Length";
  throw new ChatError("INVALID_REQUEST", text, { field: "body" });
}

/**
 * Throws `MESSAGE_TOO_LARGE` for a request that announces a body of more than `most` bytes, before one of
 * them is read.
 */
export function refuseLonger(request: HttpRequest, most: number): void {
  if (Number(request.headers.get("content-length") ?? 0) > most) throw tooLarge(most);
}

const tooLarge = (most: number): ChatError =>
  new ChatError("MESSAGE_TOO_LARGE", `The body has more than ${most} bytes.`);

/** The header `Idempotency-Key` as it came. An empty one counts as left out. */
export const keyOf = (request: HttpRequest): string | undefined =>
  request.headers.get("idempotency-key") || undefined;

/**
 * The query parameters by their names. The values of a repeated name are joined with commas, which no check
 * of a number lets pass. They are read from the address, because the host's own reading takes names that
 * differ in case alone for one name.
 */
export function queryOf(request: HttpRequest): Record<string, string> {
  const { searchParams } = new URL(request.url);
  return Object.fromEntries(
    [...new Set(searchParams.keys())].map((name) => [name, searchParams.getAll(name).join(",")]),
  );
}

/**
 * What a call is traced by: the host's span, or else that of the request. Without a monitor the host's span
 * is an empty text. Nothing where neither is a traceparent.
 */
export function traceparentOf(
  ofRequest: string | null | undefined,
  { traceContext }: InvocationContext,
): string | undefined {
  const given = [traceContext?.traceParent, ofRequest];
  return given.find((each): each is string => spanContextOf(each) !== undefined);
}
