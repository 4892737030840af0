import type { StoredEvent } from "./segment.js";

/** How many bytes of its newest events each partition keeps. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Bytes that an event costs beside its own, about. */
const OVERHEAD = 200;

/** The newest events of a partition, with sequence numbers in one row without a hole, bounded by bytes. */
export class Tail {
  #events: StoredEvent[] = [];
  #head = 0;
  #bytes = 0;

  /** Adds the next event, and drops the oldest ones when there are too many bytes. */
  push(event: StoredEvent): void {
    this.#events.push(event);
    this.#bytes += event.event.length + OVERHEAD;
    while (this.#bytes > MAX_BYTES && this.#head < this.#events.length - 1) this.#drop();
    this.#compact();
  }

  get(sequenceNumber: number): StoredEvent | undefined {
    const oldest = this.#events[this.#head];
    if (!oldest || sequenceNumber < oldest.sequenceNumber) return undefined;
    return this.#events[this.#head + sequenceNumber - oldest.sequenceNumber];
  }

  /** Drops the events that retention has deleted. */
  dropBefore(sequenceNumber: number): void {
    while (this.#head < this.#events.length && this.#events[this.#head]!.sequenceNumber < sequenceNumber)
      this.#drop();
    this.#compact();
  }

  #drop(): void {
    this.#bytes -= this.#events[this.#head]!.event.length + OVERHEAD;
    this.#head += 1;
  }

  /**
   * Dropped events stay in the array until half of it is dropped, so that dropping costs nothing on average.
   */
  #compact(): void {
    if (this.#head < 1024 && this.#head < this.#events.length) return;
    if (this.#head * 2 < this.#events.length) return;
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }
}
