/**
 * Reads STOMP frames out of one WebSocket message.
 *
 * Everything is searched for with `indexOf`, which runs over the text many times faster than a loop over its
 * characters, and is kept as slices of it. Nothing is put off: a frame that is returned was checked whole.
 * Searches are bounded by the limits, however long the message is.
 */
import { isUtf8 } from "node:buffer";
import { readBody } from "./body.js";
import { escapeHeader, unescapeHeader } from "./escaping.js";
import { type Frame, type Headers, headerList, quote, StompError, type StompVersion } from "./frame.js";
import { BYTES_PER_UNIT, cutShort, DEFAULT_LIMITS, type Limits, malformed, type Reader } from "./reader.js";

const COMMAND = /^[A-Z]{1,32}$/;
const COMMAND_LENGTH = 32;
/** Checks and decodes in one go. A byte order mark is text like any other, and no beginning of a frame. */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LF = 10;
const CR = 13;
const SPACE = 32;

/**
 * All frames of one WebSocket message, in order. EOLs between frames are heart-beats and are ignored, so a
 * message of nothing else gives an empty array. `version` is the negotiated one; it does not matter for
 * CONNECT and STOMP.
 *
 * Lines end in LF, in 1.2 also in CRLF; CONNECT and STOMP may use CRLF always, as they come before a version is
 * agreed. Commands are not judged beyond their form (1 to 32 letters A-Z).
 *
 * Throws `StompError` with the frames before the bad one: `MESSAGE_TOO_LARGE` for a body over the limit,
 * `MALFORMED_FRAME` for everything else, including bytes that are not UTF-8.
 */
export function parseFrames(
  data: string | Uint8Array,
  version: StompVersion,
  limits: Limits = DEFAULT_LIMITS,
): Frame[] {
  if (typeof data === "string") return readAll(data, version, limits);
  let text: string;
  try {
    text = UTF8.decode(data);
  } catch {
    throw notUtf8(Buffer.from(data.buffer, data.byteOffset, data.byteLength), version, limits);
  }
  return readAll(text, version, limits);
}

function readAll(text: string, version: StompVersion, limits: Limits): Frame[] {
  const reader: Reader = { text, version, limits, position: 0, headers: undefined };
  const frames: Frame[] = [];
  try {
    for (skipEols(reader); reader.position < text.length; skipEols(reader)) {
      reader.headers = undefined;
      if (frames.length === limits.framesPerMessage) {
        throw malformed(
          `More than ${limits.framesPerMessage} frames in one WebSocket message; send fewer at once.`,
        );
      }
      frames.push(readFrame(reader));
    }
  } catch (error) {
    if (!(error instanceof StompError)) throw error;
    throw new StompError(error.code, error.message, frames, reader.headers?.wire("receipt"));
  }
  return frames;
}

/** The frames before the one with the bad bytes are all in the part that is UTF-8 and ends with a NUL. */
function notUtf8(bytes: Buffer, version: StompVersion, limits: Limits): StompError {
  let framesBefore: readonly Frame[];
  try {
    framesBefore = readAll(bytes.toString("utf8", 0, utf8End(bytes)), version, limits);
  } catch (error) {
    if (!(error instanceof StompError)) throw error;
    framesBefore = error.framesBefore;
  }
  return new StompError("MALFORMED_FRAME", "The frame is not valid UTF-8.", framesBefore);
}

/** The place behind the last NUL up to which the bytes are UTF-8; halves where it may be, since a message can be NULs and little else. */
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
  const { text, limits, position } = reader;
  // Command, its EOL, header lines, blank line: what lies further on can't belong to the head of a valid frame.
  const headEnd = position + COMMAND_LENGTH + 2 + limits.headerBytes + 2;
  const head = headEnd < text.length ? text.slice(0, headEnd) : text;
  const command = readCommand(reader, head);
  const headers = readHeaderLines(reader, head, command);
  reader.headers = headers;
  const body = readBody(reader, headers.get("content-length"));
  if (body !== "" && !mayHaveBody(command, reader.version)) {
    throw malformed(`${command} can't have a body: end the frame with a NUL right after the blank line.`);
  }
  return { command, headers, body };
}

/** STOMP 1.1 and 1.2 "Body"; 1.0 does not say, except for what it shows of CONNECT. */
function mayHaveBody(command: string, version: StompVersion): boolean {
  switch (command) {
    case "SEND":
    case "MESSAGE":
    case "ERROR":
      return true;
    default:
      return version === "1.0" && !isConnect(command);
  }
}

function isConnect(command: string): boolean {
  return command === "CONNECT" || command === "STOMP";
}

function readCommand(reader: Reader, head: string): string {
  const { position: start, version } = reader;
  const lf = head.indexOf("\n", start);
  const end = lf < 0 ? head.length : lf;
  const crlf = lf > start && head.charCodeAt(lf - 1) === CR;
  const command = head.slice(start, crlf ? end - 1 : end);
  // The comparison spares the common case the regular expression.
  if (command !== "SEND" && !COMMAND.test(command)) {
    throw malformed(`The message does not begin with a STOMP command: ${quote(command)}.`);
  }
  if (lf < 0) throw cutShort();
  if (crlf && version !== "1.2" && !isConnect(command)) throw crlfRefused(1, version);
  reader.position = lf + 1;
  return command;
}

function crlfRefused(line: number, version: StompVersion): StompError {
  return malformed(`Line ${line} ends in CRLF; lines of STOMP ${version} end in LF alone.`);
}

/** Leaves the reader at the first character of the body. */
function readHeaderLines(reader: Reader, head: string, command: string): Headers {
  const { text, limits, version, position: start } = reader;
  const crlfAllowed = version === "1.2" || isConnect(command);
  const fields: string[] = [];
  let line = 2;
  let at = start;
  for (; ; line += 1) {
    const lf = head.indexOf("\n", at);
    if (lf < 0) throw head.length < text.length ? headersTooLong(limits) : cutShort();
    let end = lf;
    if (lf > at && head.charCodeAt(lf - 1) === CR) {
      if (!crlfAllowed) throw crlfRefused(line, version);
      end -= 1;
    }
    if (end === at) {
      reader.position = lf + 1;
      break;
    }
    const colon = head.indexOf(":", at);
    if (colon <= at || colon >= end) throw badHeaderLine(head.slice(at, end), line);
    if (line - 1 > limits.headers) throw malformed(`The frame has more than ${limits.headers} headers.`);
    fields.push(head.slice(at, colon), head.slice(colon + 1, end));
    at = lf + 1;
  }
  const lines = text.slice(start, at);
  checkHeaderText(lines, limits);
  return decodeFields(fields, lines, command, version);
}

function badHeaderLine(text: string, line: number): StompError {
  const what = text.startsWith(":") ? "has no header name" : "is no header, as it has no colon";
  return malformed(`Line ${line} ${what}: ${quote(text)}.`);
}

function headersTooLong(limits: Limits): StompError {
  return malformed(
    `The frame's headers are longer than ${limits.headerBytes} bytes, or the blank line is missing.`,
  );
}

/** What no single line shows: the length of all, and characters that no header can have. */
function checkHeaderText(lines: string, limits: Limits): void {
  if (lines.length * BYTES_PER_UNIT > limits.headerBytes && Buffer.byteLength(lines) > limits.headerBytes) {
    throw headersTooLong(limits);
  }
  if (lines.includes("\0")) {
    throw malformed("A NUL stands among the headers: the blank line before the body is missing.");
  }
  // 1.1 would allow a CR inside a value; it could be sent on to nobody, since 1.1 has no escape for it.
  if (lines.includes("\r") && /\r(?!\n)/.test(lines)) {
    throw malformed("A carriage return stands inside a header line.");
  }
}

function decodeFields(fields: string[], lines: string, command: string, version: StompVersion): Headers {
  // STOMP 1.2 "Value Encoding": CONNECT and CONNECTED are never escaped. STOMP is to be taken as CONNECT.
  if (isConnect(command)) {
    // Only clients of 1.0 leave accept-version out.
    const isOldStyle = !fields.some((text, i) => i % 2 === 0 && text === "accept-version");
    const values = isOldStyle ? trimmed(fields) : fields;
    // A receipt goes back in a frame that is escaped.
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

/** Not a regular expression: matching spaces up to the end takes quadratic time on long runs of them. */
function withoutOuterSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) === SPACE) start += 1;
  while (end > start && text.charCodeAt(end - 1) === SPACE) end -= 1;
  return text.slice(start, end);
}
