import { toChatError } from "./errors.js";
import { FirstUnread } from "./firstUnread.js";
import { historyPage, LARGEST_PAGE } from "./history.js";
import type { RoomReaders } from "./roomReaders.js";
import type { RoomScope } from "./roomScope.js";
import type { Timeline } from "./timeline.js";
import type { Message } from "./types.js";

const PAGE = 50;
/** Of a longer gap the client loads the newest page only, and the rest as the user scrolls up. */
const LONGEST_GAP = 200;
const MOST_OLDER_PAGES = 30;

export interface RoomHistoryOptions {
  readonly scope: RoomScope;
  readonly timeline: Timeline;
  readonly readers: RoomReaders;
  /** Whether the room is a group, as far as the list of rooms tells. */
  readonly isGroup: () => Promise<boolean | undefined>;
  /** How many messages wait for the user, if the list of rooms knows it. */
  readonly unread: () => number | undefined;
  /** Hears each message of a page that follows what was known. */
  readonly onFound: (message: Message) => void;
  /** The first page is there. */
  readonly onFirst: () => void;
}

/** Keeps a room's timeline whole: loads the first page, what was missed, and older pages. */
export class RoomHistory {
  readonly #options: RoomHistoryOptions;
  readonly #scope: RoomScope;
  readonly #timeline: Timeline;
  readonly #firstUnread: FirstUnread;
  #loading: Promise<void> | undefined;
  #older: Promise<void> | undefined;
  /** The `last-seq` of the latest SUBSCRIBE. */
  #subscribedFrom: number | undefined;
  /** A SUBSCRIBE had no `last-seq`: pages that were loaded before it may lack what came before it. */
  #isBehind = false;

  constructor(options: RoomHistoryOptions) {
    this.#options = options;
    this.#scope = options.scope;
    this.#timeline = options.timeline;
    this.#firstUnread = new FirstUnread(options.timeline, options.scope.userId);
  }

  /** The `seq` of the first message that was unread when the room was opened. */
  get unreadFrom(): number | undefined {
    return this.#firstUnread.seq;
  }

  /** The `last-seq` for a SUBSCRIBE that is about to be written. */
  subscribe(): number | undefined {
    this.#subscribedFrom = this.#timeline.upTo;
    return this.#subscribedFrom;
  }

  /** Loads what is missing: no later message is missed from now on. */
  joined(): void {
    this.#isBehind = this.#subscribedFrom === undefined;
    void this.#load();
  }

  /** Takes a message that came live. */
  take(message: Message): void {
    this.#options.readers.follow(message);
    this.#timeline.add(message);
    this.#scope.changed();
    if (this.#timeline.upTo !== undefined && this.#timeline.aheadTo !== undefined) void this.#load();
  }

  /**
   * Loads the page before the first message, or with `to` all messages from this `seq` on, up to some
   * thousand. Calls during a load share it. Rejects with a `ChatError`.
   */
  loadOlder(to?: number): Promise<void> {
    this.#older ??= this.#loadOlder(to).finally(() => {
      this.#older = undefined;
    });
    return this.#older;
  }

  /** One load at a time. */
  #load(): Promise<void> {
    this.#loading ??= this.#scope
      .persist(() => this.#loadMissing())
      .finally(() => {
        this.#loading = undefined;
      });
    return this.#loading;
  }

  async #loadMissing(): Promise<void> {
    const { isClosed } = this.#scope;
    if (this.#timeline.upTo === undefined) await this.#loadFirst();
    if (this.#isBehind) await this.#catchUp();
    while (!isClosed() && this.#timeline.aheadTo !== undefined) await this.#fillGap(this.#timeline.aheadTo);
    // The subscription was made again meanwhile.
    if (this.#isBehind && !isClosed()) await this.#loadMissing();
  }

  async #loadFirst(): Promise<void> {
    const { readers, isGroup, unread, onFirst } = this.#options;
    this.#isBehind = false;
    await readers.loadFirst(isGroup);
    this.#start(await this.#page(`limit=${PAGE}`));
    const { positions } = readers;
    this.#firstUnread.begin({
      count: unread(),
      position: positions.members && positions.positionOf(this.#scope.userId() ?? 0),
      upTo: this.#timeline.upTo ?? 0,
    });
    onFirst();
  }

  /**
   * The newest page, asked for behind the subscription, has what came before the subscription, or shows a
   * gap.
   */
  async #catchUp(): Promise<void> {
    // Before the requests: a subscription that is made again during one needs another page.
    this.#isBehind = false;
    try {
      await this.#options.readers.refresh();
      for (const message of (await this.#page(`limit=${PAGE}`)).toReversed()) {
        this.#timeline.add(message);
        this.#options.onFound(message);
      }
    } catch (error) {
      this.#isBehind = true;
      throw error;
    }
    this.#scope.changed();
  }

  /** `known` is the last message that waited when the page was asked for. */
  async #fillGap(known: number): Promise<void> {
    if (this.#timeline.missing > LONGEST_GAP) this.#start(await this.#page(`limit=${PAGE}`));
    else {
      const { readers, onFound } = this.#options;
      const page = await this.#page(`after=${this.#timeline.upTo}&limit=${LARGEST_PAGE}`);
      for (const message of page) if (message.seq > (this.#timeline.upTo ?? 0)) readers.follow(message);
      this.#timeline.fill(page, LARGEST_PAGE, known);
      for (const message of page) onFound(message);
    }
    this.#scope.changed();
  }

  #start(page: readonly Message[]): void {
    this.#timeline.start(page, PAGE);
    for (const message of page.toReversed()) this.#options.onFound(message);
  }

  async #loadOlder(to: number | undefined): Promise<void> {
    const limit = to === undefined ? PAGE : LARGEST_PAGE;
    const wantsUnread = to !== undefined && to === this.unreadFrom;
    try {
      for (let pages = 0; pages < MOST_OLDER_PAGES && !this.#scope.isClosed(); pages += 1) {
        const { messages, upTo, hasOlder } = this.#timeline;
        // The user may have deleted all messages that were loaded.
        const before = messages[0]?.seq ?? (upTo ?? 0) + 1;
        // The first unread message may turn out to be further back.
        const goal = wantsUnread ? this.unreadFrom : to;
        if (upTo === undefined || !hasOlder || (goal !== undefined && before <= goal)) return;
        const page = await this.#page(`before=${before}&limit=${limit}`);
        // The first message may have been deleted meanwhile, or the room have begun again further down.
        const isPut = this.#timeline.prepend(page, before, limit);
        this.#firstUnread.look();
        if (to === undefined && isPut) return;
      }
    } catch (thrown) {
      throw toChatError(thrown);
    } finally {
      this.#scope.changed();
    }
  }

  #page(query: string): Promise<readonly Message[]> {
    return historyPage(this.#scope.http, this.#scope.roomId, query);
  }
}
