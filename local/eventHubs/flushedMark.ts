import { closeSync, constants, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

const DIGITS = 16;

/** A write after each flush would be one more call for each send. The mark need not be the newest. */
const WRITE_AFTER_MS = 50;

/**
 * The end of what a partition has confirmed, in a file beside its segments. It is written soon after a flush
 * and not flushed itself: a killed process leaves one of the last, a power cut an older one. So what lies
 * before the mark was confirmed, and what lies behind it may have been.
 */
export class FlushedMark {
  readonly #path: string;
  #file: number | undefined;
  #latest = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What the file said when it was opened; 0 when it said nothing. */
  readonly found: number;

  constructor(folder: string) {
    this.#path = join(folder, "flushed");
    this.found = read(this.#path);
  }

  /** Never throws: without a new mark the old one is still true. */
  note(offset: number): void {
    this.#latest = offset;
    this.#timer ??= setTimeout(() => this.#writeLatest(), WRITE_AFTER_MS).unref();
  }

  #writeLatest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#write(this.#latest);
    } catch {
      // See `note`.
    }
  }

  /** Sets the mark to where a log really ends. One behind that end must not come back with a power cut. */
  reset(offset: number): void {
    fsyncSync(this.#write(offset));
  }

  #write(offset: number): number {
    this.#file ??= openSync(this.#path, constants.O_WRONLY | constants.O_CREAT);
    writeSync(this.#file, String(offset).padStart(DIGITS, "0"), 0, "latin1");
    return this.#file;
  }

  close(): void {
    if (this.#timer) this.#writeLatest();
    if (this.#file !== undefined) closeSync(this.#file);
  }
}

function read(path: string): number {
  try {
    const text = readFileSync(path, "latin1");
    return /^\d{16}$/.test(text) ? Number(text) : 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
