import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  writevSync,
} from "node:fs";

/** What a partition does to its newest file. Passed in, so that tests can let it fail. */
export interface Disk {
  /** How many bytes were written. */
  write(file: number, buffers: readonly Buffer[]): number;
  flush(file: number, done: (error: Error | null) => void): void;
  /** Shortens the file, and returns when that is on the disk. */
  cut(file: number, size: number): void;
}

export const DISK: Disk = {
  write: (file, buffers) => writevSync(file, buffers),
  flush: fdatasync,
  cut(file, size) {
    ftruncateSync(file, size);
    fsyncSync(file);
  },
};

/** Pauses between two attempts to bring a file back. They double. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/**
 * The file that a partition appends to. After a failed write or flush nobody knows what the disk holds behind
 * the last good end: a second fdatasync may report success for pages that are lost (`man 2 fsync`, NOTES). So
 * the file is opened anew and cut back to that end before it takes anything more.
 */
export class LogFile {
  readonly path: string;
  readonly #disk: Disk;
  #file: number;
  #unfit: { reason: Error; pause: number; notBefore: number } | undefined;

  /** Opens the file, making it when missing. */
  constructor(path: string, disk: Disk) {
    this.path = path;
    this.#disk = disk;
    this.#file = openSync(path, "a");
  }

  /** Throws when not all of it could be written. */
  write(buffers: readonly Buffer[], bytes: number): void {
    const written = this.#disk.write(this.#file, buffers);
    if (written !== bytes) throw new Error(`only ${written} of ${bytes} bytes were written`);
  }

  flush(done: (error: Error | null) => void): void {
    this.#disk.flush(this.#file, done);
  }

  /** To be called when a write or a flush has failed. */
  fail(reason: Error): void {
    this.#unfit = { reason, pause: FIRST_PAUSE_MS, notBefore: 0 };
  }

  /**
   * True when the file takes more. After a failure it is first cut back to `size`, its last good end. An
   * attempt that fails is repeated by the first call after a pause.
   */
  isFit(size: number): boolean {
    const unfit = this.#unfit;
    if (!unfit) return true;
    if (performance.now() < unfit.notBefore) return false;
    try {
      this.#bringBack(size);
      this.#unfit = undefined;
      return true;
    } catch (error) {
      const pause = Math.min(unfit.pause * 2, LONGEST_PAUSE_MS);
      this.#unfit = { reason: error as Error, pause, notBefore: performance.now() + unfit.pause };
      return false;
    }
  }

  /** Why the file takes nothing. */
  get reason(): Error | undefined {
    return this.#unfit?.reason;
  }

  #bringBack(size: number): void {
    const file = openSync(this.path, constants.O_WRONLY | constants.O_APPEND);
    try {
      const found = fstatSync(file).size;
      if (found < size)
        throw new Error(`${found} bytes are left of ${size} that were stored: restore the file from a copy`);
      this.#disk.cut(file, size);
    } catch (error) {
      closeSync(file);
      throw error;
    }
    this.close();
    this.#file = file;
  }

  close(): void {
    try {
      closeSync(this.#file);
    } catch {
      // What was stored was flushed before; a full quota or a lost server is told once more here.
    }
  }
}
