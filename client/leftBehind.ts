import type { Change } from "./outboxDatabase.js";
import type { OutboxEntry } from "./types.js";

/** A change as `localStorage` has it. */
type Left = OutboxEntry & { readonly isRemoved?: boolean };

/**
 * What IndexedDB has not written when a page is hidden or left. A page that goes away takes its open
 * transactions with it. So it puts what they hold into `localStorage`, which waits for nothing, and the next
 * page takes it over from there.
 */
export class LeftBehind {
  /** The keys that other pages have left, and that this one has taken over but not written yet. */
  readonly #takenOver = new Set<string>();
  /** The keys under which this page leaves what it has, by user. */
  readonly #own = new Map<number, string>();
  /** Later pages sort behind. The random number tells apart two that begin in the same moment. */
  readonly #page = `${Date.now()} ${Math.random()}`;

  constructor(private readonly prefix: string) {}

  /** What other pages have left for the user, in its order. It stays there until the next `leave`. */
  takeOver(userId: number): readonly Change[] {
    const own = new Set(this.#own.values());
    return this.#keys().flatMap((key) => {
      const left = read(key);
      // What this page took over before may have changed since.
      if (own.has(key) || this.#takenOver.has(key) || left.some((one) => one.userId !== userId)) return [];
      this.#takenOver.add(key);
      return left.map(({ isRemoved = false, ...entry }) => ({ entry, isRemoved }));
    });
  }

  /** Leaves all that isn't written, instead of what this page left before. */
  leave(changes: readonly Change[]): void {
    const users = new Set(changes.map(({ entry }) => entry.userId));
    try {
      for (const [userId, key] of this.#own) if (!users.has(userId)) localStorage.removeItem(key);
      for (const userId of users) {
        const key = `${this.prefix} ${this.#page} ${userId}`;
        const mine = changes.filter(({ entry }) => entry.userId === userId);
        const left: Left[] = mine.map(({ entry, isRemoved }) =>
          isRemoved ? { ...entry, isRemoved } : entry,
        );
        localStorage.setItem(key, JSON.stringify(left));
        this.#own.set(userId, key);
      }
      for (const key of this.#takenOver) localStorage.removeItem(key);
      this.#takenOver.clear();
    } catch {
      // The storage is full, or refused to this page. The changes are lost if IndexedDB does not write them
      // in time.
    }
  }

  #keys(): readonly string[] {
    try {
      return Object.keys(localStorage)
        .filter((key) => key.startsWith(`${this.prefix} `))
        .sort();
    } catch {
      return [];
    }
  }
}

/** None where another program has written there. */
function read(key: string): readonly Left[] {
  try {
    const left: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(left) ? left : [];
  } catch {
    return [];
  }
}
