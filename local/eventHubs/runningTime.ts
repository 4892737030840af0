import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** A time in which the server did not run, in milliseconds since 1970. */
type Gap = readonly [from: number, to: number];

interface Noted {
  readonly gaps: readonly Gap[];
  /** Until when the server is known to have run. */
  readonly until: number;
}

/** Between two notes more than this beside their interval is a gap: the machine slept, or its clock was set. */
const MAX_LATE_MS = 10_000;

/** Two gaps become one above this number, together with the time between them. Events then stay for longer. */
const MAX_GAPS = 100;

/**
 * The time that a server has run, kept in a file of its data folder. Retention counts it: nobody can read
 * events while the server is down, and a server in the cloud is never down for a day.
 */
export class RunningTime {
  readonly #path: string;
  readonly #now: () => number;
  #gaps: Gap[];
  #until: number;

  /** What came before `path` was written first, or is unreadable, counts as a gap. */
  constructor(path: string, now: () => number = Date.now) {
    this.#path = path;
    this.#now = now;
    const { gaps, until } = read(path);
    this.#gaps = [...gaps];
    this.#until = until;
    this.#addGapUntil(now());
  }

  /**
   * Notes that the server runs. To be called every `interval` milliseconds. A note that can't be written is
   * made up for by the next one; without any, events stay for longer.
   */
  note(interval: number): void {
    const now = this.#now();
    const counted = interval + MAX_LATE_MS;
    if (now > this.#until + counted) {
      this.#until += interval;
      this.#addGapUntil(now);
    }
    this.#until = now;
    const text = JSON.stringify({ gaps: this.#gaps, until: this.#until } satisfies Noted);
    // Written to another file and renamed: a crash leaves the old note or the new one.
    writeFileSync(`${this.#path}.new`, text, { flush: true });
    renameSync(`${this.#path}.new`, this.#path);
  }

  /** The moment since which the server has run for `duration` milliseconds. */
  ago(duration: number): number {
    let left = duration;
    let edge = this.#now();
    for (const [from, to] of [...this.#gaps].reverse()) {
      if (edge - to >= left) break;
      left -= Math.max(0, edge - to);
      edge = Math.min(edge, from);
    }
    return edge - left;
  }

  #addGapUntil(now: number): void {
    // A clock that was set back leaves no gap: what was enqueued is younger then, and stays for longer.
    if (now > this.#until) this.#gaps.push([this.#until, now]);
    while (this.#gaps.length > MAX_GAPS) {
      const [first, second] = this.#gaps.splice(0, 2);
      this.#gaps.unshift([first![0], second![1]]);
    }
  }
}

function read(path: string): Noted {
  try {
    const noted: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (isNoted(noted)) return noted;
  } catch {
    // Missing or damaged.
  }
  return { gaps: [], until: 0 };
}

function isNoted(value: unknown): value is Noted {
  if (typeof value !== "object" || value === null || !("until" in value) || !("gaps" in value)) return false;
  const { gaps, until } = value;
  return Number.isFinite(until) && Array.isArray(gaps) && gaps.every(isGap);
}

function isGap(gap: unknown): boolean {
  return Array.isArray(gap) && gap.length === 2 && gap.every((each) => Number.isFinite(each));
}
