import { execFileSync } from "node:child_process";
import { closeSync, cpSync, lstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const BLOCK = Buffer.alloc(4_096, 1);
const UNMOUNT_MS = 10_000;
const mounted = new Set<SmallDisk>();

/** A disk in memory that has room for little, for the data of one part. */
export class SmallDisk {
  readonly folder: string;
  readonly #megabytes: number;

  /** Throws where this user may not mount. */
  constructor(folder: string, megabytes: number) {
    this.folder = folder;
    this.#megabytes = megabytes;
    mkdirSync(folder, { recursive: true });
    const options = ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder];
    execFileSync("mount", options, { stdio: "pipe", timeout: UNMOUNT_MS });
    mounted.add(this);
  }

  /** Takes all the room that is left. */
  fill(): void {
    const file = openSync(this.#filler, "w");
    try {
      const most = (this.#megabytes * 1_048_576) / BLOCK.length;
      for (let block = 0; block <= most; block += 1) writeSync(file, BLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      closeSync(file);
    }
  }

  /** Gives the room back. */
  free(): void {
    rmSync(this.#filler, { force: true });
  }

  /** What was on it is gone. A process that still uses it keeps it until it ends. */
  unmount(): void {
    if (!mounted.delete(this)) return;
    execFileSync("umount", ["--lazy", this.folder], { stdio: "pipe", timeout: UNMOUNT_MS });
  }

  /** Unmounts it, and leaves its content in its folder. */
  turnIntoFolder(): void {
    const copy = `${this.folder}.copy`;
    this.free();
    cpSync(this.folder, copy, { recursive: true, filter: (path) => !lstatSync(path).isSocket() });
    this.unmount();
    rmSync(this.folder, { recursive: true, force: true });
    renameSync(copy, this.folder);
  }

  get #filler(): string {
    return join(this.folder, "filler");
  }
}

// Also where the machine is interrupted.
process.once("exit", () => {
  for (const disk of mounted) disk.unmount();
});
