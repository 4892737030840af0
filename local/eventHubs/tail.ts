import type { StoredEvent } from "./segment.js";

/** What each partition keeps of its newest events. */
const MAX_BYTES = 4 * 1024 * 1024;

/** What an event costs beside its own bytes, about. */
const OVERHEAD = 200;

/** The newest events of a partition, in one unbroken row of sequence numbers, bounded by bytes. */
export class Tail {
  #events: StoredEvent[] = [];
  #head = 0;
  #bytes = 0;

  /** Adds the next event, and lets the oldest go when there are too many. */
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

  /** Lets go of what retention has deleted. */
  dropBefore(sequenceNumber: number): void {
    while (this.#head < this.#events.length && this.#events[this.#head]!.sequenceNumber < sequenceNumber)
      this.#drop();
    this.#compact();
  }

  #drop(): void {
    this.#bytes -= this.#events[this.#head]!.event.length + OVERHEAD;
    this.#head += 1;
  }

  /** Dropped events stay in the array until half of it is dropped, so that dropping costs nothing on average. */
  #compact(): void {
    if (this.#head < 1024 && this.#head < this.#events.length) return;
    if (this.#head * 2 < this.#events.length) return;
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }
}
