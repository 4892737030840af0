import type { Message } from "./types.js";

/** When more have come live beside what was loaded, the older half goes; it can be loaded again. */
const MOST_LIVE = 5_000;
/** So many wait for their predecessors. */
const MOST_AHEAD = 1_000;

/**
 * A room's messages in the order of `seq`, from the oldest loaded one to the newest, with none missing in between but
 * those that the history leaves out too (deleted by this user). What comes live before its predecessors waits.
 */
export class Timeline {
  #messages: Message[] = [];
  /** Nothing up to it is missing; undefined before the first page. */
  #upTo: number | undefined;
  /** How many came since the messages before them were loaded. */
  #live = 0;
  readonly #ahead = new Map<number, Message>();
  /** The newest message that was ever here, also if it was deleted since. */
  newest: Message | undefined;
  /** Whether the history may have messages before the first one here. */
  hasOlder = true;

  get messages(): readonly Message[] {
    return this.#messages;
  }

  get upTo(): number | undefined {
    return this.#upTo;
  }

  /** What waits for its predecessors, by `seq`. */
  get waiting(): readonly Message[] {
    return [...this.#ahead.values()].sort((a, b) => a.seq - b.seq);
  }

  /** The highest `seq` that waits for its predecessors. */
  get aheadTo(): number | undefined {
    return this.#ahead.size === 0 ? undefined : Math.max(...this.#ahead.keys());
  }

  /** How many messages are missing before the last one that waits; 0 when none waits. */
  get missing(): number {
    return (this.aheadTo ?? 0) > (this.#upTo ?? 0) ? this.aheadTo! - (this.#upTo ?? 0) - this.#ahead.size : 0;
  }

  /** Takes a message that came live. Returns whether it, and what waited for it, is shown; repeats are dropped. */
  add(message: Message): boolean {
    if (this.#upTo === undefined || message.seq > this.#upTo + 1) {
      this.#ahead.set(message.seq, message);
      // While the history can't be had; then it has this one, too.
      if (this.#ahead.size > MOST_AHEAD) this.#ahead.delete(this.#ahead.keys().next().value!);
      return false;
    }
    if (message.seq <= this.#upTo) return false;
    this.#push(message);
    this.#absorb();
    return true;
  }

  /** Begins anew with the newest page of the history, newest first; what waits and follows it is kept. */
  start(page: readonly Message[], limit: number): void {
    this.#messages = [...page].reverse();
    this.#live = 0;
    this.#upTo = this.#messages.at(-1)?.seq ?? 0;
    this.newest = this.#messages.at(-1) ?? this.newest;
    this.hasOlder = page.length === limit;
    this.#absorb();
  }

  /** Puts the page before the first message, newest first. A page for another place changes nothing. */
  prepend(page: readonly Message[], before: number, limit: number): void {
    if (this.#messages[0] !== undefined && this.#messages[0].seq !== before) return;
    this.#messages = [...page].reverse().concat(this.#messages);
    this.hasOlder = page.length === limit;
  }

  /**
   * Takes a page of the history, oldest first, that was asked for after `upTo`. A page that isn't full holds all there is: what
   * waits, up to `known` (the last that waited when it was asked), and isn't in it has been deleted.
   */
  fill(page: readonly Message[], limit: number, known: number): void {
    for (const message of page) if (message.seq > (this.#upTo ?? 0)) this.#push(message);
    if (page.length < limit) this.#upTo = Math.max(this.#upTo ?? 0, known);
    this.#absorb();
  }

  /** Takes a message out that this user has deleted. */
  remove(messageId: number): void {
    this.#messages = this.#messages.filter((message) => message.messageId !== messageId);
  }

  #push(message: Message): void {
    // A new array for each change would make a long gap quadratic; readers take a copy.
    this.#messages.push(message);
    this.newest = message;
    this.#upTo = message.seq;
    this.#live += 1;
    if (this.#live <= MOST_LIVE) return;
    this.#messages.splice(0, MOST_LIVE / 2);
    this.#live -= MOST_LIVE / 2;
    this.hasOlder = true;
  }

  #absorb(): void {
    for (const seq of this.#ahead.keys()) if (seq <= this.#upTo!) this.#ahead.delete(seq);
    for (let next = this.#ahead.get(this.#upTo! + 1); next; next = this.#ahead.get(this.#upTo! + 1)) {
      this.#ahead.delete(next.seq);
      this.#push(next);
    }
  }
}
