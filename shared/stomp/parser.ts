/**
 * Reads STOMP frames out of one WebSocket message, or out of the bytes of several.
 *
 * Separators are searched for with `indexOf`, which runs over the text many times faster than a loop over its
 * characters. Names, values and bodies are slices of the text. Nothing is put off: a frame that is returned
 * was checked whole. The limits bound every search, however long the message is.
 */
import { isUtf8 } from "node:buffer";
import { isEols, readBody } from "./body.js";
import { escapeHeader, unescapeHeader } from "./escaping.js";
import { type Frame, type Headers, headerList, quote, StompError, type StompVersion } from "./frame.js";
import { BYTES_PER_UNIT, CutShort, DEFAULT_LIMITS, type Limits, malformed, type Reader } from "./reader.js";

const COMMAND = /^[A-Z]{1,32}$/;
const COMMAND_LENGTH = 32;
/** Checks and decodes in one go. A byte order mark is text like any other: no frame begins with it. */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LF = 10;
const CR = 13;
const SPACE = 32;

/** What one WebSocket message holds. */
export interface ParsedMessage {
  readonly frames: readonly Frame[];
  /** The piece at the message's end of a frame whose rest comes in the next messages. */
  readonly beginning?: Beginning;
  /** The last frame came without its NUL. If the NUL was only late, the next message begins with it. */
  readonly nulIsMissing: boolean;
}

export interface Beginning {
  readonly bytes: Uint8Array;
  /** With fewer bytes in all the frame can't be whole; 0 where that is not known yet. */
  readonly least: number;
  /** With more bytes in all it would be too large. */
  readonly most: number;
}

/**
 * All frames of one WebSocket message, in order. EOLs between frames are heart-beats and are ignored: so a
 * message of nothing else has no frame. `version` is the negotiated one; it does not matter for CONNECT and
 * STOMP.
 *
 * Lines end in LF or CRLF. Only the text of 1.2 has CRLF, but clients of all versions send it. A command is
 * judged by its form alone (1 to 32 letters A-Z). A command that can't have a body may have EOLs in its
 * place.
 *
 * Throws `StompError` with the frames before the bad one: `MESSAGE_TOO_LARGE` for a body over the limit,
 * `MALFORMED_FRAME` for everything else, including bytes that are not UTF-8.
 */
export function parseMessage(
  data: Uint8Array,
  version: StompVersion,
  limits: Limits = DEFAULT_LIMITS,
): ParsedMessage {
  const whole = decoded(data);
  if (whole !== undefined) return readAll(whole, data, version, limits);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  // A message can end inside a character, too.
  const cut = lengthWithoutCutCharacter(bytes);
  const text = cut === bytes.length ? undefined : decoded(bytes.subarray(0, cut));
  const parsed = text === undefined ? undefined : readAll(text, bytes, version, limits);
  if (parsed?.beginning) return parsed;
  throw notUtf8(bytes, version, limits);
}

/** The same where every frame must be whole: also throws `StompError` for a frame that is cut short. */
export function parseFrames(
  data: string | Uint8Array,
  version: StompVersion,
  limits: Limits = DEFAULT_LIMITS,
): readonly Frame[] {
  const parsed =
    typeof data === "string"
      ? readAll(data, undefined, version, limits)
      : parseMessage(data, version, limits);
  if (!parsed.beginning) return parsed.frames;
  const { message } = new CutShort(0, 0);
  throw new StompError("MALFORMED_FRAME", message, parsed.frames);
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The length without the one to three bytes at the end that begin a character and don't finish it. */
function lengthWithoutCutCharacter(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const size = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return back < size ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** `bytes` are the text's, and the beginning of a cut character that may follow it. */
function readAll(
  text: string,
  bytes: Uint8Array | undefined,
  version: StompVersion,
  limits: Limits,
): ParsedMessage {
  const reader: Reader = { text, version, limits, position: 0, headers: undefined, nulIsMissing: false };
  const frames: Frame[] = [];
  let start = 0;
  try {
    for (skipEols(reader); reader.position < text.length; skipEols(reader)) {
      reader.headers = undefined;
      start = reader.position;
      if (frames.length === limits.framesPerMessage) {
        throw malformed(
          `More than ${limits.framesPerMessage} frames in one WebSocket message; send fewer at once.`,
        );
      }
      frames.push(readFrame(reader));
    }
  } catch (error) {
    if (!(error instanceof StompError)) throw error;
    if (error instanceof CutShort) {
      const { least, most } = error;
      const whole = bytes ?? Buffer.from(text);
      const beginning = { bytes: whole.subarray(Buffer.byteLength(text.slice(0, start))), least, most };
      return { frames, beginning, nulIsMissing: false };
    }
    throw new StompError(error.code, error.message, frames, reader.headers?.wire("receipt"));
  }
  return { frames, nulIsMissing: reader.nulIsMissing };
}

/**
 * The error for bytes that are no UTF-8. The frames before the bad one are all in the part that is UTF-8 and
 * ends with a NUL.
 */
function notUtf8(bytes: Buffer, version: StompVersion, limits: Limits): StompError {
  let framesBefore: readonly Frame[];
  try {
    framesBefore = readAll(bytes.toString("utf8", 0, utf8End(bytes)), undefined, version, limits).frames;
  } catch (error) {
    if (!(error instanceof StompError)) throw error;
    framesBefore = error.framesBefore;
  }
  return new StompError("MALFORMED_FRAME", "The frame is not valid UTF-8.", framesBefore);
}

/**
 * The offset behind the last NUL up to which the bytes are UTF-8. Found by halving, as a message can be NULs
 * and little else.
 */
function utf8End(bytes: Buffer): number {
  let end = 0;
  let most = bytes.length;
  while (end < most) {
    const middle = Math.ceil((end + most) / 2);
    let nul = bytes.lastIndexOf(0, middle - 1);
    if (nul < end) nul = bytes.indexOf(0, middle);
    if (nul < end || nul >= most) break;
    if (isUtf8(bytes.subarray(end, nul + 1))) end = nul + 1;
    else most = nul;
  }
  return end;
}

/** Heart-beats and the EOLs that may follow a frame's NUL. */
function skipEols(reader: Reader): void {
  const { text } = reader;
  let at = reader.position;
  for (;;) {
    const unit = text.charCodeAt(at);
    if (unit === LF) at += 1;
    else if (unit === CR && text.charCodeAt(at + 1) === LF) at += 2;
    else break;
  }
  reader.position = at;
}

function readFrame(reader: Reader): Frame {
  const { limits, position: start } = reader;
  const command = readCommand(reader);
  const headerBytes = isConnect(command) ? limits.connectHeaderBytes : limits.headerBytes;
  const headers = readHeaderLines(reader, command, headerBytes);
  reader.headers = headers;
  const contentLength = headers.get("content-length");
  const body = readBody(reader, { start, contentLength, expectsBody: expectsBody(command) });
  if (body === "" || mayHaveBody(command, reader.version)) return { command, headers, body };
  if (isEols(body)) return { command, headers, body: "" };
  throw malformed(`${command} can't have a body: end the frame with a NUL right after the blank line.`);
}

const expectsBody = (command: string): boolean =>
  command === "SEND" || command === "MESSAGE" || command === "ERROR";

/** STOMP 1.1 and 1.2 "Body"; 1.0 does not say, except for what it shows of CONNECT. */
const mayHaveBody = (command: string, version: StompVersion): boolean =>
  expectsBody(command) || (version === "1.0" && !isConnect(command));

function isConnect(command: string): boolean {
  return command === "CONNECT" || command === "STOMP";
}

function readCommand(reader: Reader): string {
  const { text, position: start, limits } = reader;
  // Text further on can't belong to a command's line; an error quotes some of it.
  const line = text.slice(start, start + 2 * COMMAND_LENGTH);
  const lf = line.indexOf("\n");
  const end = lf < 0 ? line.length : lf;
  const command = line.slice(0, line.charCodeAt(end - 1) === CR ? end - 1 : end);
  if (lf < 0 && start + line.length === text.length && (command === "" || COMMAND.test(command)))
    throw cutInHead(limits);
  // The comparison with SEND spares the common case the regular expression.
  if (lf < 0 || (command !== "SEND" && !COMMAND.test(command))) {
    throw malformed(`The message does not begin with a STOMP command: ${quote(command)}.`);
  }
  reader.position = start + lf + 1;
  return command;
}

/** The error for a head that has not ended: the whole frame may become as large as any. */
function cutInHead({ connectHeaderBytes, bodyBytes }: Limits): CutShort {
  return new CutShort(0, COMMAND_LENGTH + 2 + connectHeaderBytes + 2 + bodyBytes + 1);
}

/** Reads the headers up to their blank line, and leaves the reader at the first character of the body. */
function readHeaderLines(reader: Reader, command: string, headerBytes: number): Headers {
  const { text, version, position: start } = reader;
  // Text further on can't belong to the head of a valid frame.
  const headEnd = start + headerBytes + 2;
  const head = headEnd < text.length ? text.slice(0, headEnd) : text;
  const fields: string[] = [];
  let line = 2;
  let at = start;
  for (; ; line += 1) {
    const lf = head.indexOf("\n", at);
    if (lf < 0) throw headNotEnded(reader, head, headerBytes);
    const end = lf > at && head.charCodeAt(lf - 1) === CR ? lf - 1 : lf;
    if (end === at) {
      reader.position = lf + 1;
      break;
    }
    const colon = head.indexOf(":", at);
    if (colon <= at || colon >= end) throw badHeaderLine(head.slice(at, end), line);
    fields.push(head.slice(at, colon), head.slice(colon + 1, end));
    at = lf + 1;
  }
  const lines = text.slice(start, at);
  checkHeaderText(lines, headerBytes);
  return decodeFields(fields, lines, command, version);
}

function headNotEnded({ position, limits }: Reader, head: string, headerBytes: number): StompError {
  checkHeaderText(head.slice(position).replace(/\r$/, ""), headerBytes);
  return cutInHead(limits);
}

function badHeaderLine(text: string, line: number): StompError {
  const what = text.startsWith(":") ? "has no header name" : "is no header, as it has no colon";
  return malformed(`Line ${line} ${what}: ${quote(text)}.`);
}

function headersTooLong(headerBytes: number): StompError {
  return malformed(`The frame's headers are longer than ${headerBytes} bytes, or the blank line is missing.`);
}

/** Checks what no single line shows: the length of all lines, and characters that no header can have. */
function checkHeaderText(lines: string, headerBytes: number): void {
  if (lines.length * BYTES_PER_UNIT > headerBytes && Buffer.byteLength(lines) > headerBytes) {
    throw headersTooLong(headerBytes);
  }
  if (lines.includes("\0")) {
    throw malformed("A NUL stands among the headers: the blank line before the body is missing.");
  }
  // 1.1 would allow a CR inside a value. The value could be sent on to nobody, since 1.1 has no escape for
  // it.
  if (lines.includes("\r") && /\r(?!\n)/.test(lines)) {
    throw malformed("A carriage return stands inside a header line.");
  }
}

function decodeFields(fields: string[], lines: string, command: string, version: StompVersion): Headers {
  // STOMP 1.2 "Value Encoding": CONNECT and CONNECTED are never escaped. STOMP is another name of CONNECT.
  if (isConnect(command)) {
    // Only clients of 1.0 leave accept-version out.
    const isOldStyle = !fields.some((text, i) => i % 2 === 0 && text === "accept-version");
    const values = isOldStyle ? trimmed(fields) : fields;
    // A receipt id goes back in a frame that is escaped.
    const wire = values.map((text) => escapeHeader(text, version));
    return headerList(values, wire);
  }
  if (version === "1.0") return headerList(trimmed(fields));
  if (command === "CONNECTED" || !lines.includes("\\")) return headerList(fields);
  const decoded = fields.map((text) => unescapeHeader(text, version));
  return headerList(decoded, fields);
}

/** Clients of 1.0 may write `name: value`. From 1.1 on blanks belong to the header. */
function trimmed(fields: string[]): string[] {
  return fields.map((text, i) => {
    const value = withoutOuterSpaces(text);
    if (i % 2 === 0 && value === "") throw badHeaderLine(`:${fields[i + 1]}`, i / 2 + 2);
    return value;
  });
}

/**
 * A loop, as a regular expression that matches spaces up to the end takes quadratic time on long runs of
 * them.
 */
function withoutOuterSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) === SPACE) start += 1;
  while (end > start && text.charCodeAt(end - 1) === SPACE) end -= 1;
  return text.slice(start, end);
}
