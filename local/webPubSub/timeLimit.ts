/** A signal that aborts after a time with an error that says so, or earlier for another reason. */
export class TimeLimit {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(limitMs: number) {
    this.#timer = setTimeout(() => this.abort(`no answer within ${limitMs} ms`), limitMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason: string): void {
    this.#controller.abort(new Error(reason));
  }

  /** To be called when the work is over: the time limit must not keep the process. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
