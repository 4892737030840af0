import { quote, StompError } from "./frame.js";
import { BYTES_PER_UNIT, cutShort, type Limits, malformed, type Reader } from "./reader.js";

const DIGIT_0 = 48;

/** Reads a frame's body, up to its NUL or as long as `content-length` says, and leaves the reader behind it. */
export function readBody(reader: Reader, contentLength: string | undefined): string {
  const { text, limits, position: start } = reader;
  const size = contentLength === undefined ? undefined : sizeOf(contentLength, limits);
  const scanEnd = start + limits.bodyBytes + 1;
  const scanned = scanEnd < text.length ? text.slice(0, scanEnd) : text;
  const nul = scanned.indexOf("\0", start);
  if (size !== undefined) return readSizedBody(reader, nul, size);
  if (nul < 0)
    throw Buffer.byteLength(scanned.slice(start)) > limits.bodyBytes ? bodyTooLarge(limits) : cutShort();
  const body = text.slice(start, nul);
  if (body.length * BYTES_PER_UNIT > limits.bodyBytes && Buffer.byteLength(body) > limits.bodyBytes) {
    throw bodyTooLarge(limits);
  }
  reader.position = nul + 1;
  return body;
}

/** Done by hand: a regular expression and `Number` together take longer than finding all the headers. */
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

/** A body of `size` bytes, which may have NULs inside. `nul` is the first NUL after the blank line, or -1. */
function readSizedBody(reader: Reader, nul: number, size: number): string {
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
    throw malformed(
      `content-length says ${size} bytes, but only ${bytes.length} follow: the frame was cut or the number is wrong.`,
    );
  }
  const body = text.slice(start, start + bytes.toString("utf8", 0, size).length);
  const after = start + body.length;
  if (after >= text.length) throw cutShort();
  if (Buffer.byteLength(body) !== size || text.charCodeAt(after) !== 0) {
    throw malformed(`The body does not end with a NUL after the ${size} bytes that content-length says.`);
  }
  reader.position = after + 1;
  return body;
}
