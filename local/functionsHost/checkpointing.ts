/**
 * The least time between two checkpoints of a partition. What writing one costs both this process and the storage is
 * more than a small batch costs, and the next batch would wait for it.
 */
const CHECKPOINT_MS = 1_000;

/**
 * Writes the checkpoints of one partition beside its calls: one after so many batches, one at a time, the newest, and
 * no more than one a second.
 * So a host that is killed has done up to a second more than its checkpoint says, and its successor repeats that.
 * One that ends in order writes what is due.
 */
export class Checkpointing<Event> {
  readonly #frequency: number;
  readonly #write: (event: Event) => Promise<void>;
  readonly #onFailure: (error: unknown, event: Event) => void;
  #batches = 0;
  #due: Event | undefined;
  #begun = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** `onFailure` is told of a checkpoint that could not be written. The next batch tries again. */
  constructor(
    frequency: number,
    write: (event: Event) => Promise<void>,
    onFailure: (error: unknown, event: Event) => void,
  ) {
    this.#frequency = frequency;
    this.#write = write;
    this.#onFailure = onFailure;
  }

  /** A batch is done, and all up to this event. */
  done(event: Event): void {
    if (this.#isClosed) return;
    this.#batches += 1;
    if (this.#batches < this.#frequency) return;
    this.#batches = 0;
    this.#writeInTurn(event);
  }

  #writeInTurn(event: Event): void {
    this.#due = event;
    if (this.#writing || this.#timer) return;
    const wait = this.#begun + CHECKPOINT_MS - performance.now();
    if (wait <= 0) this.#begin();
    else this.#timer = setTimeout(() => this.#begin(), wait);
  }

  /** Resolves when what is due is written, or has failed once. Never rejects. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#due === undefined || this.#isClosed) return;
    this.#begin();
    await this.#writing;
  }

  /** Nothing more is written. One that is under way may still be. */
  close(): void {
    this.#isClosed = true;
    this.#due = undefined;
    clearTimeout(this.#timer);
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const event = this.#due!;
    this.#due = undefined;
    this.#begun = performance.now();
    this.#writing = this.#write(event)
      .catch((error: unknown) => {
        this.#due ??= event;
        this.#batches = this.#frequency;
        this.#onFailure(error, event);
      })
      .finally(() => {
        this.#writing = undefined;
        const next = this.#due;
        if (next !== undefined && next !== event) this.#writeInTurn(next);
      });
  }
}
