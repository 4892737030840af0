import { setTimeout as sleep } from "node:timers/promises";
import { boundLog, Child, type ChildSpec } from "./services/child.js";

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
const WINDOW_MS = 60_000;
const MAX_DEATHS_IN_WINDOW = 10;
const LOG_CHECK_MS = 30_000;

export interface Watch {
  /** One line for the screen. */
  say(line: string): void;
  /** A process was started, for the first time or again, or answers now. */
  onRunning(): void;
  /** The process dies again and again: nothing more is tried. */
  onGivenUp(reason: string): void;
}

/** Keeps one process running: started again on the same port and data whenever it dies without being asked to. */
export class Supervised {
  #child: Child | undefined;
  #stopping: Promise<void> | undefined;
  #restart: { resolve(): void; reject(error: Error): void } | undefined;
  readonly #deaths: number[] = [];
  readonly #cancelPause = new AbortController();
  readonly #logCheck: NodeJS.Timeout;

  constructor(
    readonly spec: ChildSpec,
    private readonly watch: Watch,
  ) {
    this.#logCheck = setInterval(() => boundLog(spec.logFile), LOG_CHECK_MS).unref();
  }

  /** Starts the process for the first time: a failure then is thrown, not tried again. */
  async start(): Promise<void> {
    const child = new Child(this.spec);
    this.#child = child;
    this.watch.onRunning();
    try {
      await child.ready();
    } catch (error) {
      clearInterval(this.#logCheck);
      await child.stop();
      throw error;
    }
    this.#follow(child);
  }

  get name(): string {
    return this.spec.name;
  }

  /** Of the run that is going on, or was the last. */
  get pid(): number {
    return this.#child!.pid;
  }

  /** All that are to be found when we are gone. */
  get pids(): readonly number[] {
    return this.#child!.pids;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#child?.running) process.kill(this.#child.pid, signal);
  }

  /** The process and all it started, at once; nothing is started again. */
  killForGood(): void {
    this.#stopping ??= Promise.resolve();
    this.#cancelPause.abort();
    this.#child?.kill("SIGKILL");
  }

  /** Ends this run in an orderly way; resolves when the next one answers, throws when the service is stopped instead. */
  async restart(): Promise<void> {
    const running = new Promise<void>((resolve, reject) => {
      this.#restart = { resolve, reject };
    });
    running.catch(() => {});
    await this.#child?.stop();
    await running;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#logCheck);
    this.#cancelPause.abort();
    this.#restart?.reject(new Error(`${this.name} is being stopped`));
    await this.#child?.stop();
  }

  #follow(child: Child): void {
    this.#child = child;
    this.watch.onRunning();
    this.#restart?.resolve();
    this.#restart = undefined;
    child.exited.then((reason) => this.#startAgain(reason));
  }

  async #startAgain(reason: string): Promise<void> {
    let why: string | undefined = reason;
    // A restart that was asked for is no death.
    if (!this.#restart && !(await this.#mayStartAgain(why))) return;
    while (!this.#stopping) {
      const child = new Child(this.spec);
      this.#child = child;
      why = await child.ready().then(
        () => undefined,
        (error: Error) => error.message.split("\n")[0]!,
      );
      if (this.#stopping) return child.kill("SIGTERM");
      if (why === undefined) return this.#follow(child);
      await child.stop();
      if (!(await this.#mayStartAgain(why))) return;
    }
  }

  /** Counts a death and pauses: the longer the more there were within a minute. False when it is time to give up. */
  async #mayStartAgain(why: string): Promise<boolean> {
    if (this.#stopping) return false;
    const now = performance.now();
    this.#deaths.push(now);
    while (now - this.#deaths[0]! > WINDOW_MS) this.#deaths.shift();
    if (this.#deaths.length >= MAX_DEATHS_IN_WINDOW) {
      this.watch.onGivenUp(`${this.name} ended ${this.#deaths.length} times within a minute (${why})`);
      return false;
    }
    this.watch.say(`${this.name}: ${why}, starting it again`);
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** (this.#deaths.length - 1), LONGEST_PAUSE_MS);
    await sleep(pause, undefined, { signal: this.#cancelPause.signal }).catch(() => {});
    return !this.#stopping;
  }
}
