/**
 * Runs the programs of a set-up so that Ctrl+C ends both: npm, the compiler or the package manager with all
 * they started, and this process. Plain JavaScript, like the set-up.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { SetupError, say } from "./setupLock.mjs";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];
/** One Ctrl+C comes more than once: from the terminal, and passed on by npm. */
const SAME_KEYPRESS_MS = 700;
/** A program that has not ended after this time is killed. */
const PATIENCE_MS = 1_500;

/** The running program, as `{ name, patient, kill }`. */
let running;
/** The signal that ends the set-up, and when it came. */
let asked;

/**
 * Runs `work`, which calls `run`. A signal meanwhile ends the running program, and this function throws that
 * the set-up was stopped.
 */
export async function interruptible(work) {
  // A closed terminal can't be written to. That must not keep the set-up from ending in order.
  const ignore = () => {};
  process.stderr.on("error", ignore);
  for (const signal of SIGNALS) process.on(signal, interrupt);
  try {
    const result = await work();
    if (asked) throw stopped();
    return result;
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
    process.stderr.off("error", ignore);
  }
}

/**
 * Runs a program that writes to stderr, and resolves with its exit code, `undefined` when it can't be run. It
 * gets signals from us alone, unless it is `attached`: sudo knows its user by the terminal. A `patient`
 * program is only asked to end, as killing it leaves half a package. Aborting `signal` kills the program.
 */
export async function run(
  program,
  args,
  { attached = false, patient = false, name = program, signal, ...options } = {},
) {
  if (asked) throw stopped();
  if (signal?.aborted) return 1;
  const child = spawn(program, args, { stdio: ["ignore", 2, 2], ...options, detached: !attached });
  const kill = (signal) => send(attached ? child.pid : -child.pid, signal);
  running = { name, patient, kill };
  const abort = () => kill("SIGKILL");
  signal?.addEventListener("abort", abort);
  const status = await new Promise((resolve) => {
    child.once("error", () => resolve(undefined));
    child.once("exit", (code) => resolve(code ?? 1));
  });
  signal?.removeEventListener("abort", abort);
  running = undefined;
  if (!asked) return status;
  // Its children may still be there.
  if (child.pid && !attached) kill("SIGKILL");
  throw stopped();
}

function interrupt(signal) {
  const now = performance.now();
  if (asked && now - asked.at < SAME_KEYPRESS_MS) return;
  const again = asked !== undefined;
  asked ??= { signal, at: now };
  if (!running || again) {
    running?.kill("SIGKILL");
    const { message, exitCode } = stopped();
    say(message);
    process.exit(exitCode);
  }
  const { name, patient, kill } = running;
  // A new line after the terminal's ^C and npm's moving signs.
  console.error();
  say(`stopping ${name}${patient ? ", which first ends what it is at" : ""}... (Ctrl+C again kills it)`);
  // Package managers know Ctrl+C best: it ends a download, but no package that is half unpacked.
  kill(patient ? "SIGINT" : signal);
  if (!patient) setTimeout(() => kill("SIGKILL"), PATIENCE_MS).unref();
}

function stopped() {
  const error = new SetupError("stopped before all was ready: the next start goes on where this one ended");
  error.exitCode = 128 + constants.signals[asked.signal];
  return error;
}

/** The process may be gone by now, or belong to root. */
function send(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH" && error.code !== "EPERM") throw error;
  }
}
