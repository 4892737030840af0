import type { IncomingMessage } from "node:http";
import type { Cookie, HttpData } from "./rpc.js";

/** A request in the form in which a host hands it to its worker. */
export function toHttpData(
  request: IncomingMessage,
  params: Readonly<Record<string, string>>,
  body: Buffer | undefined,
): HttpData {
  const url = request.url ?? "/";
  const host = request.headers.host || `127.0.0.1:${request.socket.localPort}`;
  const headers: Record<string, { value: string }> = {};
  for (const name in request.headers) {
    const value = request.headers[name];
    // The host joins repeated headers; a value that is empty is left out.
    if (value) headers[name] = { value: typeof value === "string" ? value : value.join(",") };
  }
  return {
    method: request.method ?? "GET",
    url: `http://${host}${url}`,
    nullableHeaders: headers,
    nullableQuery: queryOf(url),
    nullableParams: nullable(params),
    body: body && body.length > 0 ? { bytes: body } : null,
  };
}

// A name that comes twice arrives as one value, joined by commas, at the function: in Azure too.
function queryOf(url: string): Record<string, { value: string }> {
  const question = url.indexOf("?");
  if (question < 0) return {};
  const joined: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(url.slice(question + 1)))
    joined[name] = joined[name] === undefined ? value : `${joined[name]},${value}`;
  return nullable(joined);
}

function nullable(values: Readonly<Record<string, string>>): Record<string, { value: string }> {
  const result: Record<string, { value: string }> = Object.create(null);
  for (const name in values) result[name] = { value: values[name]! };
  return result;
}

/** One Set-Cookie value (RFC 6265 §4.1), its value percent-encoded as the host does. */
export function formatCookie(cookie: Cookie): string {
  const parts = [`${encodeURIComponent(cookie.name)}=${encodeURIComponent(cookie.value)}`];
  if (cookie.expires)
    parts.push(`expires=${new Date(Number(cookie.expires.value.seconds) * 1000).toUTCString()}`);
  if (cookie.maxAge) parts.push(`max-age=${Math.trunc(cookie.maxAge.value)}`);
  if (cookie.domain) parts.push(`domain=${cookie.domain.value}`);
  if (cookie.path) parts.push(`path=${cookie.path.value}`);
  if (cookie.secure?.value) parts.push("secure");
  const sameSite = { lax: "lax", strict: "strict", explicitNone: "none", none: undefined }[
    cookie.sameSite ?? "none"
  ];
  if (sameSite) parts.push(`samesite=${sameSite}`);
  if (cookie.httpOnly?.value) parts.push("httponly");
  return parts.join("; ");
}
