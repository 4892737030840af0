import { isSystem } from "./systemMessages.js";
import type { Timeline } from "./timeline.js";

/** What was unread when a room was opened. */
interface UnreadThen {
  /** How many messages, where the list of rooms knows it. */
  readonly count: number | undefined;
  /** In a group the id of the message up to which the user had read, where the list of members tells. */
  readonly position: number | undefined;
  /** The last `seq` of the first page. */
  readonly upTo: number;
}

/** Finds the first message that was unread when a room was opened. */
export class FirstUnread {
  /**
   * The `seq` of that message. Where it is not loaded yet this is the latest `seq` that it can have, and
   * becomes lower as older pages are loaded.
   */
  seq: number | undefined;
  /** Undefined once `seq` is certain: it stays, whatever the user deletes. */
  #then: UnreadThen | undefined;
  readonly #timeline: Timeline;
  readonly #userId: () => number | undefined;

  constructor(timeline: Timeline, userId: () => number | undefined) {
    this.#timeline = timeline;
    this.#userId = userId;
  }

  /** Looks on the first page. */
  begin(then: UnreadThen): void {
    this.#then = then;
    this.look();
  }

  /**
   * Looks again, after an older page was loaded. In a group unread messages begin behind the user's position,
   * else `count` messages back. The service's own messages don't count, so messages that are not loaded only
   * say: there, or before.
   */
  look(): void {
    if (!this.#then) return;
    const { count, position } = this.#then;
    const isByPosition = position !== undefined;
    if (count === 0 || (count === undefined && !isByPosition)) return;
    const { messages, hasOlder } = this.#timeline;
    const unread = this.#unreadOf(this.#then);
    const left = (count ?? 0) - unread.length;
    const mayBeBefore = hasOlder && left > 0 && (!isByPosition || (messages[0]?.messageId ?? 0) > position);
    this.seq = mayBeBefore ? Math.max((messages[0]?.seq ?? 0) - left, 1) : unread[0]?.seq;
    if (!mayBeBefore) this.#then = undefined;
  }

  /** The loaded messages that were unread. */
  #unreadOf({ count = 0, position, upTo }: UnreadThen) {
    const userId = this.#userId();
    const others = this.#timeline.messages.filter(
      (one) => one.seq <= upTo && one.senderId !== userId && !isSystem(one),
    );
    if (position === undefined) return others.slice(-count);
    return others.filter(({ messageId }) => messageId > position);
  }
}
