import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { birth, isRunning } from "../processes.js";

/** Another process owns the data folder. */
export class LockedError extends Error {}

/**
 * Makes this process the only owner of a data folder, and returns the function that gives the folder back.
 * The lock of a dead process is taken over. Throws LockedError.
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, "lock");
  const mine = `${process.pid} ${birth(process.pid)}\n`;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      writeFileSync(path, mine, { flag: "wx" });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = ownerOf(path);
    if (owner !== undefined)
      throw new LockedError(
        `${folder} is in use by process ${owner}: stop it, or choose another data folder.`,
      );
    rmSync(path, { force: true });
  }
  throw new LockedError(`${folder} is being taken by another process: choose another data folder.`);
}

/** The pid in a lock file, when the process that wrote it still runs. */
function ownerOf(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const [pid, born] = text.trim().split(" ");
  return isRunning(Number(pid), born) ? Number(pid) : undefined;
}
