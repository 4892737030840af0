/** A STOMP frame. Of a header that comes twice the first counts (STOMP 1.2, "Repeated Header Entries"). */
export interface Frame {
  readonly command: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c" };
const UNESCAPES: Readonly<Record<string, string>> = { "\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\c": ":" };

const escaped = (text: string): string => text.replace(/[\\\n\r:]/g, (one) => ESCAPES[one] ?? one);
const unescaped = (text: string): string => text.replace(/\\[\\nrc]/g, (two) => UNESCAPES[two] ?? two);

/** Of `CONNECT` nothing is escaped (STOMP 1.2, "Value Encoding"); our own headers there need none. */
export function serialize({ command, headers, body }: Frame): string {
  const lines = Object.entries(headers).map(([name, value]) => `${escaped(name)}:${escaped(value)}\n`);
  return `${command}\n${lines.join("")}\n${body}\0`;
}

/** The frames of one WebSocket message, which holds whole frames, and EOLs between them. Throws for others. */
export function parse(text: string): Frame[] {
  const frames: Frame[] = [];
  let bytes = Buffer.from(text);
  for (;;) {
    const start = bytes.findIndex((byte) => byte !== 0x0a && byte !== 0x0d);
    if (start < 0) return frames;
    const { frame, rest } = first(bytes.subarray(start));
    frames.push(frame);
    bytes = rest;
  }
}

function first(bytes: Buffer): { frame: Frame; rest: Buffer<ArrayBuffer> } {
  const head = bytes.indexOf("\n\n");
  if (head < 0) throw new Error(`no frame: ${bytes.toString().slice(0, 80)}`);
  const [command = "", ...lines] = bytes.subarray(0, head).toString().split("\n");
  const headers = headersOf(lines);
  const length = headers["content-length"];
  const from = head + 2;
  const end = length === undefined ? bytes.indexOf(0, from) : from + Number(length);
  if (end < 0 || bytes[end] !== 0) throw new Error(`a frame without its end: ${command}`);
  const body = bytes.subarray(from, end).toString();
  return { frame: { command, headers, body }, rest: Buffer.from(bytes.subarray(end + 1)) };
}

function headersOf(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = unescaped(line.slice(0, colon));
    headers[name] ??= unescaped(line.slice(colon + 1).replace(/\r$/, ""));
  }
  return headers;
}
