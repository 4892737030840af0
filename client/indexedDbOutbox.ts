import { LeftBehind } from "./leftBehind.js";
import { type Change, OutboxDatabase } from "./outboxDatabase.js";
import { after, backoff, DEFAULT_TIMING } from "./timing.js";
import type { Outbox, OutboxEntry } from "./types.js";

/**
 * After this many failures in a row nothing is tried by itself, until the next call or until the page is
 * shown again.
 */
const MOST_FAILURES = 8;
/** A pause for the browser or page that has closed the database, and has something to do with it first. */
const LOOK_AFTER_MS = 200;

/**
 * Keeps unsent messages in the browser's IndexedDB. They survive a reload, and the next page of the user
 * sends them. Two pages may send the same one: the service stores it once. What can't be written is tried
 * again, and goes into `localStorage` when the page is hidden or left. A call rejects when its change can't
 * be written now, and the client goes on without it.
 *
 * @example
 * const client = new ChatClient({ url, token, outbox: indexedDbOutbox() });
 */
export function indexedDbOutbox(name = "nonstop-chat-outbox"): Outbox {
  const written = new Written(name);
  return {
    load: (userId) => written.load(userId),
    put: (entry) => written.change({ entry, isRemoved: false }),
    remove: (entry) => written.change({ entry, isRemoved: true }),
  };
}

/** What the database must have, however often it is closed or deleted. */
class Written {
  /**
   * What the database lacks, by key, in the order in which it came. A later change of an entry replaces an
   * earlier one.
   */
  readonly #changes = new Map<string, Change>();
  /** All that this page knows to be in the database, which the browser may delete. */
  readonly #entries = new Map<string, OutboxEntry>();
  readonly #database: OutboxDatabase;
  readonly #leftBehind: LeftBehind;
  #last: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | undefined;
  #failures = 0;
  #planned = () => {};
  /** The database was closed, and may have been deleted. */
  #isUncertain = false;

  constructor(name: string) {
    this.#database = new OutboxDatabase(name, {
      onMade: () => this.#writeAllAgain(),
      onClosed: () => this.#look(),
    });
    this.#leftBehind = new LeftBehind(`${name} unwritten`);
    this.#listenToPage();
  }

  async load(userId: number): Promise<readonly OutboxEntry[]> {
    for (const change of this.#leftBehind.takeOver(userId)) this.#take(change);
    const unwritten = [...this.#changes].filter(([, { entry }]) => entry.userId === userId);
    this.#write().catch(() => {});
    const entries = await this.#database.read(userId).catch((error) => {
      // What isn't written yet is known all the same.
      if (unwritten.length === 0) throw error;
      return [];
    });
    const loaded = new Map(entries.map((entry) => [keyOf(entry), entry]));
    for (const [key, { entry, isRemoved }] of unwritten)
      if (isRemoved) loaded.delete(key);
      else loaded.set(key, entry);
    for (const [key, entry] of loaded) this.#entries.set(key, entry);
    return [...loaded.values()];
  }

  change(change: Change): Promise<void> {
    this.#take(change);
    return this.#write();
  }

  #take(change: Change): void {
    const key = keyOf(change.entry);
    this.#changes.set(key, change);
    if (change.isRemoved) this.#entries.delete(key);
    else this.#entries.set(key, change.entry);
  }

  /**
   * The database may have been made again, by this page or another: what was in it must be there, in its
   * order.
   */
  #writeAllAgain(): void {
    const later = [...this.#changes];
    this.#changes.clear();
    for (const [key, entry] of this.#entries)
      this.#changes.set(key, { entry, isRemoved: false, ifMissing: true });
    for (const [key, change] of later) this.#changes.set(key, change);
  }

  #look(): void {
    if (this.#entries.size === 0) return;
    this.#isUncertain = true;
    this.#writeAfter(LOOK_AFTER_MS);
  }

  #writeAfter(ms: number): void {
    this.#planned();
    this.#planned = after(ms, () => void this.#write().catch(() => {}));
  }

  /**
   * Resolves when all changes until now are written. One write at a time: calls during one share the next.
   */
  #write(): Promise<void> {
    if (!this.#next) {
      this.#next = this.#last.then(() => {
        this.#next = undefined;
        return this.#writeNow();
      });
      this.#last = this.#next.catch(() => {});
    }
    return this.#next;
  }

  async #writeNow(): Promise<void> {
    this.#planned();
    if (this.#changes.size === 0 && !this.#isUncertain) return;
    try {
      await this.#writeChanges();
    } catch (error) {
      this.#failures += 1;
      if (this.#failures < MOST_FAILURES) this.#writeAfter(backoff(this.#failures, DEFAULT_TIMING));
      throw error;
    }
    this.#failures = 0;
    if (this.#changes.size === 0) this.#leftBehind.leave([]);
  }

  async #writeChanges(): Promise<void> {
    const all = () => {
      if (this.#isUncertain) this.#writeAllAgain();
      this.#isUncertain = false;
      return [...this.#changes.values()];
    };
    try {
      this.#made(await this.#database.write(all));
    } catch (error) {
      // Where there is no room for new entries, removals may make some.
      const removed = () => all().filter(({ isRemoved }) => isRemoved);
      if (error instanceof Error && error.name === "QuotaExceededError" && removed().length > 0)
        this.#made(await this.#database.write(removed));
      throw error;
    }
  }

  #made(changes: readonly Change[]): void {
    for (const change of changes) {
      const key = keyOf(change.entry);
      // A newer change may have replaced it meanwhile.
      if (this.#changes.get(key) === change) this.#changes.delete(key);
    }
  }

  /**
   * The browser may end a hidden page without another word: `pagehide` and `freeze` come too late, or never,
   * on phones.
   */
  #listenToPage(): void {
    const leave = () => {
      if (this.#isUncertain) this.#writeAllAgain();
      this.#leftBehind.leave([...this.#changes.values()]);
    };
    const comeBack = () => {
      this.#failures = 0;
      void this.#write().catch(() => {});
    };
    const { document } = globalThis;
    globalThis.addEventListener?.("pagehide", leave);
    globalThis.addEventListener?.("pageshow", comeBack);
    document?.addEventListener("freeze", leave);
    document?.addEventListener("resume", comeBack);
    document?.addEventListener("visibilitychange", () =>
      document.visibilityState === "hidden" ? leave() : comeBack(),
    );
  }
}

const keyOf = ({ userId, roomId, clientMessageId }: OutboxEntry): string =>
  JSON.stringify([userId, roomId, clientMessageId]);
