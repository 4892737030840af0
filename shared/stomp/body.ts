import { quote, StompError } from "./frame.js";
import { BYTES_PER_UNIT, CutShort, type Limits, malformed, type Reader } from "./reader.js";

const DIGIT_0 = 48;

/** What the body belongs to. */
export interface Head {
  /** Where the frame begins in the text. */
  readonly start: number;
  readonly contentLength: string | undefined;
  /** Frames of this command are sent for their body. */
  readonly expectsBody: boolean;
}

/**
 * Reads a frame's body, up to its NUL or as long as `content-length` says, and leaves the reader behind it. A
 * message may end without the NUL, as some clients' sockets cut texts there (React Native's, for one): then a
 * body that can't go on is taken as it is. Throws `CutShort` for a body that goes on in another message.
 */
export function readBody(reader: Reader, head: Head): string {
  const { text, limits, position: start } = reader;
  const size = head.contentLength === undefined ? undefined : sizeOf(head.contentLength, limits);
  const scanEnd = start + limits.bodyBytes + 1;
  const scanned = scanEnd < text.length ? text.slice(0, scanEnd) : text;
  const nul = scanned.indexOf("\0", start);
  if (size !== undefined) return readSizedBody(reader, head, nul, size);
  if (nul < 0) return readUnended(reader, head, scanned);
  const body = text.slice(start, nul);
  if (body.length * BYTES_PER_UNIT > limits.bodyBytes && Buffer.byteLength(body) > limits.bodyBytes) {
    throw bodyTooLarge(limits);
  }
  reader.position = nul + 1;
  return body;
}

/**
 * Reads the digits by hand: a regular expression and `Number` together take longer than finding all the
 * headers.
 */
function sizeOf(contentLength: string, limits: Limits): number {
  let size = contentLength === "" ? Number.NaN : 0;
  for (let i = 0; i < contentLength.length; i += 1) {
    const digit = contentLength.charCodeAt(i) - DIGIT_0;
    size = digit >= 0 && digit <= 9 ? size * 10 + digit : Number.NaN;
  }
  if (Number.isNaN(size)) throw malformed(`content-length is no number of bytes: ${quote(contentLength)}.`);
  if (size > limits.bodyBytes) throw bodyTooLarge(limits);
  return size;
}

function bodyTooLarge(limits: Limits): StompError {
  return new StompError("MESSAGE_TOO_LARGE", `The body is larger than ${limits.bodyBytes} bytes.`);
}

/**
 * A body without a NUL and without a length. It is whole where nothing can follow: of a SEND, where its JSON
 * object has been closed.
 */
function readUnended(reader: Reader, head: Head, scanned: string): string {
  const { text, limits, position: start } = reader;
  if (Buffer.byteLength(scanned.slice(start)) > limits.bodyBytes) throw bodyTooLarge(limits);
  const body = text.slice(start);
  if (head.expectsBody ? !isJsonObject(body) : !isEols(body)) {
    // Every body here is a JSON object. A text that does not begin like one has nothing to wait for.
    if (head.expectsBody && !/^[\t\n\r ]*(?:\{|$)/.test(body))
      throw malformed("The frame's NUL is missing: every frame ends with one, the octet 0.");
    throw cutShort(reader, head, 0);
  }
  endWithoutNul(reader);
  return body;
}

/** The beginning of a JSON object is none itself: so a text that is one is whole. */
function isJsonObject(text: string): boolean {
  if (!text.trimStart().startsWith("{") || !text.trimEnd().endsWith("}")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Nothing but line ends. */
export const isEols = (text: string): boolean => !/[^\r\n]/.test(text);

function endWithoutNul(reader: Reader): void {
  reader.position = reader.text.length;
  reader.nulIsMissing = true;
}

/** The body has at least `bytes` bytes, without its NUL. */
function cutShort(reader: Reader, { start }: Head, bytes: number): CutShort {
  const headBytes = Buffer.byteLength(reader.text.slice(start, reader.position));
  return new CutShort(headBytes + bytes, headBytes + reader.limits.bodyBytes + 1);
}

/** A body of `size` bytes, which may have NULs inside. `nul` is the first NUL after the blank line, or -1. */
function readSizedBody(reader: Reader, head: Head, nul: number, size: number): string {
  const { text, position: start } = reader;
  if (nul >= 0) {
    const body = text.slice(start, nul);
    if (Buffer.byteLength(body) === size) {
      reader.position = nul + 1;
      return body;
    }
  }
  // `size` bytes never take more than `size` UTF-16 units.
  const bytes = Buffer.from(text.slice(start, start + size), "utf8");
  if (bytes.length < size) {
    if (/\0[\r\n]*$/.test(text.slice(-64))) throw wrongLength(reader, nul, size);
    throw cutShort(reader, head, size);
  }
  const body = text.slice(start, start + bytes.toString("utf8", 0, size).length);
  const after = start + body.length;
  if (Buffer.byteLength(body) !== size) throw wrongLength(reader, nul, size);
  if (after >= text.length) {
    // The length counts the NUL, too.
    if (body.endsWith("\0")) throw wrongLength(reader, nul, size);
    endWithoutNul(reader);
    return body;
  }
  if (text.charCodeAt(after) !== 0) throw wrongLength(reader, nul, size);
  reader.position = after + 1;
  return body;
}

/**
 * Says how long the body seems to be, and what is counted: most wrong lengths count characters, or the NUL as
 * well.
 */
function wrongLength({ text, position: start }: Reader, nul: number, size: number): StompError {
  const seen = nul < 0 ? undefined : Buffer.byteLength(text.slice(start, nul));
  const found = seen === undefined ? "no NUL follows them" : `the body's NUL comes after ${seen}`;
  return malformed(
    `content-length says ${size} bytes, but ${found}: it counts the body's bytes in UTF-8, not its characters, and not the NUL.`,
  );
}
