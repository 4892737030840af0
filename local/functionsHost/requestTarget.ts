import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";

/** A request's path and query as Kestrel, the real host's server, reads them. */
export interface RequestTarget {
  /** Decoded but for `%2F`, which would then look like a separator, and without dot segments. */
  readonly path: string;
  /** The URL that the app sees: `path`, percent-encoded where it must be, and the query as it came. */
  readonly url: string;
}

/** Kestrel's `MaxRequestLineSize`, `MaxRequestHeadersTotalSize` (bytes) and `MaxRequestHeaderCount`. */
const LIMITS = { lineBytes: 8_192, headerBytes: 32_768, headers: 100 };

/** The limit of Node's parser, which answers 431 by itself. It is above the limits here, so these decide. */
export const PARSER_BYTES = 65_536;

/**
 * The status with which Kestrel refuses a request before anything else sees it. `undefined` when Kestrel
 * takes it.
 */
export function refusalOf({ method = "GET", url = "/", rawHeaders }: IncomingMessage): number | undefined {
  if (`${method} ${url} HTTP/1.1\r\n`.length > LIMITS.lineBytes) return 414;
  let bytes = 0;
  let hosts = 0;
  let isUnreadable = false;
  // One pass: it is on the way of each message.
  for (let i = 0; i < rawHeaders.length; i += 1) {
    const text = rawHeaders[i]!;
    bytes += text.length + 2;
    if (i % 2 === 0 && text.length === 4 && text.toLowerCase() === "host") hosts += 1;
    // Kestrel reads header bytes as UTF-8. Node gives them as Latin-1.
    isUnreadable ||= /[\x80-\xff]/.test(text) && !isUtf8(Buffer.from(text, "latin1"));
  }
  if (rawHeaders.length / 2 > LIMITS.headers || bytes > LIMITS.headerBytes) return 431;
  return hosts > 1 || isUnreadable ? 400 : undefined;
}

/** The socket service calls one URL for all events, so the last one most often comes again. */
let last:
  | { readonly url: string; readonly host: string; readonly target: RequestTarget | undefined }
  | undefined;

/** The request's target. `undefined` when Kestrel answers 400 to it, or to its Host header. */
export function parseTarget({
  url = "/",
  headers: { host = "" },
}: IncomingMessage): RequestTarget | undefined {
  if (last?.url !== url || last.host !== host) last = { url, host, target: targetOf(url, host) };
  return last.target;
}

function targetOf(url: string, host: string): RequestTarget | undefined {
  if (!/^[\w.:[\]-]*$/.test(host) || /[^\x21-\x7e]/.test(url)) return undefined;
  // The absolute form (RFC 9112 §3.2.2) must name the same host.
  const [, authority, rest] = /^https?:\/\/([^/?]*)(.*)$/is.exec(url) ?? [undefined, host, url];
  if (authority!.toLowerCase() !== host.toLowerCase()) return undefined;
  const [, encoded, query] = /^([^?]*)(.*)$/s.exec(rest!)!;
  if (!/^(\/|$)/.test(encoded!) || /%00/.test(encoded!)) return undefined;
  const path = withoutDots(decode(encoded || "/"));
  return { path, url: encode(path) + query };
}

/** Decodes each run of `%XX` as UTF-8. A run that is no UTF-8, and a slash, stay as they came. */
function decode(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    const bytes = Buffer.from(run.replaceAll("%", ""), "hex");
    let text = "";
    for (let i = 0, length = 1; i < bytes.length; i += length) {
      length = sequenceLength(bytes[i]!);
      const sequence = bytes.subarray(i, i + length);
      const kept = sequence.length < length || !isUtf8(sequence) || sequence[0] === 0x2f;
      if (kept) length = 1;
      text += kept ? run.slice(i * 3, i * 3 + 3) : sequence.toString();
    }
    return text;
  });
}

/** The length of a UTF-8 sequence by its first byte (RFC 3629 §3). */
function sequenceLength(first: number): number {
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/** Removes dot segments (RFC 3986 §5.2.4), after decoding, so that `%2e` counts as a dot. */
function withoutDots(path: string): string {
  const kept: string[] = [];
  const segments = path.split("/").slice(1);
  segments.forEach((segment, i) => {
    const last = i === segments.length - 1;
    if (segment === "..") kept.pop();
    if (segment !== "." && segment !== "..") kept.push(segment);
    else if (last) kept.push("");
  });
  return `/${kept.join("/")}`;
}

/**
 * A sequence that looks encoded counts as encoded, whatever it was before decoding: `%252F` arrives as `%2F`.
 */
function encode(path: string): string {
  return path.replace(/%(?![0-9a-f]{2})|[^\w\-.~!$&'()*+,;=:@/%]+/giu, encodeURIComponent);
}
