/** After a failure no call is let through for this long. */
const OPEN_MS = 500;

/** One call that was let through. Its caller says how the call went. */
export interface Attempt {
  /** Whether it only finds out if the server is back. */
  readonly isProbe: boolean;
  answered(): void;
  failed(error: unknown): void;
}

/**
 * Keeps calls away from a server that failed: for half a second all of them, then all but one at a time,
 * until one is answered.
 */
export class Circuit {
  readonly #now: () => number;
  #openUntil: number | undefined;
  #isProbing = false;
  #why: unknown;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The server's last failure. */
  get why(): unknown {
    return this.#why;
  }

  /**
   * Lets a call through, or answers nothing. The caller of a call that is let through must say how the call
   * went.
   */
  attempt(): Attempt | undefined {
    const isProbe = this.#openUntil !== undefined;
    if (isProbe && (this.#isProbing || this.#now() < this.#openUntil!)) return undefined;
    this.#isProbing ||= isProbe;
    return {
      isProbe,
      answered: () => this.#answered(isProbe),
      failed: (error) => this.#failed(error, isProbe),
    };
  }

  #answered(isProbe: boolean): void {
    if (isProbe) this.#isProbing = false;
    this.#openUntil = undefined;
  }

  #failed(error: unknown, isProbe: boolean): void {
    if (isProbe) this.#isProbing = false;
    this.#openUntil = this.#now() + OPEN_MS;
    this.#why = error;
  }
}
