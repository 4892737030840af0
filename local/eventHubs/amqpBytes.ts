// AMQP 1.0 messages as bytes. An event goes out with the bytes it came in with: decoding and encoding it
// again would change types (a long becomes an int, a symbol a string). Only the broker's annotations are
// spliced in.

/** The bytes are no AMQP message. The peer gets `amqp:decode-error`. */
export class DecodeError extends Error {}

/** Section codes, AMQP 1.0 §3.2. */
export const SECTION = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  messageAnnotations: 0x72,
  data: 0x75,
} as const;

/**
 * Described values may nest. No client needs more levels than this, and a hostile message would overflow the
 * call stack.
 */
const MAX_NESTING = 16;

/**
 * The position behind the value that starts at `at` (AMQP 1.0 §1.2: the constructor's high nibble tells the
 * width).
 */
function valueEnd(bytes: Buffer, at: number, depth = 0): number {
  if (depth > MAX_NESTING) throw new DecodeError("described values nest too deep");
  const code = byteAt(bytes, at);
  if (code === 0) return valueEnd(bytes, valueEnd(bytes, at + 1, depth + 1), depth + 1);
  const end = at + 1 + widthOf(bytes, at + 1, code);
  if (end > bytes.length) throw new DecodeError(`a value at ${at} ends outside the message`);
  return end;
}

function widthOf(bytes: Buffer, at: number, code: number): number {
  switch (code >> 4) {
    case 0x4:
      return 0;
    case 0x5:
      return 1;
    case 0x6:
      return 2;
    case 0x7:
      return 4;
    case 0x8:
      return 8;
    case 0x9:
      return 16;
    case 0xa:
    case 0xc:
    case 0xe:
      return 1 + byteAt(bytes, at);
    case 0xb:
    case 0xd:
    case 0xf:
      return 4 + wordAt(bytes, at);
    default:
      throw new DecodeError(`unknown type 0x${code.toString(16)}`);
  }
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new DecodeError(`the message ends at ${at}, inside a value`);
  return byte;
}

function wordAt(bytes: Buffer, at: number): number {
  if (at + 4 > bytes.length) throw new DecodeError(`the message ends at ${at}, inside a length`);
  return bytes.readUInt32BE(at);
}

interface Section {
  readonly code: number;
  readonly start: number;
  /** Where the section's value starts, behind its descriptor. */
  readonly value: number;
  readonly end: number;
}

/** The sections of a message in order, without copying. Throws DecodeError. */
export function sections(bytes: Buffer): Section[] {
  const found: Section[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] !== 0) throw new DecodeError(`no section starts at ${at}`);
    const short = byteAt(bytes, at + 1) === 0x53;
    if (!short && bytes[at + 1] !== 0x80) throw new DecodeError(`no numeric section descriptor at ${at}`);
    const value = at + (short ? 3 : 10);
    const code = byteAt(bytes, value - 1);
    const end = valueEnd(bytes, value);
    found.push({ code, start: at, value, end });
    at = end;
  }
  return found;
}

/**
 * The content of every data section: in a batch (message format 0x80013700) each is one whole encoded event.
 */
export function dataBodies(bytes: Buffer): Buffer[] {
  return sections(bytes)
    .filter((section) => section.code === SECTION.data)
    .map((section) => {
      const type = bytes[section.value];
      if (type === 0xa0) return bytes.subarray(section.value + 2, section.end);
      if (type === 0xb0) return bytes.subarray(section.value + 5, section.end);
      throw new DecodeError("a data section holds no binary");
    });
}

/** One entry of an annotations map. */
interface Entry {
  readonly key: string;
  readonly start: number;
  readonly value: number;
  readonly end: number;
}

function mapEntries(bytes: Buffer, at: number): Entry[] {
  const type = bytes[at];
  if (type !== 0xc1 && type !== 0xd1) throw new DecodeError("annotations are no map");
  const end = valueEnd(bytes, at);
  let next = at + (type === 0xc1 ? 3 : 9);
  const entries: Entry[] = [];
  while (next < end) {
    const value = valueEnd(bytes, next);
    const after = valueEnd(bytes, value);
    if (after > end) throw new DecodeError("an annotation ends outside its map");
    entries.push({ key: String(scalar(bytes, next)), start: next, value, end: after });
    next = after;
  }
  return entries;
}

/** A string, symbol or number that starts at `at`; anything else is undefined. */
function scalar(bytes: Buffer, at: number): string | number | undefined {
  switch (bytes[at]) {
    case 0xa1:
    case 0xa3:
      return bytes.toString("utf8", at + 2, valueEnd(bytes, at));
    case 0xb1:
    case 0xb3:
      return bytes.toString("utf8", at + 5, valueEnd(bytes, at));
    case 0x43:
    case 0x44:
      return 0;
    case 0x50:
    case 0x52:
    case 0x53:
      return bytes.readUInt8(at + 1);
    case 0x51:
    case 0x54:
    case 0x55:
      return bytes.readInt8(at + 1);
    case 0x60:
      return bytes.readUInt16BE(at + 1);
    case 0x61:
      return bytes.readInt16BE(at + 1);
    case 0x70:
      return bytes.readUInt32BE(at + 1);
    case 0x71:
      return bytes.readInt32BE(at + 1);
    case 0x80:
      return Number(bytes.readBigUInt64BE(at + 1));
    case 0x81:
      return Number(bytes.readBigInt64BE(at + 1));
    default:
      return undefined;
  }
}

/**
 * The message annotations of a message, scalars only; empty when it has none. Throws DecodeError for broken
 * bytes.
 */
export function annotationsOf(bytes: Buffer): Map<string, string | number> {
  const found = new Map<string, string | number>();
  for (const section of sections(bytes)) {
    if (section.code !== SECTION.messageAnnotations) continue;
    for (const entry of mapEntries(bytes, section.value)) {
      const value = scalar(bytes, entry.value);
      if (value !== undefined) found.set(entry.key, value);
    }
  }
  return found;
}

/** What the broker says about an event: its sequence number, offset (bytes), time and partition key. */
export interface Enqueued {
  readonly sequenceNumber: number;
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly enqueuedTime: number;
  readonly partitionKey: string | undefined;
}

/**
 * An event as readers get it; `headerEnd` is where delivery annotations go (AMQP 1.0 §3.2 fixes the order).
 */
export interface WireEvent {
  readonly bytes: Buffer;
  readonly headerEnd: number;
}

const OURS = new Set(["x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time", "x-opt-partition-key"]);

/** Splices the broker's annotations into an event. All its other bytes stay as they were received. */
export function annotate(event: Buffer, facts: Enqueued): WireEvent {
  let header = event.subarray(0, 0);
  let rest = event.length;
  const kept: Buffer[] = [];
  for (const section of sections(event)) {
    if (section.code === SECTION.header) header = event.subarray(section.start, section.end);
    else if (section.code === SECTION.messageAnnotations) {
      for (const entry of mapEntries(event, section.value))
        if (!OURS.has(entry.key)) kept.push(event.subarray(entry.start, entry.end));
    } else if (section.code !== SECTION.deliveryAnnotations) {
      rest = section.start;
      break;
    }
  }
  const count = kept.length;
  kept.push(KEY_SEQUENCE, long(facts.sequenceNumber), KEY_OFFSET, string(String(facts.offset)));
  kept.push(KEY_TIME, timestamp(facts.enqueuedTime));
  if (facts.partitionKey !== undefined) kept.push(KEY_PARTITION_KEY, string(facts.partitionKey));
  const ours = facts.partitionKey === undefined ? 3 : 4;
  const map = mapSection(SECTION.messageAnnotations, count + ours, kept);
  return { bytes: Buffer.concat([header, ...map, event.subarray(rest)]), headerEnd: header.length };
}

/** The same event with the delivery annotations that `trackLastEnqueuedEventProperties` asks for. */
export function withLastEnqueued(event: WireEvent, last: Enqueued, now: number): Buffer {
  const map = mapSection(SECTION.deliveryAnnotations, 4, [
    symbol("last_enqueued_sequence_number"),
    long(last.sequenceNumber),
    symbol("last_enqueued_offset"),
    string(String(last.offset)),
    symbol("last_enqueued_time_utc"),
    timestamp(last.enqueuedTime),
    symbol("runtime_info_retrieval_time_utc"),
    timestamp(now),
  ]);
  return Buffer.concat([
    event.bytes.subarray(0, event.headerEnd),
    ...map,
    event.bytes.subarray(event.headerEnd),
  ]);
}

function mapSection(code: number, pairs: number, entries: readonly Buffer[]): Buffer[] {
  const size = entries.reduce((sum, entry) => sum + entry.length, 4);
  const start = Buffer.from([0x00, 0x53, code, 0xd1, 0, 0, 0, 0, 0, 0, 0, 0]);
  start.writeUInt32BE(size, 4);
  start.writeUInt32BE(pairs * 2, 8);
  return [start, ...entries];
}

function symbol(name: string): Buffer {
  return Buffer.concat([Buffer.from([0xa3, name.length]), Buffer.from(name, "latin1")]);
}

function string(value: string): Buffer {
  const text = Buffer.from(value, "utf8");
  if (text.length < 256) return Buffer.concat([Buffer.from([0xa1, text.length]), text]);
  const start = Buffer.from([0xb1, 0, 0, 0, 0]);
  start.writeUInt32BE(text.length, 1);
  return Buffer.concat([start, text]);
}

function eightBytes(type: number, value: number): Buffer {
  const bytes = Buffer.allocUnsafe(9);
  bytes[0] = type;
  bytes.writeBigInt64BE(BigInt(value), 1);
  return bytes;
}

const long = (value: number): Buffer => eightBytes(0x81, value);
const timestamp = (value: number): Buffer => eightBytes(0x83, value);

const KEY_SEQUENCE = symbol("x-opt-sequence-number");
const KEY_OFFSET = symbol("x-opt-offset");
const KEY_TIME = symbol("x-opt-enqueued-time");
const KEY_PARTITION_KEY = symbol("x-opt-partition-key");
