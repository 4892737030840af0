/** A message that came after the service has counted, and the number of the load that was the last to begin by then. */
interface Later {
  readonly seq: number;
  readonly load: number;
}

/**
 * How many of a room's messages wait for the user. The service counts, because messages of its own and deleted ones don't; what comes
 * and is read meanwhile is added and taken away. Positions only move forward, whatever comes twice or late.
 */
export class Unread {
  #count = 0;
  /** The last message that the service has counted. */
  #upTo = 0;
  #readSeq = 0;
  #later: readonly Later[] = [];

  get count(): number {
    return this.#count + this.#later.length;
  }

  /** The service's count, of a load with this number: it knows all that came before the load began, and what isn't behind `upTo`. */
  set(count: number, upTo: number, load: number): void {
    this.#upTo = upTo;
    // It may not know yet what was read here.
    this.#count = Math.min(count, Math.max(upTo - this.#readSeq, 0));
    this.#later = this.#later.filter((one) => one.seq > upTo && one.load >= load);
  }

  /** A message of somebody else, later than all before. */
  add(seq: number, load: number): void {
    if (seq > this.#readSeq) this.#later = [...this.#later, { seq, load }];
  }

  /** A message that was deleted for the user. */
  remove(seq: number): void {
    this.#later = this.#later.filter((one) => one.seq !== seq);
  }

  /** Returns whether the count is certain then: which of the messages before `upTo` count is the service's to say. */
  read(seq: number): boolean {
    if (seq <= this.#readSeq) return true;
    this.#readSeq = seq;
    this.#later = this.#later.filter((one) => one.seq > seq);
    this.#count = Math.min(this.#count, Math.max(this.#upTo - seq, 0));
    return this.#count === 0;
  }
}
