/**
 * Which process a lock or a lease belongs to, and whether that process still runs. Plain JavaScript, like the
 * set-up, which works before anything is built.
 */
import { readFileSync } from "node:fs";

/**
 * Tells a process from a later one with the same number: when it began, in clock ticks since the machine's boot,
 * and the beginning of that boot's id. "" where the system doesn't say (macOS), and for no process.
 */
export function birth(pid) {
  const { began } = stat(pid);
  return began === undefined ? "" : `${began}-${BOOT}`;
}

/**
 * Whether the process `pid` runs and began at `born`, as `birth` said then; any process with that number where
 * `born` is "". One that has ended and whose parent has not asked how (a zombie) doesn't run: in a container whose
 * first process never asks it stays listed, and can be signalled, for ever.
 */
export function isRunning(pid, born = "") {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Else, by EPERM, it runs and belongs to somebody else.
    if (error.code === "ESRCH") return false;
  }
  const { state, began } = stat(pid);
  if (began === undefined) return true;
  return !"ZXx".includes(state) && (born === "" || born === `${began}-${BOOT}` || born === began);
}

/** Ticks are counted from each boot anew, and after a power cut the same programs start in the same order. */
const BOOT = bootId();

function bootId() {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").slice(0, 8);
  } catch {
    return "";
  }
}

/** Fields 3 and 22 of /proc/PID/stat (proc_pid_stat(5)). The second, in brackets, may hold blanks and brackets. */
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0], began: fields[19] };
  } catch {
    return {};
  }
}
