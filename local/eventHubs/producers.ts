import type { ProducerMark } from "./record.js";

/**
 * How many idempotent producers a partition remembers. The one that was unused for longest is forgotten
 * first.
 */
const MAX_PRODUCERS = 1000;

/** Sequence numbers of idempotent producers have 32 bits, and start again at zero after this one. */
const LAST_NUMBER = 2_147_483_647;

export interface ProducerState {
  readonly id: number;
  epoch: number;
  /** The last number taken; -1 before the first. */
  last: number;
}

export type Verdict = "new" | "repeat" | "gap" | "stolen";

/** A producer as one of its links has it. */
export interface Producer {
  readonly id: number;
  readonly epoch: number;
  /** The last number taken when the link was attached; -1 before the first. */
  readonly last: number;
  /** The link is gone: it is not told of newer epochs any more. */
  detach(): void;
}

interface ProducerLink {
  readonly epoch: number;
  readonly onStolen: () => void;
}

/** The producers of a partition that number their events, so that a repeat is stored once. */
export class Producers {
  readonly #states = new Map<number, ProducerState>();
  /** The links that are attached, by the id of their producer. */
  readonly #links = new Map<number, Set<ProducerLink>>();
  // An id from before a restart must not be given out again, even when nothing was sent with it. Starting at
  // the second of the start leaves room for a thousand ids a second.
  #nextId = Math.floor(Date.now() / 1000) * 1000;

  /**
   * The producer for a link that attaches; the broker chooses what is undefined. `onStolen` is called when a
   * higher epoch of the same producer attaches. Undefined when a higher epoch has attached before.
   */
  attach(
    id: number | undefined,
    epoch: number | undefined,
    last: number | undefined,
    onStolen: () => void,
  ): Producer | undefined {
    const known = id === undefined ? undefined : this.#states.get(id);
    if (known && epoch !== undefined && epoch < known.epoch) return undefined;
    const goesOn = known && (epoch === undefined || epoch === known.epoch);
    // A higher epoch starts its own numbering.
    const state = goesOn
      ? known
      : { id: known?.id ?? id ?? this.#nextId++, epoch: epoch ?? 0, last: last ?? -1 };
    this.#keep(state);
    const link = { epoch: state.epoch, onStolen };
    this.#stealFrom(state);
    this.#addLink(state.id, link);
    const { id: given, epoch: its, last: taken } = state;
    return { id: given, epoch: its, last: taken, detach: () => this.#removeLink(given, link) };
  }

  /** Judges a batch of `count` events whose first has this mark. */
  judge(mark: ProducerMark, count: number): Verdict {
    const state = this.#states.get(mark.id);
    if (!state) return "gap";
    if (mark.epoch < state.epoch) return "stolen";
    if (mark.sequenceNumber + count - 1 <= state.last) return "repeat";
    const expected = state.last === LAST_NUMBER ? 0 : state.last + 1;
    return mark.sequenceNumber === expected ? "new" : "gap";
  }

  /** Counts a batch that was judged new and is on its way to the disk. */
  advance(mark: ProducerMark, count: number): void {
    const state = this.#states.get(mark.id);
    if (!state) return;
    state.last = mark.sequenceNumber + count - 1;
    this.#keep(state);
  }

  /**
   * Undoes the count of an event that could not be stored; of several the newest comes first. Its repeat is
   * new then, and not confirmed as one that the log has.
   */
  takeBack(mark: ProducerMark): void {
    const state = this.#states.get(mark.id);
    if (state?.epoch === mark.epoch) state.last = mark.sequenceNumber - 1;
  }

  /** Takes over what the log says was stored before a restart. */
  recover(mark: ProducerMark): void {
    this.#keep({ id: mark.id, epoch: mark.epoch, last: mark.sequenceNumber });
    this.#nextId = Math.max(this.#nextId, mark.id + 1);
  }

  #stealFrom({ id, epoch }: ProducerState): void {
    for (const older of [...(this.#links.get(id) ?? [])].filter((each) => each.epoch < epoch)) {
      this.#removeLink(id, older);
      older.onStolen();
    }
  }

  #addLink(id: number, link: ProducerLink): void {
    this.#links.set(id, (this.#links.get(id) ?? new Set()).add(link));
  }

  #removeLink(id: number, link: ProducerLink): void {
    const links = this.#links.get(id);
    links?.delete(link);
    if (links?.size === 0) this.#links.delete(id);
  }

  #keep(state: ProducerState): void {
    this.#states.delete(state.id);
    this.#states.set(state.id, state);
    if (this.#states.size > MAX_PRODUCERS) this.#states.delete(this.#states.keys().next().value!);
  }
}
