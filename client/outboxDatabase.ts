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
}

export interface Heard {
  /** It was made and is empty: the first time, or because it had been deleted. */
  readonly onMade: () => void;
  /** It was closed behind our back: what was in it may be there no more. */
  readonly onClosed: () => void;
}

const MOST_TRIES = 3;
/** A transaction that takes longer was forgotten by the browser: WebKit does so in the background. */
const ANSWER_MS = 2_000;
const PAUSE_MS = 50;

/**
 * The IndexedDB of an outbox. Browsers close it whenever they like: WebKit in the background, all of them when the site's data is
 * deleted or another page wants a newer version. Then it is opened anew and the same is done once more, a few times.
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

  /** Makes all the changes there are when it comes to it, or none; resolves with those that are made for good. */
  write<T extends Change>(changes: () => readonly T[]): Promise<readonly T[]> {
    return this.#run(async (database) => {
      const transaction = database.transaction("entries", "readwrite");
      // Whatever fails says so by itself, too.
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
    // It lets go of it when what it is about is done, so that nobody waits for it, and nothing gets into disorder.
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
    // Somebody wants to delete it, or a newer page has another version.
    blocking: onClosed,
    terminated: onClosed,
  });
}

async function make(store: Store, { entry, isRemoved }: Change): Promise<void> {
  const key = keyOf(entry);
  if (isRemoved) return store.delete(key);
  const replaced =
    entry.replaces === undefined ? undefined : keyOf({ ...entry, clientMessageId: entry.replaces });
  const before = (await store.get(key)) ?? (replaced && (await store.get(replaced)));
  // Not the time: several are written within a millisecond, and clocks are set back.
  const last = before ?? (await store.index("order").openCursor(allOf(entry.userId), "prev"))?.value;
  await store.put({ ...entry, order: before?.order ?? (last?.order ?? 0) + 1 });
  if (replaced) await store.delete(replaced);
}

const keyOf = ({ userId, roomId, clientMessageId }: OutboxEntry): Key => [userId, roomId, clientMessageId];

const allOf = (userId: number) => IDBKeyRange.bound([userId, 0], [userId, Number.MAX_SAFE_INTEGER]);
