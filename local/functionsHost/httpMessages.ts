import type { IncomingMessage } from "node:http";
import type { RequestTarget } from "./requestTarget.js";
import type { Cookie, HttpData } from "./rpc.js";

/** A request in the form in which a host hands it to its worker. */
export function toHttpData(
  request: IncomingMessage,
  { url }: RequestTarget,
  params: Readonly<Record<string, string>>,
  body: Buffer | undefined,
): HttpData {
  return {
    method: request.method ?? "GET",
    url: `http://${request.headers.host}${url}`,
    nullableHeaders: nullable(headersOf(request)),
    nullableQuery: nullable(queryOf(url)),
    nullableParams: nullable(params),
    body: body && body.length > 0 ? { bytes: body } : null,
  };
}

/**
 * Headers by their names in lower case. A repeated header is joined by a comma without a blank, cookies too.
 * Empty headers stay.
 */
export function headersOf({ rawHeaders }: IncomingMessage): Record<string, string> {
  const joined: Record<string, string> = Object.create(null);
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = utf8(rawHeaders[i + 1]!);
    joined[name] = joined[name] === undefined ? value : `${joined[name]},${value}`;
  }
  return joined;
}

/** Kestrel reads headers as UTF-8, Node as Latin-1. */
function utf8(text: string): string {
  return /[\x80-\xff]/.test(text) ? Buffer.from(text, "latin1").toString() : text;
}

/**
 * A query name counts as one in any letter case, its values joined by commas. A repeated name is spelled as
 * it was the second time, as in ASP.NET Core's collection. An app that looks for another spelling finds
 * nothing.
 */
function queryOf(url: string): Record<string, string> {
  const question = url.indexOf("?");
  if (question < 0) return {};
  const found = new Map<string, { name: string; values: string[] }>();
  for (const [name, value] of new URLSearchParams(url.slice(question + 1))) {
    const same = found.get(name.toLowerCase()) ?? { name, values: [] };
    found.set(name.toLowerCase(), same);
    if (same.values.push(value) === 2) same.name = name;
  }
  return Object.fromEntries([...found.values()].map(({ name, values }) => [name, values.join(",")]));
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
