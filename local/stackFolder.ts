import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { birth, isRunning } from "./processes.js";

/** The longest time that a service of ours takes to stop by itself, and some more. */
const LEFTOVER_WAIT_MS = 12_000;

const MEANINGS: Readonly<Record<string, string>> = {
  EACCES: "it belongs to another user",
  EPERM: "it belongs to another user",
  EROFS: "its disk is read-only",
  ENOSPC: "its disk is full",
  ENOTDIR: "it is below a file",
  EEXIST: "a file has this name",
};

interface Owner {
  readonly pid: number;
  /** Tells a process from a later one with the same number. "" where the system does not say. */
  readonly born: string;
}

/** The folder of one local stack: its data, its logs, and a lock so that no two stacks write to it. */
export class StackFolder {
  readonly path: string;
  readonly #lock: string;

  /**
   * Takes the folder, and makes it when it is missing. Throws an error that names the stack that has it, or
   * why it cannot be used.
   */
  constructor(path: string) {
    this.path = resolve(path);
    this.#lock = this.file("lock");
    try {
      makeFolder(this.file("logs"));
      this.#take();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw new Error(
        `the data folder ${this.path} cannot be used (${MEANINGS[code] ?? code}): choose another one with --data DIR`,
        {
          cause: error,
        },
      );
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  log(name: string): string {
    return this.file(`logs/${name}.log`);
  }

  /** Replaces a file in one step: readers see the old or the new content. */
  write(name: string, content: unknown): void {
    const unfinished = this.file(`${name}.unfinished`);
    writeFileSync(unfinished, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
    renameSync(unfinished, this.file(name));
  }

  /** Writes down which processes run, for a start after this process was killed. */
  writeChildren(pids: readonly number[]): void {
    this.write("children.json", pids.map(ownerOf));
  }

  /** Waits for the processes of a killed stack, which end by themselves, and kills those that do not. */
  async clearLeftovers(): Promise<void> {
    rmSync(this.file("stack.json"), { force: true });
    const leftovers = readOwners(this.file("children.json")).filter(isAlive);
    const giveUpAt = performance.now() + LEFTOVER_WAIT_MS;
    while (leftovers.some(isAlive) && performance.now() < giveUpAt) await sleep(50);
    // Without a birth time the number may be another program's by now.
    for (const { pid } of leftovers.filter((owner) => owner.born !== "" && isAlive(owner)))
      process.kill(pid, "SIGKILL");
    rmSync(this.file("children.json"), { force: true });
  }

  /** Releases the folder after a clean stop. Only data and logs stay. */
  release(): void {
    for (const name of ["stack.json", "children.json", "lock"]) rmSync(this.file(name), { force: true });
  }

  #take(): void {
    const mine = this.file(`lock.${process.pid}`);
    writeFileSync(mine, JSON.stringify([ownerOf(process.pid)]));
    try {
      for (let attempt = 0; attempt < 5; attempt += 1) {
        if (linked(mine, this.#lock)) return;
        const [owner] = readOwners(this.#lock);
        if (owner && isAlive(owner)) throw new Error(this.#taken(owner));
        this.#removeStale(owner);
      }
      throw new Error(`the lock ${this.#lock} keeps changing hands: try again`);
    } finally {
      rmSync(mine, { force: true });
    }
  }

  /**
   * Moves the lock away before looking again, because another start may have replaced it since it was read.
   */
  #removeStale(seen: Owner | undefined): void {
    const aside = this.file(`lock.${process.pid}.stale`);
    try {
      renameSync(this.#lock, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    const [moved] = readOwners(aside);
    if (moved && (moved.pid !== seen?.pid || moved.born !== seen.born)) linked(aside, this.#lock);
    rmSync(aside, { force: true });
  }

  #taken(owner: Owner): string {
    return (
      `a stack with process ${owner.pid} is running on the data folder ${this.path}: ` +
      `stop it (Ctrl+C there, or kill ${owner.pid}), or run a second one: npm start -- --ports auto --data .local-2`
    );
  }
}

/** Makes `to` with the content of `from` in one step. False when `to` exists. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function readOwners(file: string): Owner[] {
  try {
    const owners: unknown = JSON.parse(readFileSync(file, "utf8"));
    return Array.isArray(owners) ? owners.filter((owner) => Number.isInteger(owner?.pid)) : [];
  } catch {
    return [];
  }
}

function ownerOf(pid: number): Owner {
  return { pid, born: birth(pid) };
}

function isAlive({ pid, born }: Owner): boolean {
  return isRunning(pid, born);
}

/**
 * Makes a folder level by level. `recursive` never returns where a file system says that an existing parent
 * is missing, as /proc does.
 */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another start may just have made it.
    if (!existsSync(path)) throw error;
  }
}
