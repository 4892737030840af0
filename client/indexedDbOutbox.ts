import { LeftBehind } from "./leftBehind.js";
import { type Change, OutboxDatabase } from "./outboxDatabase.js";
import { after, backoff, DEFAULT_TIMING } from "./timing.js";
import type { Outbox, OutboxEntry } from "./types.js";

/** After so many failures in a row nothing is tried by itself; the next call, or look at the page, begins anew. */
const MOST_FAILURES = 8;
/** Whoever closes the database has something to do with it first. */
const LOOK_AFTER_MS = 200;

/**
 * Unsent messages in the browser's IndexedDB: they survive a reload, and are sent by whichever page of the user runs next. Two
 * pages may send the same one: the service stores it once. What can't be written at once is tried again, and goes into `localStorage`
 * when the page is hidden or left. Calls reject as long as their change isn't written, and the client goes on without it.
 */
export function indexedDbOutbox(name = "nonstop-chat-outbox"): Outbox {
  const written = new Written(name);
  return {
    load: (userId) => written.load(userId),
    put: (entry) => written.change({ entry, isRemoved: false }),
    remove: (entry) => written.change({ entry, isRemoved: true }),
  };
}

/** What the database is to have, however often it is closed or deleted. */
class Written {
  /** What it lacks, each by its key, in the order in which it came. A later change of the same takes the place of an earlier one. */
  readonly #changes = new Map<string, Change>();
  /** All that this page knows to be in it: it may be deleted behind our back. */
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
      onMade: () => this.#writeAllAnew(),
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
      // What can't be written now is known all the same.
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

  /** It was made just now: what was in it is to be there again, in its order. */
  #writeAllAnew(): void {
    const later = [...this.#changes];
    this.#changes.clear();
    for (const [key, entry] of this.#entries) this.#changes.set(key, { entry, isRemoved: false });
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

  /** Resolves when all that has changed until now is written. One at a time: calls during one share the next. */
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
      this.#isUncertain = false;
      return [...this.#changes.values()];
    };
    try {
      this.#made(await this.#database.write(all));
    } catch (error) {
      // Where there is no room for what comes, what goes may make some.
      const removed = () => all().filter(({ isRemoved }) => isRemoved);
      if (error instanceof Error && error.name === "QuotaExceededError" && removed().length > 0)
        this.#made(await this.#database.write(removed));
      throw error;
    }
  }

  #made(changes: readonly Change[]): void {
    for (const change of changes) {
      const key = keyOf(change.entry);
      // A newer one may have taken its place meanwhile.
      if (this.#changes.get(key) === change) this.#changes.delete(key);
    }
  }

  /** A page that is hidden may be ended without another word; `pagehide` and `freeze` come too late, or never, on phones. */
  #listenToPage(): void {
    const leave = () => {
      if (this.#isUncertain) this.#writeAllAnew();
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
