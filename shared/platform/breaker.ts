import { fullJitter } from "./async.js";
import { ChatError } from "./errors.js";

/** A call that failed sooner was no burden: its server refuses, and does not hang. */
const SILENT_MS = 1_000;
/** A server that hangs is asked whether it is back about this often, and only where somebody wants it. */
const PROBE_PAUSE_MS = 1_000;

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
  #answeredAt = Number.NEGATIVE_INFINITY;
  #isOpen = false;
  #isProbing = false;
  #nextProbe = 0;

  /** `probe` asks the server for anything, and throws where it does not answer in some seconds. */
  constructor(name: string, probe: () => Promise<unknown>, now: () => number = () => performance.now()) {
    this.#name = name;
    this.#probe = probe;
    this.#now = now;
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
    const isSilence = this.#now() - since >= SILENT_MS && this.#answeredAt < since;
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
