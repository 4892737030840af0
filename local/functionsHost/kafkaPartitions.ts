import type { Place } from "./kafkaMember.js";
import type { KafkaEvent } from "./kafkaMessages.js";
import { pause } from "./retry.js";

/** Events that are being handed over. */
export interface Batch {
  readonly events: readonly KafkaEvent[];
  /** Aborts when a partition of them is lost, or the host ends: the batch is not tried again as it is. */
  readonly stop: AbortController;
  /** Partitions that were lost meanwhile: another host may read them already. */
  readonly lost: Set<number>;
  /** What comes after the events that are done. */
  readonly done: Map<number, Place>;
}

/**
 * The partitions that this host has of one topic: where each is read from next, the events that wait, the
 * batch that is being handed over, and the offsets that are to be committed.
 */
export class Partitions {
  readonly #places = new Map<number, bigint>();
  readonly #uncommitted = new Map<number, Place>();
  readonly #closing: AbortSignal;
  readonly #sleepers = new Set<() => void>();
  #waiting: KafkaEvent[] = [];
  #running: Batch | undefined;

  constructor(closing: AbortSignal) {
    this.#closing = closing;
    closing.addEventListener("abort", () => this.#running?.stop.abort());
  }

  /** The offsets to read next, of those of `partitions` that this host has. */
  placesOf(partitions: readonly number[]): Map<number, bigint> {
    const had = partitions.filter((partition) => this.#places.has(partition));
    return new Map(had.map((partition) => [partition, this.#places.get(partition)!]));
  }

  /** Sets where to read next in partitions that this host has got. */
  begin(places: ReadonlyMap<number, bigint>): void {
    for (const [partition, offset] of places) this.#places.set(partition, offset);
  }

  /** Forgets all partitions but those of `kept`, with what waits of them: they are another host's now. */
  keep(kept: ReadonlySet<number>): void {
    const lost = new Set([...this.#places.keys()].filter((partition) => !kept.has(partition)));
    for (const partition of lost) {
      this.#places.delete(partition);
      this.#uncommitted.delete(partition);
    }
    this.#waiting = this.#waiting.filter(({ partition }) => !lost.has(partition));
    if (this.#running) lose(this.#running, lost);
    this.#wake();
  }

  /** Events of a partition that have arrived, and where to read next. */
  add(partition: number, events: readonly KafkaEvent[], next: bigint): void {
    if (!this.#places.has(partition)) return;
    this.#places.set(partition, next);
    for (const event of events) this.#waiting.push(event);
    if (events.length > 0) this.#wake();
  }

  /** Resolves when fewer than `count` events wait, or `signal` aborts. */
  async room(count: number, signal: AbortSignal): Promise<void> {
    while (this.#waiting.length >= count && !signal.aborted) await this.#change(signal);
  }

  /**
   * The next events, at most `max`: what arrives in `collect` milliseconds, as the extension's listener does.
   * `undefined` when the host ends.
   */
  async take(max: number, collect: number): Promise<Batch | undefined> {
    const until = Date.now() + collect;
    for (;;) {
      if (this.#closing.aborted) return undefined;
      const left = until - Date.now();
      if (this.#waiting.length >= max || (this.#waiting.length > 0 && left <= 0)) break;
      const change = this.#change(this.#closing);
      await (left > 0 ? Promise.race([change, pause(left, this.#closing)]) : change);
    }
    const events = this.#waiting.splice(0, max);
    this.#running = { events, stop: new AbortController(), lost: new Set(), done: new Map() };
    this.#wake();
    return this.#running;
  }

  /** Marks events of a batch as done: their offsets are to be committed. */
  done(batch: Batch, events: readonly KafkaEvent[]): void {
    for (const { partition, offset, leaderEpoch } of events) {
      if (batch.lost.has(partition)) continue;
      const place = { offset: offset + 1n, leaderEpoch };
      batch.done.set(partition, place);
      this.#uncommitted.set(partition, place);
    }
  }

  /** Ends a batch. The events of it that aren't done, and that this host still has, wait before all others. */
  finish(batch: Batch): void {
    this.#running = undefined;
    const isUndone = ({ partition, offset }: KafkaEvent): boolean =>
      !batch.lost.has(partition) && offset >= (batch.done.get(partition)?.offset ?? 0n);
    this.#waiting.unshift(...batch.events.filter(isUndone));
  }

  /** The offsets to commit. */
  uncommitted(): Map<number, Place> {
    return new Map(this.#uncommitted);
  }

  /** Offsets that `uncommitted` gave and that are committed now. */
  committed(places: ReadonlyMap<number, Place>): void {
    for (const [partition, place] of places)
      if (this.#uncommitted.get(partition) === place) this.#uncommitted.delete(partition);
  }

  #change(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleepers.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#sleepers.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#sleepers]) wake();
  }
}

function lose(batch: Batch, lost: ReadonlySet<number>): void {
  for (const { partition } of batch.events) if (lost.has(partition)) batch.lost.add(partition);
  if (batch.lost.size > 0) batch.stop.abort();
}
