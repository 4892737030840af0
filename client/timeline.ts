import type { Message } from "./types.js";

/** When more messages than this have come live, the older half of them goes. It can be loaded again. */
const MOST_LIVE = 5_000;
/** How many messages may wait for their predecessors. */
const MOST_AHEAD = 1_000;

/**
 * A room's messages in the order of `seq`, from the oldest loaded one to the newest. None is missing in
 * between, but for those that the user has deleted, which the history leaves out too. A message that comes
 * live before its predecessors waits.
 */
export class Timeline {
  #messages: Message[] = [];
  /** No message up to this `seq` is missing. Undefined before the first page. */
  #upTo: number | undefined;
  /** How many messages were added behind the first page. */
  #live = 0;
  readonly #ahead = new Map<number, Message>();
  /** The newest message that was ever here, also where the user has deleted it since. */
  newest: Message | undefined;
  /** Whether the history may have messages before the first one here. */
  hasOlder = true;

  get messages(): readonly Message[] {
    return this.#messages;
  }

  get upTo(): number | undefined {
    return this.#upTo;
  }

  /** The messages that wait for their predecessors, by `seq`. */
  get waiting(): readonly Message[] {
    return [...this.#ahead.values()].sort((a, b) => a.seq - b.seq);
  }

  /** The highest `seq` of a message that waits; undefined where none does. */
  get aheadTo(): number | undefined {
    return this.#ahead.size === 0 ? undefined : Math.max(...this.#ahead.keys());
  }

  /** How many messages are missing before the last one that waits. */
  get missing(): number {
    return (this.aheadTo ?? 0) > (this.#upTo ?? 0) ? this.aheadTo! - (this.#upTo ?? 0) - this.#ahead.size : 0;
  }

  /**
   * Takes a message that came live, with those that waited for it. Returns whether it is shown: it may wait,
   * or be a repeat.
   */
  add(message: Message): boolean {
    if (this.#upTo === undefined || message.seq > this.#upTo + 1) {
      this.#ahead.set(message.seq, message);
      // The history can't be had for a while. Later it has this one, too.
      if (this.#ahead.size > MOST_AHEAD) this.#ahead.delete(this.#ahead.keys().next().value!);
      return false;
    }
    if (message.seq <= this.#upTo) return false;
    this.#push(message);
    this.#absorb();
    return true;
  }

  /**
   * Begins again with the newest page of the history, the newest message first. Messages that wait and follow
   * it are kept.
   */
  start(page: readonly Message[], limit: number): void {
    this.#messages = [...page].reverse();
    this.#live = 0;
    this.#upTo = this.#messages.at(-1)?.seq ?? 0;
    this.newest = this.#messages.at(-1) ?? this.newest;
    this.hasOlder = page.length === limit;
    this.#absorb();
  }

  /**
   * Puts an older page, the newest message first, before the message with the `seq` `before`. Changes nothing and
   * returns false where that is not the first one.
   */
  prepend(page: readonly Message[], before: number, limit: number): boolean {
    if (this.#messages[0] !== undefined && this.#messages[0].seq !== before) return false;
    this.#messages = [...page].reverse().concat(this.#messages);
    this.hasOlder = page.length === limit;
    return true;
  }

  /**
   * Takes a page of the history, the oldest message first, that was asked for after `upTo`. A page that isn't
   * full holds all there is: the user has deleted what it lacks up to `known`, the last message that waited
   * when the page was asked for.
   */
  fill(page: readonly Message[], limit: number, known: number): void {
    for (const message of page) if (message.seq > (this.#upTo ?? 0)) this.#push(message);
    if (page.length < limit) this.#upTo = Math.max(this.#upTo ?? 0, known);
    this.#absorb();
  }

  /** Takes out a message that the user has deleted. */
  remove(messageId: number): void {
    this.#messages = this.#messages.filter((message) => message.messageId !== messageId);
  }

  #push(message: Message): void {
    // A new array for each change would make a long gap quadratic. `ShownMessages` copies it.
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
