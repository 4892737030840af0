/**
 * One set-up at a time: `npm start` beside `npm test` must not install over each other. Plain JavaScript, like the set-up.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const LOCK_WAIT_MS = 15 * 60_000;
const LOCK_MESSAGE_MS = 15_000;
/** A lock without its owner's number for this long was left by a process that died between two steps. */
const LOCK_UNOWNED_MS = 10_000;

/** Something the user can do something about: its message is shown without a stack trace. */
export class SetupError extends Error {}

export const say = (line) => console.error(`setup: ${line}`);

/** Runs `work` while no other process does so under the same lock, which is a folder; a dead one's lock is taken over. */
export async function withLock(folder, work, waitMs = LOCK_WAIT_MS) {
  const giveUpAt = performance.now() + waitMs;
  let saidAt = Number.NEGATIVE_INFINITY;
  while (!tryLock(folder)) {
    const now = performance.now();
    const owner = lockOwner(folder);
    if (now > giveUpAt)
      throw new SetupError(
        `process ${owner ?? "?"} holds ${folder}: if it does nothing any more, end it, remove the folder`,
      );
    if (now - saidAt > LOCK_MESSAGE_MS) {
      say(`waiting for another set-up (process ${owner ?? "?"})...`);
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
    writeFileSync(join(folder, "pid"), String(process.pid));
    return true;
  } catch (error) {
    if (error.code !== "EEXIST")
      throw new SetupError(`${folder} cannot be made (${error.code}): the project's folder must be writable`);
    if (isAbandoned(folder)) removeAbandoned(folder);
    return false;
  }
}

/** Moves the lock away before looking once more: another set-up may have replaced it since. */
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

function lockOwner(folder) {
  try {
    return Number(readFileSync(join(folder, "pid"), "utf8")) || undefined;
  } catch {
    return undefined;
  }
}

function isAbandoned(folder) {
  const owner = lockOwner(folder);
  try {
    if (owner === undefined) return Date.now() - statSync(folder).mtimeMs > LOCK_UNOWNED_MS;
    process.kill(owner, 0);
    return false;
  } catch (error) {
    // ENOENT: it was released just now.
    return error.code === "ESRCH";
  }
}
