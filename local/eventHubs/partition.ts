import { closeSync, mkdirSync, openSync, rmSync, unlinkSync } from "node:fs";
import { FlushedMark } from "./flushedMark.js";
import { DISK, type Disk, LogFile } from "./logFile.js";
import { Producers } from "./producers.js";
import { encodeRecord, type ProducerMark } from "./record.js";
import {
  CorruptDataError,
  emptySegment,
  listSegments,
  noteRecord,
  readBlock,
  recoverSegment,
  type Segment,
  type StoredEvent,
  syncPath,
} from "./segment.js";
import { Tail } from "./tail.js";

/** An event on its way in. */
export interface IncomingEvent {
  readonly event: Buffer;
  readonly partitionKey: string | undefined;
  readonly producer: ProducerMark | undefined;
}

export interface PartitionOptions {
  /** Events older than this may be deleted, whole segments at a time. */
  readonly retentionMs: number;
  /** A segment is closed when it has grown past this. */
  readonly segmentBytes: number;
  readonly log: (level: "info" | "warn" | "error", text: string) => void;
  /** The real one if not said. */
  readonly disk?: Disk;
}

/** A reader that is told when there are new events. */
export interface Waiting {
  pump(): void;
}

/** Called once, when the appended events are on the disk or can't get there. */
export type Stored = (error?: Error) => void;

interface Group {
  buffers: Buffer[];
  bytes: number;
  events: StoredEvent[];
  marks: ProducerMark[];
  told: Stored[];
}

/** Bytes that may wait for the disk. Above this senders are told to try again later. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/**
 * How many blocks of old events are kept after reading. Readers of one partition mostly walk through the same
 * ones.
 */
const MAX_CACHED_BLOCKS = 8;

/** The disk can't be written, or the queue in front of it is full. Sending again later can help. */
export class AppendError extends Error {}

/**
 * One partition: a log in segment files, group commit in front of it, the latest events in memory. Readers
 * see an event, and its sender gets its answer, only once it is flushed.
 */
export class Partition {
  readonly id: string;
  readonly producers = new Producers();
  readonly readers = new Set<Waiting>();
  readonly #folder: string;
  readonly #options: PartitionOptions;
  readonly #segments: Segment[];
  readonly #tail = new Tail();
  readonly #blocks = new Map<string, StoredEvent[]>();
  readonly #mark: FlushedMark;
  #file: LogFile;
  #last: StoredEvent | undefined;
  /**
   * The next sequence number and offset to give out. Events between the flushed ones and these are on their
   * way to the disk.
   */
  #nextSequence: number;
  #nextOffset: number;
  #flushedSequence: number;
  #pending: Group = emptyGroup();
  #flushing = false;
  #scheduled = false;
  #closed = false;
  /** Sends refused since the last flush that succeeded. */
  #refused = 0;
  #idle: (() => void)[] = [];

  /** Opens the partition in `folder`, making it when missing, and reads it back. Throws CorruptDataError. */
  constructor(id: string, folder: string, options: PartitionOptions) {
    this.id = id;
    this.#folder = folder;
    this.#options = options;
    mkdirSync(folder, { recursive: true });
    this.#segments = listSegments(folder);
    const active = this.#segments.at(-1);
    if (!active) this.#segments.push(emptySegment(folder, 0, 0));
    this.#mark = new FlushedMark(folder);
    const next = this.#recover();
    this.#checkEnd(next);
    this.#nextSequence = this.#flushedSequence = next;
    const newest = this.#segments.at(-1)!;
    this.#nextOffset = newest.baseOffset + newest.size;
    this.#file = this.#openFile(newest);
    // What a killed process has written and not flushed may be read from now on, so a power cut must not take
    // it.
    syncPath(newest.path, "r+");
    syncPath(folder);
  }

  #openFile(segment: Segment): LogFile {
    return new LogFile(segment.path, this.#options.disk ?? DISK);
  }

  /** A file that was cut, or restored from a copy, is where it is: numbers go on from its end. */
  #checkEnd(next: number): void {
    const missing = this.#mark.found - this.endOffset;
    if (missing > 0)
      this.#options.log(
        "error",
        `${this.#folder}: the log has gone back. It ends before sequence number ${next}, and ${missing} bytes ` +
          "that were confirmed are missing behind it. New events get their numbers.",
      );
    if (missing !== 0) this.#mark.reset(this.endOffset);
  }

  #recover(): number {
    let next = this.#segments[0]!.baseSequence;
    let offset = this.#segments[0]!.baseOffset;
    for (const [index, segment] of this.#segments.entries()) {
      if (segment.baseSequence !== next || segment.baseOffset !== offset)
        throw new CorruptDataError(
          `${this.#folder}: a file is missing or cut, the log ends at sequence number ${next} and goes on in ` +
            `${segment.path}. Restore it from a copy, or delete the data folder to start empty.`,
        );
      const newest = index === this.#segments.length - 1;
      closeSync(openSync(segment.path, "a"));
      const result = recoverSegment(segment, newest ? this.#mark.found : undefined, (record, at) => {
        // Copied, so that the bytes of the whole file can be freed.
        this.#last = { ...record, offset: at, event: Buffer.from(record.event) };
        this.#tail.push(this.#last);
        if (record.producer) this.producers.recover(record.producer);
      });
      if (result.cut > 0)
        this.#options.log(
          "warn",
          `${segment.path}: cut ${result.cut} bytes of an unfinished write off the end`,
        );
      next = result.nextSequence;
      offset += segment.size;
    }
    return next;
  }

  /** The oldest sequence number still here, or the next one when the partition is empty. */
  get firstSequence(): number {
    return this.#segments[0]!.baseSequence;
  }

  /** One behind the newest sequence number that readers may see. */
  get endSequence(): number {
    return this.#flushedSequence;
  }

  /** One behind the newest flushed byte; no event has this offset or a higher one. */
  get endOffset(): number {
    const newest = this.#segments.at(-1)!;
    return newest.baseOffset + newest.size;
  }

  /** The newest flushed event. It stays known while the process runs, even when retention has deleted it. */
  get last(): StoredEvent | undefined {
    return this.#last;
  }

  /**
   * Appends a batch, whole or not at all, and calls `stored` after the flush that holds it. For an empty
   * batch `stored` is called after the flush under way, so that a repeat isn't confirmed before its original.
   * Throws AppendError.
   */
  append(batch: readonly IncomingEvent[], stored: Stored): void {
    this.#checkWritable();
    const enqueuedTime = Math.max(
      Date.now(),
      this.#pending.events.at(-1)?.enqueuedTime ?? this.#last?.enqueuedTime ?? 0,
    );
    for (const [index, incoming] of batch.entries()) {
      const record = {
        sequenceNumber: this.#nextSequence++,
        enqueuedTime,
        batchGoesOn: index < batch.length - 1,
        // The group is written when the one before it is flushed.
        behindFlushed: this.#pending.bytes,
        ...incoming,
      };
      const bytes = encodeRecord(record);
      // The event is the copy in the record, so that the socket's larger buffer can be freed.
      const event = bytes.subarray(bytes.length - incoming.event.length);
      this.#pending.events.push({
        sequenceNumber: record.sequenceNumber,
        offset: this.#nextOffset,
        enqueuedTime,
        partitionKey: incoming.partitionKey,
        event,
      });
      if (incoming.producer) this.#pending.marks.push(incoming.producer);
      this.#pending.buffers.push(bytes);
      this.#pending.bytes += bytes.length;
      this.#nextOffset += bytes.length;
    }
    this.#pending.told.push(stored);
    if (this.#flushing || this.#scheduled) return;
    // The flush starts after this tick, so that everything from one read of the socket shares it.
    this.#scheduled = true;
    process.nextTick(() => {
      if (this.#scheduled) this.#flush();
    });
  }

  #checkWritable(): void {
    if (this.#closed) throw new AppendError("The server is stopping.");
    if (this.#pending.bytes > MAX_PENDING_BYTES)
      throw new AppendError("The disk can't keep up. Try again later.");
    if (!this.#file.isFit(this.#segments.at(-1)!.size)) {
      this.#refused += 1;
      throw new AppendError("The partition can't be written; see the server's log. Try again later.", {
        cause: this.#file.reason,
      });
    }
  }

  #flush(): void {
    this.#scheduled = false;
    const group = this.#pending;
    this.#pending = emptyGroup();
    if (group.buffers.length === 0) {
      this.#settle(group);
      return;
    }
    this.#flushing = true;
    try {
      this.#rollIfNeeded();
      this.#file.write(group.buffers, group.bytes);
    } catch (error) {
      this.#fail(group, error as Error);
      return;
    }
    this.#file.flush((error) => (error ? this.#fail(group, error) : this.#flushed(group)));
  }

  #flushed(group: Group): void {
    const segment = this.#segments.at(-1)!;
    for (const [index, event] of group.events.entries()) {
      const position = event.offset - segment.baseOffset;
      noteRecord(segment, event, position, position + group.buffers[index]!.length);
      this.#tail.push(event);
    }
    this.#last = group.events.at(-1);
    this.#flushedSequence = this.#last!.sequenceNumber + 1;
    this.#mark.note(this.endOffset);
    this.#noteSuccess();
    this.#settle(group);
    for (const reader of [...this.readers]) reader.pump();
  }

  #settle(group: Group, error?: Error): void {
    this.#flushing = false;
    for (const told of group.told) told(error);
    if (this.#pending.told.length > 0 && !this.#flushing) this.#flush();
    if (this.#flushing) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  /**
   * Refuses the group and everything that waits behind it: those events have numbers that follow the group's.
   * Numbers and offsets go on from the last stored event, so that the log has no hole.
   */
  #fail(group: Group, error: Error): void {
    const waiting = this.#pending;
    this.#pending = emptyGroup();
    const segment = this.#segments.at(-1)!;
    this.#nextSequence = this.#flushedSequence;
    this.#nextOffset = segment.baseOffset + segment.size;
    for (const mark of [...group.marks, ...waiting.marks].reverse()) this.producers.takeBack(mark);
    this.#file.fail(error);
    const isFit = this.#file.isFit(segment.size);
    this.#noteFailure(error, isFit ? undefined : this.#file.reason);
    const told = [...group.told, ...waiting.told];
    this.#refused += told.length;
    const text = "The event could not be stored; see the server's log. Try again later.";
    this.#settle({ ...group, told }, new AppendError(text, { cause: error }));
  }

  /** One line for each outage, and one at its end: a full disk would fill the log too. */
  #noteFailure(error: Error, unfit: Error | undefined): void {
    if (this.#refused > 0) return;
    const cut = unfit ? ` Nor can it be cut back to its last good end (${unfit.message}).` : "";
    this.#options.log(
      "error",
      `${this.#file.path} can't be written (${error.message}).${cut} Senders are told to try again until it ` +
        "can: make room on the disk, or see to it.",
    );
  }

  #noteSuccess(): void {
    if (this.#refused === 0) return;
    this.#options.log("info", `${this.#file.path} is written again; ${this.#refused} sends were refused`);
    this.#refused = 0;
  }

  #rollIfNeeded(): void {
    const active = this.#segments.at(-1)!;
    if (active.size === 0) return;
    const old = Date.now() - active.firstTime > this.#options.retentionMs / 8;
    if (active.size >= this.#options.segmentBytes || old) this.#roll();
  }

  #roll(): void {
    const next = emptySegment(this.#folder, this.#flushedSequence, this.endOffset);
    const file = this.#openFile(next);
    try {
      syncPath(this.#folder);
    } catch (error) {
      file.close();
      // The old file may grow past the new one's name, and the next start would miss what lies between.
      rmSync(next.path, { force: true });
      throw error;
    }
    this.#file.close();
    this.#file = file;
    this.#segments.push(next);
  }

  /**
   * The event with this sequence number, or the next one that retention has kept. Undefined when it isn't
   * flushed yet. Throws CorruptDataError.
   */
  read(sequenceNumber: number): StoredEvent | undefined {
    const wanted = Math.max(sequenceNumber, this.firstSequence);
    if (wanted >= this.#flushedSequence) return undefined;
    const recent = this.#tail.get(wanted);
    if (recent) return recent;
    const segment = this.#segments[lastAtMost(this.#segments, (each) => each.baseSequence, wanted)]!;
    const index = lastAtMost(segment.blocks, (each) => each.sequenceNumber, wanted);
    const events = this.#block(segment, index);
    return events[wanted - events[0]!.sequenceNumber];
  }

  /**
   * The first sequence number whose event passes, or the end when none does. All events after one that passes
   * must pass too.
   */
  firstWhere(passes: (event: { offset: number; enqueuedTime: number }) => boolean): number {
    let low = this.firstSequence;
    let high = this.#flushedSequence;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (passes(this.read(middle)!)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #block(segment: Segment, index: number): StoredEvent[] {
    const key = `${segment.baseSequence}/${index}`;
    const known = this.#blocks.get(key);
    if (known) return known;
    const events = readBlock(segment, index);
    // The last block of the newest segment still grows.
    if (index === segment.blocks.length - 1 && segment === this.#segments.at(-1)) return events;
    this.#blocks.set(key, events);
    if (this.#blocks.size > MAX_CACHED_BLOCKS) this.#blocks.delete(this.#blocks.keys().next().value!);
    return events;
  }

  /**
   * Deletes the segments whose newest event is older than the retention. The newest segment always stays a
   * file. `ago` says which moment lies a duration back, of the time that counts.
   */
  expire(ago: (duration: number) => number = (duration) => Date.now() - duration): void {
    const cutoff = ago(this.#options.retentionMs);
    // First, because a full disk lets no new segment be made.
    this.#deleteBefore(cutoff);
    const busy = this.#flushing || this.#pending.told.length > 0 || this.#file.reason !== undefined;
    const active = this.#segments.at(-1)!;
    if (busy || active.size === 0 || active.lastTime >= cutoff) return;
    this.#roll();
    this.#deleteBefore(cutoff);
  }

  #deleteBefore(cutoff: number): void {
    while (this.#segments.length > 1 && this.#segments[0]!.lastTime < cutoff) {
      const [oldest, next] = this.#segments as [Segment, Segment];
      unlinkSync(oldest.path);
      this.#segments.shift();
      this.#blocks.clear();
      const hours = this.#options.retentionMs / 3_600_000;
      this.#options.log(
        "info",
        `${oldest.path}: deleted with its events ${oldest.baseSequence} to ${next.baseSequence - 1}, the ` +
          `newest of ${new Date(oldest.lastTime).toISOString()}, after ${hours} hours of running`,
      );
    }
    this.#tail.dropBefore(this.firstSequence);
  }

  /** Waits for the flush under way and closes the file. */
  async close(): Promise<void> {
    if (this.#flushing || this.#scheduled || this.#pending.told.length > 0)
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#closed = true;
    this.#file.close();
    this.#mark.close();
  }
}

function emptyGroup(): Group {
  return { buffers: [], bytes: 0, events: [], marks: [], told: [] };
}

/** The index of the last item, in rising order, whose value is at most `wanted`; 0 when there is none. */
function lastAtMost<T>(items: readonly T[], keyOf: (item: T) => number, wanted: number): number {
  let low = 0;
  let high = items.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (keyOf(items[middle]!) <= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}
