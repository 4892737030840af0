import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB } from "idb";
import { sleep, within } from "./timing.js";
import type { OutboxEntry } from "./types.js";

type Key = [userId: number, roomId: number, clientMessageId: string];

interface Schema extends DBSchema {
  entries: {
    key: Key;
    value: OutboxEntry & { readonly order: number };
    indexes: { order: [userId: number, order: number] };
  };
}

type Database = IDBPDatabase<Schema>;
type Store = IDBPTransaction<Schema, ["entries"], "readwrite">["store"];

/** An entry that the database must have, or must not have any more. */
export interface Change {
  readonly entry: OutboxEntry;
  readonly isRemoved: boolean;
  /** It is written only where the database lacks it: another page may have written something newer. */
  readonly ifMissing?: true;
}

export interface Heard {
  /** The database was made and is empty: the first time, or because it had been deleted. */
  readonly onMade: () => void;
  /** The browser or another page has closed it, and may have deleted what was in it. */
  readonly onClosed: () => void;
}

const MOST_TRIES = 3;
/** The browser has forgotten a transaction that takes longer, as WebKit does in the background. */
const ANSWER_MS = 2_000;
const PAUSE_MS = 50;

/**
 * The IndexedDB of an outbox. Browsers close it whenever they like: WebKit in the background, all of them
 * when the site's data is deleted or another page wants a newer version. Then this opens it again and tries
 * the same once more, a few times.
 */
export class OutboxDatabase {
  #opened: Promise<Database> | undefined;

  constructor(
    private readonly name: string,
    private readonly heard: Heard,
  ) {}

  /** A user's entries in their order. */
  async read(userId: number): Promise<readonly OutboxEntry[]> {
    const entries = await this.#run((database) =>
      database.getAllFromIndex("entries", "order", allOf(userId)),
    );
    return entries.map(({ order: _, ...entry }) => entry);
  }

  /**
   * Makes all changes that there are when the transaction begins, or none. Resolves with those that are made
   * for good.
   */
  write<T extends Change>(changes: () => readonly T[]): Promise<readonly T[]> {
    return this.#run(async (database) => {
      const transaction = database.transaction("entries", "readwrite");
      // The call that fails rejects, too.
      transaction.done.catch(() => {});
      const made = changes();
      for (const change of made) await make(transaction.store, change);
      await transaction.done;
      return made;
    });
  }

  /** Rejects also where there is no IndexedDB at all. */
  async #run<T>(work: (database: Database) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      this.#opened ??= this.#open();
      const opened = this.#opened;
      try {
        return await within(ANSWER_MS, "IndexedDB did not answer", async () => work(await opened));
      } catch (error) {
        this.#forget(opened);
        if (tries === MOST_TRIES) throw error;
        await sleep(PAUSE_MS * tries);
      }
    }
  }

  #open(): Promise<Database> {
    const { onMade, onClosed } = this.heard;
    const close = () => {
      this.#forget(opened);
      onClosed();
    };
    const opened = openDatabase(this.name, { onMade, onClosed: close });
    return opened;
  }

  #forget(opened: Promise<Database>): void {
    if (this.#opened === opened) this.#opened = undefined;
    // The database closes when its transactions are done.
    opened.then(
      (database) => database.close(),
      () => {},
    );
  }
}

async function openDatabase(name: string, { onMade, onClosed }: Heard): Promise<Database> {
  return await openDB<Schema>(name, 1, {
    upgrade(database) {
      const entries = database.createObjectStore("entries", {
        keyPath: ["userId", "roomId", "clientMessageId"],
      });
      entries.createIndex("order", ["userId", "order"]);
      onMade();
    },
    // The user deletes the site's data, or a newer page has another version.
    blocking: onClosed,
    terminated: onClosed,
  });
}

async function make(store: Store, { entry, isRemoved, ifMissing }: Change): Promise<void> {
  const key = keyOf(entry);
  if (isRemoved) return store.delete(key);
  if (ifMissing && (await store.get(key))) return;
  const replaced =
    entry.replaces === undefined ? undefined : keyOf({ ...entry, clientMessageId: entry.replaces });
  const before = (await store.get(key)) ?? (replaced && (await store.get(replaced)));
  // Times would not do: several entries are written within a millisecond, and clocks are set back.
  const last = before ?? (await store.index("order").openCursor(allOf(entry.userId), "prev"))?.value;
  await store.put({ ...entry, order: before?.order ?? (last?.order ?? 0) + 1 });
  if (replaced) await store.delete(replaced);
}

const keyOf = ({ userId, roomId, clientMessageId }: OutboxEntry): Key => [userId, roomId, clientMessageId];

const allOf = (userId: number) => IDBKeyRange.bound([userId, 0], [userId, Number.MAX_SAFE_INTEGER]);
