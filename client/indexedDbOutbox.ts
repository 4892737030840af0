import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Outbox, OutboxEntry } from "./types.js";

type Key = [userId: number, roomId: number, clientMessageId: string];

interface Schema extends DBSchema {
  entries: {
    key: Key;
    value: OutboxEntry & { readonly order: number };
    indexes: { order: [userId: number, order: number] };
  };
}

/**
 * Unsent messages in the browser's IndexedDB: they survive a reload, and are sent by whichever page of the user runs next. Two
 * pages may send the same one: the service stores it once. Where IndexedDB can't be used its calls reject, and the client goes on
 * without it.
 */
export function indexedDbOutbox(name = "nonstop-chat-outbox"): Outbox {
  const database = open(name);
  // Said by the first call instead.
  database.catch(() => {});
  const unwritten = new Unwritten(`${name} unwritten`);

  async function write(entry: OutboxEntry): Promise<void> {
    const transaction = (await database).transaction("entries", "readwrite");
    const { store } = transaction;
    const before = await store.get(keyOf(entry));
    // Not the time: several are written within a millisecond, and clocks are set back.
    const last = await store.index("order").openCursor(allOf(entry.userId), "prev");
    await store.put({ ...entry, order: before?.order ?? (last?.value.order ?? 0) + 1 });
    await transaction.done;
  }

  return {
    async load(userId) {
      await unwritten.recover(userId, write);
      const entries = await (await database).getAllFromIndex("entries", "order", allOf(userId));
      return entries.map(({ order: _, ...entry }) => entry);
    },
    async put(entry) {
      const written = unwritten.add(entry);
      await write(entry);
      written();
    },
    async remove(entry) {
      unwritten.remove(entry);
      await (await database).delete("entries", keyOf(entry));
    },
  };
}

/**
 * What IndexedDB has not written down yet. A page that goes away takes its open transactions with it, so what they hold is put into
 * `localStorage` in that moment, which doesn't wait for anything; the next page takes it over from there.
 */
class Unwritten {
  readonly #entries = new Map<string, OutboxEntry>();
  #left: string[] = [];

  constructor(private readonly prefix: string) {
    globalThis.addEventListener?.("pagehide", () => this.#leave());
    // A page that one comes back to, as it was, goes on by itself.
    globalThis.addEventListener?.("pageshow", () => {
      for (const key of this.#left.splice(0)) localStorage.removeItem(key);
    });
  }

  /** Returns what says that it is written. */
  add(entry: OutboxEntry): () => void {
    const key = JSON.stringify(keyOf(entry));
    this.#entries.set(key, entry);
    return () => {
      // A newer one may have taken its place meanwhile.
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    };
  }

  remove(entry: OutboxEntry): void {
    this.#entries.delete(JSON.stringify(keyOf(entry)));
  }

  /** Writes down what pages of the user that went away have left, in its order. */
  async recover(userId: number, write: (entry: OutboxEntry) => Promise<void>): Promise<void> {
    for (const key of this.#keys()) {
      const entries = read(key);
      if (entries.some((entry) => entry.userId !== userId)) continue;
      for (const entry of entries) await write(entry);
      localStorage.removeItem(key);
    }
  }

  #leave(): void {
    if (this.#entries.size === 0) return;
    const entries = [...this.#entries.values()];
    try {
      for (const userId of new Set(entries.map((entry) => entry.userId))) {
        // Later ones sort behind; another page may go away in the same moment.
        const key = `${this.prefix} ${Date.now()} ${Math.random()}`;
        localStorage.setItem(key, JSON.stringify(entries.filter((entry) => entry.userId === userId)));
        this.#left.push(key);
      }
    } catch {
      // Full, or refused to this page: then they are lost if IndexedDB does not make it.
    }
  }

  #keys(): readonly string[] {
    try {
      return Object.keys(localStorage)
        .filter((key) => key.startsWith(this.prefix))
        .sort();
    } catch {
      return [];
    }
  }
}

/** None where somebody else has written there. */
function read(key: string): readonly OutboxEntry[] {
  try {
    const entries: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(entries) ? entries : [];
  } catch {
    return [];
  }
}

const keyOf = ({ userId, roomId, clientMessageId }: OutboxEntry): Key => [userId, roomId, clientMessageId];

const allOf = (userId: number) => IDBKeyRange.bound([userId, 0], [userId, Number.MAX_SAFE_INTEGER]);

/** Rejects also where there is no IndexedDB at all. */
async function open(name: string): Promise<IDBPDatabase<Schema>> {
  return await openDB<Schema>(name, 1, {
    upgrade(db) {
      const entries = db.createObjectStore("entries", { keyPath: ["userId", "roomId", "clientMessageId"] });
      entries.createIndex("order", ["userId", "order"]);
    },
  });
}
