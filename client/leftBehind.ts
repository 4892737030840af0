import type { Change } from "./outboxDatabase.js";
import type { OutboxEntry } from "./types.js";

/** As it stands in `localStorage`. */
type Left = OutboxEntry & { readonly isRemoved?: boolean };

/**
 * What IndexedDB has not written down when a page is hidden or left. A page that goes away takes its open transactions with it, so
 * what they hold is put into `localStorage` in that moment, which doesn't wait for anything; the next page takes it over from there.
 */
export class LeftBehind {
  /** What pages that went away have left, and this one has taken over but not written down yet. */
  readonly #takenOver = new Set<string>();
  /** By user, where this page leaves it. */
  readonly #own = new Map<number, string>();
  /** Later pages sort behind; another one may begin in the same moment. */
  readonly #page = `${Date.now()} ${Math.random()}`;

  constructor(private readonly prefix: string) {}

  /** What was left of the user by other pages, in its order. It stays there until `leave` takes its place. */
  takeOver(userId: number): readonly Change[] {
    const own = new Set(this.#own.values());
    return this.#keys().flatMap((key) => {
      const left = read(key);
      // What was taken over before may have changed since.
      if (own.has(key) || this.#takenOver.has(key) || left.some((one) => one.userId !== userId)) return [];
      this.#takenOver.add(key);
      return left.map(({ isRemoved = false, ...entry }) => ({ entry, isRemoved }));
    });
  }

  /** Leaves all that isn't written, in the place of what was left before. */
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
      // Full, or refused to this page: then they are lost if IndexedDB does not make it.
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

/** None where somebody else has written there. */
function read(key: string): readonly Left[] {
  try {
    const left: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(left) ? left : [];
  } catch {
    return [];
  }
}
