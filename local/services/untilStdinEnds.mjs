/**
 * Runs a program that knows nothing of its parent, and ends it when our stdin ends. That happens even when
 * the parent is killed with SIGKILL, so no database outlives its stack. Usage: `node untilStdinEnds.mjs
 * PROGRAM [ARGUMENT...]`. Prints one line `{"pid":N}` with the program's pid, and leaves with the program's
 * exit code.
 */
import { spawn } from "node:child_process";

const KILL_AFTER_MS = 10_000;
const [program, ...args] = process.argv.slice(2);
const child = spawn(program, args, { stdio: ["ignore", 2, 2] });

let stopping = false;

/** Ends the whole group that this process leads, with all that the program started. */
function stop() {
  if (stopping) return;
  stopping = true;
  process.kill(0, "SIGTERM");
  setTimeout(() => process.kill(0, "SIGKILL"), KILL_AFTER_MS).unref();
}

child.once("spawn", () => process.stdout.write(`${JSON.stringify({ pid: child.pid })}\n`));
child.once("error", (error) => {
  console.error(`${program} cannot be run: ${error.message}`);
  process.exit(127);
});
child.once("exit", (code, signal) => {
  if (signal) console.error(`${program} was ended by ${signal}`);
  process.exit(code ?? 1);
});
process.stdin.resume();
process.stdin.once("end", stop);
process.stdin.once("error", stop);
// The parent may be gone before the line above is written.
process.stdout.on("error", stop);
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
