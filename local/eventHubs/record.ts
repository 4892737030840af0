import { crc32 } from "node:zlib";

// One record of a segment file, big-endian:  length u32 | crc32 u32 | flags u8 | key length u16 | sequence
// number u48 | enqueued time u48 (ms) | with flag PRODUCER: id i64, epoch i16, sequence number i32 | with flag
// BEHIND: bytes behind the flushed end u32 | partition key | event  `length` and the checksum cover everything
// behind the checksum. The offset of an event is the place of its record in the partition's whole log, so it
// needs no field. Records of the first version are without BEHIND.

const PREFIX = 8;
const FIXED = 15;
const PRODUCER = 14;
const BEHIND = 4;
const FLAG_BATCH_GOES_ON = 1;
const FLAG_PRODUCER = 2;
const FLAG_BEHIND = 4;
const NO_KEY = 0xffff;

/**
 * The largest record: an event of 1 MiB with its key. It bounds how much is read where a length field is
 * damaged.
 */
const MAX_RECORD = 1_048_576 + 1_048_576;

/** Who sent an event with idempotent publishing, and its number there. */
export interface ProducerMark {
  readonly id: number;
  readonly epoch: number;
  readonly sequenceNumber: number;
}

export interface LogRecord {
  readonly sequenceNumber: number;
  readonly enqueuedTime: number;
  readonly partitionKey: string | undefined;
  readonly producer: ProducerMark | undefined;
  /** True when the next record belongs to the same batch. A batch counts whole or not at all. */
  readonly batchGoesOn: boolean;
  /**
   * How many bytes lay between the flushed end of the log and this record when it was written. Everything
   * before that end was confirmed.
   */
  readonly behindFlushed: number | undefined;
  readonly event: Buffer;
}

/** The bytes of one record. The event is copied. */
export function encodeRecord(record: LogRecord): Buffer {
  const key = record.partitionKey === undefined ? undefined : Buffer.from(record.partitionKey, "utf8");
  const behindAt = FIXED + (record.producer ? PRODUCER : 0);
  const body = behindAt + (record.behindFlushed === undefined ? 0 : BEHIND);
  const bytes = Buffer.allocUnsafe(PREFIX + body + (key?.length ?? 0) + record.event.length);
  bytes.writeUInt32BE(bytes.length - PREFIX, 0);
  bytes[PREFIX] = flagsOf(record);
  bytes.writeUInt16BE(key?.length ?? NO_KEY, PREFIX + 1);
  bytes.writeUIntBE(record.sequenceNumber, PREFIX + 3, 6);
  bytes.writeUIntBE(record.enqueuedTime, PREFIX + 9, 6);
  if (record.producer) {
    bytes.writeBigInt64BE(BigInt(record.producer.id), PREFIX + FIXED);
    bytes.writeInt16BE(record.producer.epoch, PREFIX + FIXED + 8);
    bytes.writeInt32BE(record.producer.sequenceNumber, PREFIX + FIXED + 10);
  }
  if (record.behindFlushed !== undefined) bytes.writeUInt32BE(record.behindFlushed, PREFIX + behindAt);
  key?.copy(bytes, PREFIX + body);
  record.event.copy(bytes, PREFIX + body + (key?.length ?? 0));
  bytes.writeUInt32BE(crc32(bytes.subarray(PREFIX)), 4);
  return bytes;
}

function flagsOf(record: LogRecord): number {
  return (
    (record.batchGoesOn ? FLAG_BATCH_GOES_ON : 0) |
    (record.producer ? FLAG_PRODUCER : 0) |
    (record.behindFlushed === undefined ? 0 : FLAG_BEHIND)
  );
}

/** The record at `at` and where it ends. Undefined when its length or its checksum is wrong. */
export function decodeRecord(bytes: Buffer, at: number): { record: LogRecord; end: number } | undefined {
  if (at + PREFIX + FIXED > bytes.length) return undefined;
  const length = bytes.readUInt32BE(at);
  const end = at + PREFIX + length;
  if (length < FIXED || length > MAX_RECORD || end > bytes.length) return undefined;
  if (crc32(bytes.subarray(at + PREFIX, end)) !== bytes.readUInt32BE(at + 4)) return undefined;
  const body = at + PREFIX;
  const flags = bytes.readUInt8(body);
  const keyLength = bytes.readUInt16BE(body + 1);
  const behindAt = body + FIXED + (flags & FLAG_PRODUCER ? PRODUCER : 0);
  const keyAt = behindAt + (flags & FLAG_BEHIND ? BEHIND : 0);
  const eventAt = keyAt + (keyLength === NO_KEY ? 0 : keyLength);
  const record: LogRecord = {
    sequenceNumber: bytes.readUIntBE(body + 3, 6),
    enqueuedTime: bytes.readUIntBE(body + 9, 6),
    partitionKey: keyLength === NO_KEY ? undefined : bytes.toString("utf8", keyAt, eventAt),
    producer: flags & FLAG_PRODUCER ? producerAt(bytes, body + FIXED) : undefined,
    batchGoesOn: (flags & FLAG_BATCH_GOES_ON) !== 0,
    behindFlushed: flags & FLAG_BEHIND ? bytes.readUInt32BE(behindAt) : undefined,
    event: bytes.subarray(eventAt, end),
  };
  return { record, end };
}

/** A sound record behind a place that isn't. */
export interface LaterRecord {
  readonly position: number;
  readonly end: number;
  readonly record: LogRecord;
}

/** The first sound record after `at` with a sequence number of `expected` or more, undefined without one. */
export function findRecordAfter(bytes: Buffer, at: number, expected: number): LaterRecord | undefined {
  for (let position = at + 1; position + PREFIX + FIXED <= bytes.length; position += 1) {
    const length = bytes.readUInt32BE(position);
    if (length < FIXED || position + PREFIX + length > bytes.length) continue;
    const sequenceNumber = bytes.readUIntBE(position + PREFIX + 3, 6);
    // No two neighbours in a segment are further apart than the segment has bytes.
    if (sequenceNumber < expected || sequenceNumber > expected + bytes.length) continue;
    const found = decodeRecord(bytes, position);
    if (found) return { position, ...found };
  }
  return undefined;
}

function producerAt(bytes: Buffer, at: number): ProducerMark {
  return {
    id: Number(bytes.readBigInt64BE(at)),
    epoch: bytes.readInt16BE(at + 8),
    sequenceNumber: bytes.readInt32BE(at + 10),
  };
}
