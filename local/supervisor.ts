import { setTimeout as sleep } from "node:timers/promises";
import { boundLog, Child, type ChildSpec } from "./services/child.js";

/** After the first death of a minute: those who wait for the process are not kept waiting for this. */
const FIRST_PAUSE_MS = 50;
const PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
const WINDOW_MS = 60_000;
const MAX_DEATHS_IN_WINDOW = 10;
const LOG_CHECK_MS = 30_000;

export interface Watch {
  /** Gets one line for the screen. */
  say(line: string): void;
  /** A process was started, for the first time or again, or answers now. */
  onRunning(): void;
  /** The process died ten times within a minute: the supervisor tries nothing more. */
  onGivenUp(reason: string): void;
}

interface Restart {
  readonly done: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

/** Keeps one process running: when it dies unasked it is started again on the same port and data. */
export class Supervised {
  readonly spec: ChildSpec;
  readonly #watch: Watch;
  readonly #givesUp: boolean;
  #child: Child | undefined;
  #stopping: Promise<void> | undefined;
  /** The restart that somebody waits for. */
  #restart: Restart | undefined;
  /** The run that ends next was asked to end. */
  #asked = false;
  readonly #deaths: number[] = [];
  #pause = new AbortController();
  readonly #logCheck: NodeJS.Timeout;

  /**
   * With `givesUp` false a process that keeps dying is started again for ever, at most every five seconds.
   */
  constructor(spec: ChildSpec, watch: Watch, givesUp = true) {
    this.spec = spec;
    this.#watch = watch;
    this.#givesUp = givesUp;
    this.#logCheck = setInterval(() => boundLog(spec.logFile), LOG_CHECK_MS).unref();
  }

  /** Starts the process for the first time. A failure is thrown, not tried again. */
  async start(): Promise<void> {
    const child = new Child(this.spec);
    this.#child = child;
    this.#watch.onRunning();
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

  /** The pid of the present run, or of the last one. */
  get pid(): number {
    return this.#child!.pid;
  }

  /** The pids that a later start has to look for, should this process be killed. */
  get pids(): readonly number[] {
    return this.#child!.pids;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#child?.running) process.kill(this.#child.pid, signal);
  }

  /** Kills the process and all it started, at once. Nothing is started again. A `stop` waits for its end. */
  killForGood(): void {
    clearInterval(this.#logCheck);
    this.#stopping ??= Promise.resolve(this.#child?.exited).then(() => {});
    this.#pause.abort();
    this.#child?.kill("SIGKILL");
  }

  /**
   * Ends this run in an orderly way. Resolves when a later run answers, which a second call meanwhile may
   * have asked for. Throws when the service is stopped instead.
   */
  async restart(): Promise<void> {
    if (this.#stopping) throw this.#isBeingStopped();
    this.#restart ??= pendingRestart();
    const { done } = this.#restart;
    this.#asked = true;
    this.#pause.abort();
    await this.#child?.stop();
    await done;
  }

  /** Ends the process. Nothing is started again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#logCheck);
    this.#pause.abort();
    this.#restart?.reject(this.#isBeingStopped());
    await this.#child?.stop();
  }

  #isBeingStopped(): Error {
    return new Error(`${this.name} is being stopped.`);
  }

  #follow(child: Child): void {
    this.#child = child;
    this.#watch.onRunning();
    this.#restart?.resolve();
    this.#restart = undefined;
    child.exited.then((reason) => this.#startAgain(reason));
  }

  async #startAgain(reason: string): Promise<void> {
    let why = reason;
    while (await this.#mayStartAgain(why)) {
      const child = new Child(this.spec);
      this.#child = child;
      const failure = await child.ready().then(
        () => undefined,
        (error: Error) => error.message.split("\n")[0]!,
      );
      if (this.#stopping) return child.kill("SIGTERM");
      // A run that was asked to end while it started may still answer before it does.
      if (failure === undefined && !this.#asked) return this.#follow(child);
      await child.stop();
      why = failure ?? "asked to end";
    }
  }

  /**
   * Counts a death and pauses: the more deaths within a minute, the longer. False when it is time to give up.
   */
  async #mayStartAgain(why: string): Promise<boolean> {
    if (this.#stopping) return false;
    // An end that somebody asked for is no death.
    if (!this.#asked) {
      const deaths = this.#countDeath();
      if (deaths >= MAX_DEATHS_IN_WINDOW && this.#givesUp) {
        this.#watch.onGivenUp(`${this.name} ended ${deaths} times within a minute (${why})`);
        return false;
      }
      this.#watch.say(`${this.name}: ${why}, starting it again`);
      const growing = Math.min(PAUSE_MS * 2 ** (deaths - 1), LONGEST_PAUSE_MS);
      await this.#sleep(deaths === 1 ? FIRST_PAUSE_MS : growing);
    }
    this.#asked = false;
    return !this.#stopping;
  }

  #countDeath(): number {
    const now = performance.now();
    this.#deaths.push(now);
    while (now - this.#deaths[0]! > WINDOW_MS) this.#deaths.shift();
    return this.#deaths.length;
  }

  /** A stop or a restart ends the pause. */
  async #sleep(pauseMs: number): Promise<void> {
    this.#pause = new AbortController();
    await sleep(pauseMs, undefined, { signal: this.#pause.signal }).catch(() => {});
  }
}

function pendingRestart(): Restart {
  let settle: Pick<Restart, "resolve" | "reject"> | undefined;
  const done = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Not every caller waits.
  done.catch(() => {});
  return { done, ...settle! };
}
