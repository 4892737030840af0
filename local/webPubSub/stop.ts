/**
 * Says once that something is to end, and why. An `AbortSignal` would do, but there are three uses of it on the way of
 * each message, and Node 20 changes the prototype of each signal that it has made, which makes all of them slow.
 */
export class Stop {
  readonly #listeners = new Set<(reason: Error) => void>();
  #reason: Error | undefined;

  /** Why it is to end; undefined as long as it is not. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  /** Only the first reason counts. Each listener is called once. */
  now(reason: string): void {
    if (this.#reason) return;
    this.#reason = new Error(reason);
    for (const listener of this.#listeners) listener(this.#reason);
    this.#listeners.clear();
  }

  /** Calls `listener` with the reason when it is to end: at once where it is to end already. */
  add(listener: (reason: Error) => void): void {
    if (this.#reason) listener(this.#reason);
    else this.#listeners.add(listener);
  }

  remove(listener: (reason: Error) => void): void {
    this.#listeners.delete(listener);
  }

  /** The same promise, which also rejects, with the reason, as soon as it is to end. */
  during<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.add(reject);
      work.then(resolve, reject).finally(() => this.remove(reject));
    });
  }
}

/** Comes after a time, with an error that says so, or earlier for another reason. */
export class TimeLimit extends Stop {
  readonly #timer: NodeJS.Timeout;

  constructor(limitMs: number) {
    super();
    this.#timer = setTimeout(() => this.now(`no answer within ${limitMs} ms`), limitMs);
  }

  /** To be called when the work is over: the time limit must not keep the process. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
