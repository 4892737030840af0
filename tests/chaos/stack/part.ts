import { setTimeout as sleep } from "node:timers/promises";
import { boundLog, Child, type ChildSpec } from "../../../local/services/child.js";
import { between, type Random } from "../random.js";

const START_MS = 180_000;
const PAUSE_MS = [200, 1_500] as const;

/**
 * One process of the stack with its supervisor: when it ends unasked it is started again after a pause that
 * the seed decides.
 */
export class Part {
  readonly name: string;
  /** How it is run the next time. */
  spec: ChildSpec;
  /** How often it ended unasked, and how often a fault ended it. */
  deaths = 0;
  readonly #random: Random;
  readonly #say: (line: string) => void;
  #child: Child | undefined;
  #isReady = false;
  #isWanted = false;
  #loop: Promise<void> | undefined;
  /** Ends a pause between two starts. */
  #wake = new AbortController();

  constructor(spec: ChildSpec, random: Random, say: (line: string) => void) {
    this.name = spec.name;
    this.spec = spec;
    this.#random = random;
    this.#say = say;
  }

  /** True while it answers, as far as is known. */
  get isUp(): boolean {
    return this.#isReady && this.#child?.running === true;
  }

  /** Starts it, or has it started, and resolves when it answers. Throws when that takes three minutes. */
  async up(): Promise<void> {
    this.#isWanted = true;
    this.#wake.abort();
    this.#loop ??= this.#keepRunning().finally(() => {
      this.#loop = undefined;
    });
    const end = performance.now() + START_MS;
    while (!this.isUp) {
      if (performance.now() > end) throw new Error(`${this.name} doesn't start, see ${this.spec.logFile}`);
      await sleep(50);
    }
  }

  /** Ends it by a signal to all its processes. It stays down until `up`. */
  async down(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    this.#isWanted = false;
    this.#wake.abort();
    if (signal === "SIGKILL") this.signal("SIGKILL");
    else await this.#child?.stop();
    await this.#loop;
  }

  /** Sends a signal to all its processes. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async #keepRunning(): Promise<void> {
    while (this.#isWanted) {
      boundLogOf(this.spec);
      const child = new Child(this.spec);
      this.#child = child;
      const failure = await child.ready().then(
        () => undefined,
        (error: Error) => error,
      );
      this.#isReady = failure === undefined;
      if (failure) await child.stop();
      const reason = failure?.message.split("\n")[0] ?? (await child.exited);
      this.#isReady = false;
      this.deaths += 1;
      if (!this.#isWanted) return;
      this.#say(`${this.name}: ${reason}, starting it again`);
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    this.#wake = new AbortController();
    const ms = between(this.#random, ...PAUSE_MS);
    await sleep(ms, undefined, { signal: this.#wake.signal }).catch(() => {});
  }
}

function boundLogOf({ logFile }: ChildSpec): void {
  try {
    boundLog(logFile);
  } catch {
    // It is not there before the first start.
  }
}
