/**
 * A message that came after the service had counted, and the number of the last load that had begun by then.
 */
interface Later {
  readonly seq: number;
  readonly load: number;
}

/**
 * How many of a room's messages wait for the user. The service counts, because its own messages and deleted
 * ones don't wait. Messages that came since are added, and those that were read since taken away. A repeat or
 * a late call changes nothing.
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

  /**
   * Takes the service's count from a load. It includes all messages before the load began, and those up to
   * `upTo`.
   */
  set(count: number, upTo: number, load: number): void {
    this.#upTo = upTo;
    // The service may not know yet what was read here.
    this.#count = Math.min(count, Math.max(upTo - this.#readSeq, 0));
    this.#later = this.#later.filter((one) => one.seq > upTo && one.load >= load);
  }

  /** Adds a message of somebody else, which is later than all before. */
  add(seq: number, load: number): void {
    if (seq > this.#readSeq) this.#later = [...this.#later, { seq, load }];
  }

  /** Takes away a message that the user has deleted. */
  remove(seq: number): void {
    this.#later = this.#later.filter((one) => one.seq !== seq);
  }

  /**
   * The user has read up to this `seq`. Returns whether the count is certain: only the service knows which
   * messages up to `upTo` wait.
   */
  read(seq: number): boolean {
    if (seq <= this.#readSeq) return true;
    this.#readSeq = seq;
    this.#later = this.#later.filter((one) => one.seq > seq);
    this.#count = Math.min(this.#count, Math.max(this.#upTo - seq, 0));
    return this.#count === 0;
  }
}
