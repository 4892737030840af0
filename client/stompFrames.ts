/**
 * STOMP 1.2 frames as text (https://stomp.github.io/stomp-specification-1.2.html). One WebSocket message
 * holds whole frames; line ends between them are heart-beats.
 */

export interface Frame {
  readonly command: string;
  /** Unescaped, and the first of repeated ones (STOMP 1.2, "Repeated Header Entries"). */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/**
 * The frame as the text of one WebSocket message; a body gets its `content-length`. Throws for a header text
 * with NUL.
 */
export function encodeFrame(command: string, headers: Readonly<Record<string, string>>, body = ""): string {
  let text = `${command}\n`;
  for (const [name, value] of Object.entries(headers)) text += `${escaped(name)}:${escaped(value)}\n`;
  if (body !== "") text += `content-length:${utf8Length(body)}\n`;
  return `${text}\n${body}\0`;
}

/** A text that is not whole frames. `at` is the position in it, in UTF-16 units. */
export class FrameError extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(`${message}, at ${at}`);
    this.name = "FrameError";
  }
}

/**
 * The frames of one WebSocket message, in their order; none for a heart-beat. Throws `FrameError` behind the
 * last whole one.
 */
export function* decodeFrames(text: string): Generator<Frame, void> {
  for (let at = skipLineEnds(text, 0); at < text.length; ) {
    const { frame, end } = decodeFrame(text, at);
    yield frame;
    at = skipLineEnds(text, end);
  }
}

function decodeFrame(text: string, start: number): { frame: Frame; end: number } {
  let at = start;
  const nextLine = (): string => {
    const end = text.indexOf("\n", at);
    if (end < 0) throw new FrameError("the frame ends within its headers", at);
    const line = text.slice(at, text[end - 1] === "\r" ? end - 1 : end);
    at = end + 1;
    return line;
  };
  const command = nextLine();
  if (!/^[A-Z]+$/.test(command)) throw new FrameError("no command", start);
  const headers = new Map<string, string>();
  for (let line = nextLine(); line !== ""; line = nextLine()) {
    const colon = line.indexOf(":");
    if (colon < 1) throw new FrameError("a header without a name or a colon", at);
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1)];
    // STOMP 1.2, "Value Encoding": CONNECTED is read before a version is agreed.
    const plain = command === "CONNECTED";
    const key = plain ? name : unescaped(name, at);
    if (!headers.has(key)) headers.set(key, plain ? value : unescaped(value, at));
  }
  const end = endOfBody(text, at, headers.get("content-length"));
  return { frame: { command, headers, body: text.slice(at, end) }, end: end + 1 };
}

/** Where the NUL behind the body is; `length` counts bytes, the text UTF-16 units. */
function endOfBody(text: string, start: number, length: string | undefined): number {
  if (length === undefined) {
    const end = text.indexOf("\0", start);
    if (end < 0) throw new FrameError("the frame has no end", start);
    return end;
  }
  if (!/^\d{1,9}$/.test(length)) throw new FrameError("content-length is no number", start);
  let at = start;
  let left = Number(length);
  while (left > 0 && at < text.length) {
    const point = text.codePointAt(at)!;
    left -= bytesOf(point);
    at += unitsOf(point);
  }
  if (left !== 0 || text[at] !== "\0")
    throw new FrameError("content-length does not lead to the frame's end", at);
  return at;
}

function skipLineEnds(text: string, start: number): number {
  let at = start;
  while (text[at] === "\n" || (text[at] === "\r" && text[at + 1] === "\n")) at += text[at] === "\n" ? 1 : 2;
  return at;
}

/** How many bytes UTF-8 takes for the text. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length; ) {
    const point = text.codePointAt(at)!;
    bytes += bytesOf(point);
    at += unitsOf(point);
  }
  return bytes;
}

/** Half of a surrogate pair is sent as U+FFFD, which takes three bytes too. */
function bytesOf(point: number): number {
  if (point < 0x80) return 1;
  if (point < 0x800) return 2;
  return point < 0x10000 ? 3 : 4;
}

const unitsOf = (point: number): number => (point < 0x10000 ? 1 : 2);

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c" };
const UNESCAPES: Readonly<Record<string, string>> = { "\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\c": ":" };

function escaped(text: string): string {
  if (text.includes("\0")) throw new Error("a header can't hold the character NUL");
  return text.replace(/[\\\n\r:]/g, (character) => ESCAPES[character]!);
}

function unescaped(text: string, at: number): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\[\s\S]?/g, (sequence) => {
    const character = UNESCAPES[sequence];
    if (character === undefined) throw new FrameError(`no escape of STOMP: ${sequence}`, at);
    return character;
  });
}
