import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, readSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { decodeRecord, findRecordAfter, type LaterRecord, type LogRecord } from "./record.js";

/** Data on the disk that can't be what we wrote. The text names the file, the position and the way out. */
export class CorruptDataError extends Error {}

/** One entry of a segment's sparse index. */
export interface Block {
  readonly sequenceNumber: number;
  /** Byte position in the segment's file. */
  readonly position: number;
  readonly enqueuedTime: number;
}

/** One file of a partition's log, named for the first sequence number and offset it holds. */
export interface Segment {
  readonly path: string;
  readonly baseSequence: number;
  readonly baseOffset: number;
  /** Flushed bytes. */
  size: number;
  firstTime: number;
  lastTime: number;
  readonly blocks: Block[];
}

/** An event in the log. */
export interface StoredEvent {
  readonly sequenceNumber: number;
  readonly offset: number;
  readonly enqueuedTime: number;
  readonly partitionKey: string | undefined;
  /** As received, without our annotations. */
  readonly event: Buffer;
}

/** Bytes between two index entries, about. One block of this size is read from the disk at a time. */
const BLOCK_BYTES = 64 * 1024;

const NAME = /^(\d{16})-(\d{16})\.log$/;

/** A segment that holds nothing yet. The caller makes the file. */
export function emptySegment(folder: string, baseSequence: number, baseOffset: number): Segment {
  const name = `${String(baseSequence).padStart(16, "0")}-${String(baseOffset).padStart(16, "0")}.log`;
  return {
    path: join(folder, name),
    baseSequence,
    baseOffset,
    size: 0,
    firstTime: 0,
    lastTime: 0,
    blocks: [],
  };
}

/** The segments of a partition's folder in order, not yet read. */
export function listSegments(folder: string): Segment[] {
  return readdirSync(folder)
    .map((name) => NAME.exec(name))
    .filter((match) => match !== null)
    .map((match) => emptySegment(folder, Number(match[1]), Number(match[2])))
    .sort((a, b) => a.baseSequence - b.baseSequence || a.baseOffset - b.baseOffset);
}

/** Notes a record that starts at `position` and ends at `end` in the segment's index. */
export function noteRecord(segment: Segment, record: Omit<Block, "position">, position: number, end: number) {
  const last = segment.blocks.at(-1);
  if (!last || position - last.position >= BLOCK_BYTES) {
    segment.blocks.push({
      sequenceNumber: record.sequenceNumber,
      position,
      enqueuedTime: record.enqueuedTime,
    });
  }
  if (segment.size === 0) segment.firstTime = record.enqueuedTime;
  segment.lastTime = record.enqueuedTime;
  segment.size = end;
}

/**
 * Reads a segment back, calls `onRecord` for every record in order and fills the index. An unfinished end of
 * the newest segment is cut off the file: a crash leaves it, and its sender got no answer. `confirmed` is the
 * offset before which everything was confirmed; undefined for a segment that is not the newest. Throws
 * CorruptDataError for anything else. Returns the next sequence number and how many bytes were cut.
 */
export function recoverSegment(
  segment: Segment,
  confirmed: number | undefined,
  onRecord: (record: LogRecord, offset: number) => void,
): { nextSequence: number; cut: number } {
  // A segment is some 16 MiB, so it fits into memory for a moment.
  const bytes = readFileSync(segment.path);
  let next = segment.baseSequence;
  let at = 0;
  let batchStart = 0;
  let batch: { record: LogRecord; position: number; end: number }[] = [];
  while (at < bytes.length) {
    const found = decodeRecord(bytes, at);
    if (!found || found.record.sequenceNumber !== next + batch.length) break;
    batch.push({ record: found.record, position: at, end: found.end });
    at = found.end;
    if (found.record.batchGoesOn) continue;
    for (const { record, position, end } of batch) {
      noteRecord(segment, record, position, end);
      onRecord(record, segment.baseOffset + position);
    }
    next += batch.length;
    batch = [];
    batchStart = at;
  }
  if (batchStart === bytes.length) return { nextSequence: next, cut: 0 };
  const later = findRecordAfter(bytes, at, next + batch.length);
  const isTorn =
    confirmed !== undefined &&
    (!later || (confirmed <= segment.baseOffset + at && isOneWrite(bytes, at, later)));
  if (!isTorn) throw damaged(segment.path, at, next + batch.length, later?.position);
  truncateSync(segment.path, batchStart);
  syncPath(segment.path, "r+");
  return { nextSequence: next, cut: bytes.length - batchStart };
}

/**
 * True when the place `at`, which isn't sound, and all sound records behind it are one write that was not
 * flushed. A power cut may leave later pages of it and not the earlier ones.
 */
function isOneWrite(bytes: Buffer, at: number, first: LaterRecord): boolean {
  for (let later: LaterRecord | undefined = first; later; ) {
    const { record, position, end } = later;
    if (record.behindFlushed === undefined || position - record.behindFlushed > at) return false;
    later = findRecordAfter(bytes, end - 1, record.sequenceNumber + 1);
  }
  return true;
}

function damaged(path: string, at: number, expected: number, later: number | undefined): CorruptDataError {
  const after =
    later === undefined ? "the log goes on in another file" : `a sound record follows at byte ${later}`;
  return new CorruptDataError(
    `${path} is damaged at byte ${at}: expected the record of sequence number ${expected}, and ${after}. ` +
      "Restore the file from a copy, or delete the data folder to start empty.",
  );
}

/** The events of one block, from the disk. Throws CorruptDataError when the bytes have changed since. */
export function readBlock(segment: Segment, index: number): StoredEvent[] {
  const start = segment.blocks[index]!.position;
  const end = segment.blocks[index + 1]?.position ?? segment.size;
  const bytes = Buffer.allocUnsafe(end - start);
  const file = openSync(segment.path, "r");
  try {
    let read = 0;
    while (read < bytes.length) {
      const count = readSync(file, bytes, read, bytes.length - read, start + read);
      if (count === 0) break;
      read += count;
    }
    if (read < bytes.length)
      throw damaged(segment.path, start + read, segment.blocks[index]!.sequenceNumber, end);
  } finally {
    closeSync(file);
  }
  const events: StoredEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = decodeRecord(bytes, at);
    if (!found)
      throw damaged(segment.path, start + at, segment.blocks[index]!.sequenceNumber + events.length, end);
    events.push({ offset: segment.baseOffset + start + at, ...found.record });
    at = found.end;
  }
  return events;
}

/**
 * Makes the content of a file or folder survive a power cut. A new name is only safe once its folder is
 * synced too.
 */
export function syncPath(path: string, flags = "r"): void {
  const file = openSync(path, flags);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
