import { isUtf8 } from "node:buffer";
import { escapeHeader } from "./escaping.js";
import { quote, StompError, type StompVersion } from "./frame.js";

/** Headers in the order in which they are written. */
export type HeadersInit = Readonly<Record<string, string>> | Iterable<readonly [name: string, value: string]>;

/**
 * A frame as text, ready to be a WebSocket message or to stand behind another frame. A body that is not empty
 * gets a `content-length` (bytes of UTF-8); a `content-length` among `headers` is ignored. CONNECT and
 * CONNECTED are not escaped.
 *
 * `wireHeaders` come first and as they are: values that the receiver itself wrote, and gets back byte for
 * byte.
 *
 * Throws `StompError` for header text that the version can't carry, and for a body that is not UTF-8.
 */
export function serializeFrame(
  command: string,
  headers: HeadersInit,
  body: string | Uint8Array,
  version: StompVersion,
  wireHeaders: Readonly<Record<string, string>> = {},
): string {
  // STOMP 1.2 "Value Encoding": CONNECT and CONNECTED are read before a version is agreed. STOMP is another
  // name of CONNECT.
  const unescaped = command === "CONNECTED" || command === "CONNECT" || command === "STOMP";
  const lines = headerLines(headers, unescaped ? "1.0" : version);
  return `${command}\n${wireLines(wireHeaders)}${lines}${ending(body)}`;
}

function wireLines(headers: Readonly<Record<string, string>>): string {
  let lines = "";
  for (const name in headers) lines += `${name}:${checkedWire(headers[name]!)}\n`;
  return lines;
}

/** Throws for text that would end its line or its frame. */
function checkedWire(text: string): string {
  if (!/[\n\r\0]/.test(text)) return text;
  throw new StompError("MALFORMED_FRAME", `Not a header value in wire form: ${quote(text)}.`);
}

function headerLines(headers: HeadersInit, version: StompVersion): string {
  let lines = "";
  if (isIterable(headers)) {
    for (const [name, value] of headers) lines += headerLine(name, value, version);
  } else {
    for (const name in headers) lines += headerLine(name, headers[name]!, version);
  }
  return lines;
}

function isIterable(headers: HeadersInit): headers is Iterable<readonly [string, string]> {
  return Symbol.iterator in headers;
}

function headerLine(name: string, value: string, version: StompVersion): string {
  if (name === "content-length") return "";
  if (name === "" || (version === "1.0" && name.includes(":"))) {
    throw new StompError("MALFORMED_FRAME", `${quote(name)} can't be the name of a header.`);
  }
  return `${escapeHeader(name, version)}:${escapeHeader(value, version)}\n`;
}

/** Everything after the headers. */
function ending(body: string | Uint8Array): string {
  if (body.length === 0) return "\n\0";
  if (typeof body === "string") return `content-length:${Buffer.byteLength(body)}\n\n${body}\0`;
  if (!isUtf8(body)) throw new StompError("MALFORMED_FRAME", "The body is not valid UTF-8.");
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  return `content-length:${body.length}\n\n${text}\0`;
}

/**
 * One MESSAGE for many receivers: all but the `subscription` header is built once. The returned function
 * makes the frame for one subscription id, given as it goes on the wire (`Headers.wire` of its SUBSCRIBE).
 *
 * Receivers may speak different versions, so header text that the versions write differently is refused:
 * throws `StompError` for a backslash, colon, CR, LF or NUL in `headers`, and for CR, LF or NUL in the id.
 */
export function prepareMessage(
  headers: HeadersInit,
  body: string | Uint8Array,
): (subscriptionWire: string) => string {
  const lines = headerLines(withoutSubscription(headers), "1.2");
  if (lines.includes("\\")) {
    throw new StompError(
      "MALFORMED_FRAME",
      "The headers of a broadcast can't have backslashes, colons or line ends, " +
        `which STOMP 1.0 and 1.2 write differently: ${quote(lines)}.`,
    );
  }
  const rest = `\n${lines}${ending(body)}`;
  return (subscriptionWire) => `MESSAGE\nsubscription:${checkedWire(subscriptionWire)}${rest}`;
}

function withoutSubscription(headers: HeadersInit): HeadersInit {
  const entries = isIterable(headers) ? [...headers] : Object.entries(headers);
  return entries.filter(([name]) => name !== "subscription");
}
