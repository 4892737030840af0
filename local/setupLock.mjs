/**
 * Lets one set-up work at a time: `npm start` beside `npm test` must not install over each other. Plain
 * JavaScript, like the set-up.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { birth, isRunning } from "./processes.mjs";

const LOCK_WAIT_MS = 15 * 60_000;
const LOCK_MESSAGE_MS = 15_000;
/** A lock that has no owner's number for this long is of a process that died between two steps. */
const LOCK_UNOWNED_MS = 10_000;

/** The user can do something about this error. Its message is shown without a stack trace. */
export class SetupError extends Error {}

export const say = (line) => console.error(`setup: ${line}`);

/**
 * Runs `work` while no other process does so under the same lock, which is a folder. The lock of a dead
 * process is taken over. Throws a SetupError after `waitMs`.
 */
export async function withLock(folder, work, waitMs = LOCK_WAIT_MS) {
  const giveUpAt = performance.now() + waitMs;
  let saidAt = Number.NEGATIVE_INFINITY;
  while (!tryLock(folder)) {
    const now = performance.now();
    const owner = lockOwner(folder);
    if (now > giveUpAt)
      throw new SetupError(
        `process ${owner?.[0] ?? "?"} holds ${folder}: if it does nothing any more, end it, remove the folder`,
      );
    if (now - saidAt > LOCK_MESSAGE_MS) {
      say(`waiting for another set-up (process ${owner?.[0] ?? "?"})...`);
      saidAt = now;
    }
    await sleep(200);
  }
  const release = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", release);
  try {
    return await work();
  } finally {
    process.off("exit", release);
    release();
  }
}

function tryLock(folder) {
  try {
    mkdirSync(folder);
    writeFileSync(join(folder, "pid"), `${process.pid} ${birth(process.pid)}`);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST")
      throw new SetupError(`${folder} cannot be made (${error.code}): the project's folder must be writable`);
    if (isAbandoned(folder)) removeAbandoned(folder);
    return false;
  }
}

/** Moves the lock away before looking again, because another set-up may have replaced it meanwhile. */
function removeAbandoned(folder) {
  const aside = `${folder}.${process.pid}`;
  try {
    renameSync(folder, aside);
    if (!isAbandoned(aside) && !existsSync(folder)) renameSync(aside, folder);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  rmSync(aside, { recursive: true, force: true });
}

/** The process that made the lock, as `[pid, birth]`. `undefined` before it has written that. */
function lockOwner(folder) {
  try {
    const [pid, born = ""] = readFileSync(join(folder, "pid"), "utf8").split(" ");
    return Number(pid) ? [Number(pid), born] : undefined;
  } catch {
    return undefined;
  }
}

function isAbandoned(folder) {
  const owner = lockOwner(folder);
  try {
    if (owner === undefined) return Date.now() - statSync(folder).mtimeMs > LOCK_UNOWNED_MS;
    return !isRunning(...owner);
  } catch {
    // The lock was released just now.
    return false;
  }
}
