import type { ServerResponse } from "node:http";
import { isCorsHeader, setAppHeader } from "./cors.js";
import { formatCookie } from "./httpMessages.js";
import type { HttpData } from "./rpc.js";

/** Node writes the app's header names in lower case. Kestrel spells these names in its own way. */
const KNOWN_NAMES = `Accept-Ranges Access-Control-Allow-Credentials Access-Control-Allow-Headers
  Access-Control-Allow-Methods Access-Control-Allow-Origin Access-Control-Expose-Headers Access-Control-Max-Age Age Allow
  Alt-Svc Cache-Control Connection Content-Encoding Content-Language Content-Length Content-Location Content-MD5
  Content-Range Content-Type Date ETag Expires Keep-Alive Last-Modified Location Pragma Proxy-Authenticate
  Proxy-Connection Retry-After Server Set-Cookie Trailer Transfer-Encoding Upgrade Vary Via WWW-Authenticate Warning`;
const SPELLINGS = new Map(KNOWN_NAMES.split(/\s+/).map((name) => [name.toLowerCase(), name]));

/** Answers with the function's result. */
export function send(response: ServerResponse, http: HttpData | null | undefined): void {
  // The client may be gone by now.
  if (response.destroyed) return;
  const headers = Object.entries(http?.headers ?? {});
  // Kestrel puts nothing but ASCII into a header.
  const writable = headers.every(([name, value]) => /^[\t\x20-\x7e]*$/.test(name + value));
  // 204 is the answer of a function that returns nothing.
  if (http && writable) answer(response, http, headers);
  else refuse(response, writable ? 204 : 500);
}

function answer(response: ServerResponse, http: HttpData, headers: readonly [string, string][]): void {
  response.statusCode = Number(http.statusCode ?? 200);
  for (const [name, value] of headers)
    setAppHeader(response, SPELLINGS.get(name.toLowerCase()) ?? name, value);
  const cookies = (http.cookies ?? []).map(formatCookie);
  if (cookies.length > 0) response.appendHeader("Set-Cookie", cookies);
  const body = http.body?.bytes ?? http.body?.string;
  // A body in a write of its own goes out in chunks, as from the real host, and not with a Content-Length.
  if (body !== undefined && body.length > 0) response.write(body);
  response.end();
}

/**
 * Answers with a status and an empty body. `close` also ends the connection, and its remaining bytes are not
 * read.
 */
export function refuse(response: ServerResponse, statusCode: number, close = false): void {
  if (response.headersSent) {
    // Half an answer must not look like a whole one.
    response.destroy();
    return;
  }
  for (const name of response.getHeaderNames()) if (!isCorsHeader(name)) response.removeHeader(name);
  response.writeHead(statusCode, {
    ...(statusCode !== 204 && { "Content-Length": 0 }),
    ...(close && { Connection: "close" }),
  });
  response.end();
}

/** Answers 200 with this text. */
export function sendText(response: ServerResponse, contentType: string, text: string): void {
  response.writeHead(200, { "Content-Type": contentType });
  response.write(text);
  response.end();
}
