import type { ProducerMark } from "./record.js";

/** How many idempotent producers a partition remembers; the one unused for longest goes first. */
const MAX_PRODUCERS = 1000;

/** Sequence numbers of idempotent producers are 32-bit and start again at zero behind this. */
const LAST_NUMBER = 2_147_483_647;

export interface ProducerState {
  readonly id: number;
  epoch: number;
  /** The last number taken; -1 before the first. */
  last: number;
}

export type Verdict = "new" | "repeat" | "gap" | "stolen";

/** What a partition knows of the producers that number their events, so that a repeat is taken once. */
export class Producers {
  readonly #states = new Map<number, ProducerState>();
  // An id handed out before a restart must not be handed out again, even when nothing was sent with it: the second
  // of the start leaves room for a thousand ids a second.
  #nextId = Math.floor(Date.now() / 1000) * 1000;

  /** The state for a link that attaches. An undefined field is the broker's to choose. Undefined when a newer epoch has taken over. */
  attach(
    id: number | undefined,
    epoch: number | undefined,
    last: number | undefined,
  ): ProducerState | undefined {
    const known = id === undefined ? undefined : this.#states.get(id);
    if (known && epoch !== undefined && epoch < known.epoch) return undefined;
    if (known && (epoch === undefined || epoch === known.epoch)) return this.#keep(known);
    if (known) {
      // A higher epoch starts its own numbering; older links keep the replaced state and are told they are stolen.
      return this.#keep({ id: known.id, epoch: epoch ?? 0, last: last ?? -1 });
    }
    return this.#keep({ id: id ?? this.#nextId++, epoch: epoch ?? 0, last: last ?? -1 });
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

  /** Takes over what the log says was stored before a restart. */
  recover(mark: ProducerMark): void {
    this.#keep({ id: mark.id, epoch: mark.epoch, last: mark.sequenceNumber });
    this.#nextId = Math.max(this.#nextId, mark.id + 1);
  }

  #keep(state: ProducerState): ProducerState {
    this.#states.delete(state.id);
    this.#states.set(state.id, state);
    if (this.#states.size > MAX_PRODUCERS) this.#states.delete(this.#states.keys().next().value!);
    return state;
  }
}
