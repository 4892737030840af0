import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Another process owns the data folder. */
export class LockedError extends Error {}

/**
 * Makes this process the only owner of a data folder, and returns the function that gives the folder back.
 * The lock of a dead process is taken over. Throws LockedError.
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, "lock");
  const mine = `${process.pid} ${startedAt(process.pid)}\n`;
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
  const [pid = 0, started = ""] = text
    .trim()
    .split(" ")
    .map((word, index) => (index === 0 ? Number(word) : word)) as [number, string];
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
  }
  // The system uses pids again. The process must also have been started when the lock's owner was.
  return startedAt(pid) === started ? pid : undefined;
}

/**
 * When a process was started, in the kernel's ticks. Without /proc it is the same word for every process. A
 * process that is dead but not reaped yet, as in containers without an init process, has no such time.
 */
function startedAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // Field 22, counted behind the name, which may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "dead" : (fields[19] ?? "unknown");
  } catch {
    return "unknown";
  }
}
