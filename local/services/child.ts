import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { projectRoot } from "../settings.js";
import { leanArgs, leanEnv } from "./nodeArgs.js";

const PROBE_PAUSE_MS = 50;
const MAX_LOG_BYTES = 10 * 1024 * 1024;
const ENDED_WELL = "exit code 0";
const WRAPPER = join(projectRoot, "local/services/untilStdinEnds.sh");

/** A process of the local stack: how to run it, and when it counts as started and as stopped. */
export interface ChildSpec {
  readonly name: string;
  /**
   * A script for this Node or, with `wrapped`, any program: the wrapper tells its pid, and ends it when this
   * process ends.
   */
  readonly program: string;
  readonly wrapped: boolean;
  readonly args: readonly string[];
  /** The Node that runs it; the one of this process if not said. */
  readonly node?: string | undefined;
  /** How much memory that Node keeps for young objects, as `leanArgs` takes it. */
  readonly semiSpaceMb?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly logFile: string;
  /**
   * Throws while the service does not answer. Without it the service counts as started once it prints a line.
   */
  readonly probe?: () => Promise<void>;
  readonly startTimeoutMs: number;
  /** The time from SIGTERM to SIGKILL. */
  readonly stopTimeoutMs: number;
  /** Called before each start. */
  readonly before?: () => void;
  /** Advice for the case that it doesn't start. */
  readonly advice?: string;
}

/**
 * One run of a process. It never outlives this process: its stdin is a pipe that ends when this process does.
 */
export class Child {
  readonly spec: ChildSpec;
  /** The first line that the process printed, like `{"ready":true,"port":7071}`. */
  report: Readonly<Record<string, unknown>> = {};
  /** Resolves when the process is gone, with the reason as text. */
  readonly exited: Promise<string>;
  #reason: string | undefined;
  readonly #process: ChildProcess;
  readonly #logStart: number;

  constructor(spec: ChildSpec) {
    this.spec = spec;
    spec.before?.();
    mkdirSync(dirname(spec.logFile), { recursive: true });
    const log = openSync(spec.logFile, "a");
    this.#logStart = boundLog(spec.logFile);
    writeSync(log, `--- ${new Date().toISOString()} ${spec.name} starts\n`);
    const [program, args] = spec.wrapped
      ? ["sh", [WRAPPER, spec.program, ...spec.args]]
      : [spec.node ?? process.execPath, [...leanArgs(spec.semiSpaceMb), spec.program, ...spec.args]];
    this.#process = spawn(program, args, {
      stdio: ["pipe", "pipe", log],
      env: { ...process.env, ...(!spec.wrapped && leanEnv()), ...spec.env },
      // The process has a group of its own: Ctrl+C reaches only us, so that the stack can stop in order.
      detached: true,
    });
    closeSync(log);
    this.#process.stdin!.on("error", () => {});
    this.exited = new Promise((resolve) => {
      const end = (reason: string) => {
        this.#reason ??= reason;
        // When only the wrapper died, its program still runs, on our port.
        this.kill("SIGKILL");
        resolve(this.#reason);
      };
      this.#process.once("error", (error) => end(`cannot be run: ${error.message}`));
      this.#process.once("exit", (code, signal) => end(signal ? `ended by ${signal}` : `exit code ${code}`));
    });
  }

  /** The pid of the service itself, not of the wrapper around it. */
  get pid(): number {
    return typeof this.report["pid"] === "number" ? this.report["pid"] : this.#process.pid!;
  }

  /** The pids of the service and of the wrapper around it. */
  get pids(): readonly number[] {
    return [...new Set([this.pid, this.#process.pid])].filter((pid) => pid !== undefined);
  }

  get running(): boolean {
    return this.#reason === undefined;
  }

  /** Resolves when the service answers. Throws the end of its log when it ends before, or takes too long. */
  async ready(): Promise<void> {
    const giveUp = AbortSignal.timeout(this.spec.startTimeoutMs);
    const tooLate = new Promise<never>((_, reject) => {
      const seconds = this.spec.startTimeoutMs / 1000;
      giveUp.onabort = () => reject(this.#failure("did not start", `does not answer after ${seconds} s`));
    });
    tooLate.catch(() => {});
    const ended = this.exited.then((reason) => Promise.reject(this.#failure("did not start", reason)));
    ended.catch(() => {});
    await Promise.race([this.#firstLine(), ended, tooLate]);
    if (this.spec.probe) await Promise.race([this.#probeUntilAnswered(giveUp), ended, tooLate]);
  }

  /**
   * Waits for a process that ends by itself. Throws the end of its log unless the exit code is 0. After
   * `startTimeoutMs`, or by `signal`, the process is stopped.
   */
  async done(signal: AbortSignal): Promise<void> {
    const enough = AbortSignal.any([signal, AbortSignal.timeout(this.spec.startTimeoutMs)]);
    const stop = () => void this.stop();
    if (enough.aborted) stop();
    enough.addEventListener("abort", stop);
    const reason = await this.exited;
    enough.removeEventListener("abort", stop);
    if (reason !== ENDED_WELL) throw this.#failure("failed", reason);
  }

  /** Sends a signal to the process and all it started. Nothing happens when they are gone. */
  kill(signal: NodeJS.Signals): void {
    if (this.#process.pid === undefined) return;
    try {
      process.kill(-this.#process.pid, signal);
    } catch (error) {
      // macOS answers EPERM for a group whose last process has just ended.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ESRCH" && code !== "EPERM") throw error;
    }
  }

  /** Asks the process to end, and kills it after `stopTimeoutMs`. */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), this.spec.stopTimeoutMs);
    await this.exited;
    clearTimeout(timer);
  }

  async #firstLine(): Promise<void> {
    const lines = createInterface({ input: this.#process.stdout! });
    await new Promise<void>((resolve) => {
      // Later lines are read and dropped: logs go to stderr, and a full pipe would block the process.
      lines.on("line", (line) => {
        const report = parseReport(line);
        if (report) this.report = report;
        if (report) resolve();
      });
    });
  }

  async #probeUntilAnswered(giveUp: AbortSignal): Promise<void> {
    while (this.running && !giveUp.aborted) {
      const answered = await this.spec.probe!().then(
        () => true,
        () => false,
      );
      if (answered) return;
      await sleep(PROBE_PAUSE_MS);
    }
  }

  #failure(what: string, reason: string): Error {
    const { name, logFile, advice } = this.spec;
    const text = `${name} ${what} (${reason}), see ${logFile}:\n${logTail(logFile, this.#logStart)}`;
    return new Error(advice === undefined ? text : `${text}\n  ${advice}`);
  }
}

/** Starts one process and waits until it answers. When this throws, the process is gone. */
export async function startChild(spec: ChildSpec): Promise<Child> {
  const child = new Child(spec);
  try {
    await child.ready();
    return child;
  } catch (error) {
    await child.stop();
    throw error;
  }
}

/**
 * Empties a log above 10 MB and keeps nothing of it, because a log is there to explain the present. Returns
 * its size in bytes.
 */
export function boundLog(file: string): number {
  const { size } = statSync(file);
  if (size <= MAX_LOG_BYTES) return size;
  truncateSync(file);
  return 0;
}

function parseReport(line: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(line);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The last lines written after `from`, indented. Of lines that MariaDB calls errors only those, because it
 * buries its reasons. Nothing where the log is gone with its folder.
 */
function logTail(file: string, from: number): string {
  if (!existsSync(file)) return "";
  const start = Math.max(from, statSync(file).size - 4096);
  const bytes = Buffer.alloc(Math.max(0, statSync(file).size - start));
  const log = openSync(file, "r");
  readSync(log, bytes, 0, bytes.length, start);
  closeSync(log);
  const lines = bytes.toString().trimEnd().split("\n");
  const errors = lines.filter((line) => line.includes("[ERROR]"));
  return (errors.length > 0 ? errors : lines)
    .slice(-8)
    .map((line) => `  ${line}`)
    .join("\n");
}
