import { fullJitter } from "./async.js";
import { ChatError } from "./errors.js";

/** A call that failed sooner was no burden: its server refuses, and does not hang. */
const SILENT_MS = 1_000;
/** A server that hangs is asked whether it is back about this often, and only where somebody wants it. */
const PROBE_PAUSE_MS = 1_000;

interface BreakerOptions {
  /** In milliseconds, `performance.now()` if not said. */
  readonly now?: () => number;
  readonly answeredAt?: () => number;
}

/**
 * Keeps callers from waiting for a server that hangs: one after whose call nobody has had an answer, for a
 * second or more. Until a probe of its own is answered callers are refused at once, so that their waits don't
 * pile up (Nygard, "Release It!", circuit breaker). It is for requests, whose callers come again. Nothing that
 * was accepted may be refused.
 */
export class Breaker {
  readonly #name: string;
  readonly #probe: () => Promise<unknown>;
  readonly #now: () => number;
  readonly #othersAnsweredAt: () => number;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #isOpen = false;
  #isProbing = false;
  #nextProbe = 0;

  /**
   * `probe` asks the server for anything, and throws where it does not answer in some seconds. `answeredAt` is when
   * the server has answered somebody last who does not call through this.
   */
  constructor(name: string, probe: () => Promise<unknown>, { now, answeredAt }: BreakerOptions = {}) {
    this.#name = name;
    this.#probe = probe;
    this.#now = now ?? (() => performance.now());
    this.#othersAnsweredAt = answeredAt ?? (() => Number.NEGATIVE_INFINITY);
  }

  /**
   * Makes a call, or throws `UNAVAILABLE` without it. `isAnswer` says whether the server has answered with
   * this failure.
   */
  async run<T>(call: () => Promise<T>, isAnswer: (error: unknown) => boolean): Promise<T> {
    const result = await this.take(call, isAnswer);
    this.#answered();
    return result;
  }

  /** The same for a call whose success is no answer of the server's. */
  async take<T>(call: () => Promise<T>, isAnswer: (error: unknown) => boolean): Promise<T> {
    if (this.#isOpen) this.#refuse();
    const since = this.#now();
    try {
      return await call();
    } catch (error) {
      if (isAnswer(error)) this.#answered();
      else this.#failed(since);
      throw error;
    }
  }

  #answered(): void {
    this.#answeredAt = this.#now();
    this.#isOpen = false;
  }

  #failed(since: number): void {
    const answeredAt = Math.max(this.#answeredAt, this.#othersAnsweredAt());
    const isSilence = this.#now() - since >= SILENT_MS && answeredAt < since;
    if (!isSilence || this.#isOpen) return;
    this.#isOpen = true;
    this.#planProbe();
  }

  #refuse(): never {
    if (!this.#isProbing && this.#now() >= this.#nextProbe) void this.#ask();
    throw new ChatError("UNAVAILABLE", `${this.#name} does not answer right now; try again.`);
  }

  /** Half open: one probe at a time. Never rejects. */
  async #ask(): Promise<void> {
    this.#isProbing = true;
    try {
      await this.#probe();
      this.#answered();
    } catch {
      this.#planProbe();
    } finally {
      this.#isProbing = false;
    }
  }

  /** Processes that lost the same server don't ask for it in step. */
  #planProbe(): void {
    this.#nextProbe = this.#now() + fullJitter(PROBE_PAUSE_MS);
  }
}
