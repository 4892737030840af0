import type { Connection } from "./connection.js";
import { type ChatError, toChatError } from "./errors.js";
import { type Http, isPassing } from "./http.js";
import type { ReadMove } from "./readers.js";
import { inFront, merged, previewOf, type RoomEntry, seqOf } from "./roomEntry.js";
import { isSystem, subjectsOf } from "./systemMessages.js";
import { after, type ChatTiming, pauseAfter, sleep, spread } from "./timing.js";
import type { Message, RoomSummary } from "./types.js";

const PAGE = 100;
/** The list has this many pages at the most, with the latest rooms. */
const MOST_PAGES = 10;
/**
 * How many of the latest rooms are heard live, and of how many the client hears what the user reads on
 * another device. The service takes a hundred subscriptions on a connection, fewer with long names, and 600
 * of a user in a minute, over three devices and all reconnects.
 */
const LIVE_ROOMS = 30;
const READ_ROOMS = 10;
/** A room is heard until it has fallen this far behind the others, so that rooms don't come and go. */
const SLACK = 5;
const LAST = 2;

/** The destination on which the service tells of rooms that came or went. */
export const ROOMS = "/user/queue/rooms";

export interface RoomListOptions {
  readonly connection: Connection;
  readonly http: Http;
  readonly timing: ChatTiming;
  readonly userId: () => number | undefined;
  readonly onChange: () => void;
  /** Hears what was not expected. */
  readonly onError: (error: ChatError) => void;
}

/** A message that the user has deleted; with its `seq` where it was loaded. */
export type DeletedMessage = Pick<Message, "roomId" | "messageId"> & { readonly seq: number | undefined };

/** The user's rooms, latest activity first, kept up to date. */
export class RoomList {
  /** Another array after each change. Undefined before the list was loaded. */
  snapshot: readonly RoomSummary[] | undefined;
  #entries = new Map<number, RoomEntry>();
  readonly #heard = { messages: new Map<number, () => void>(), reads: new Map<number, () => void>() };
  #loading: Promise<void> | undefined;
  #planned: { readonly at: number; readonly end: () => void } | undefined;
  #polling: (() => void) | undefined;
  #isLive = false;
  #emitting = false;
  /** Counts the loads that have begun. */
  #loads = 0;

  readonly #options: RoomListOptions;

  constructor(options: RoomListOptions) {
    this.#options = options;
  }

  /**
   * Loads the list and keeps it live from then on. Rejects with a `ChatError` when it can't be loaded now.
   */
  async start(): Promise<readonly RoomSummary[]> {
    if (!this.#isLive) {
      this.#isLive = true;
      // The list tells what was missed without a connection.
      this.#options.connection.listen(ROOMS, { priority: 0, onJoined: () => this.refresh(0) });
    }
    if (!this.snapshot) await this.#load();
    return this.snapshot!;
  }

  /** Loads the list now and then as long as there is a connection. */
  poll(isConnected: boolean): void {
    this.#polling?.();
    if (!isConnected) return;
    this.#polling = after(this.#options.timing.pollEveryMs * (0.75 + Math.random() / 2), () => {
      this.refresh();
      this.poll(true);
    });
  }

  /**
   * Loads the list again after this time in milliseconds. Calls before then are one call, at the earliest of
   * their times.
   */
  refresh(ms = this.#options.timing.refreshAfterMs): void {
    const at = Date.now() + ms;
    if (!this.#isLive || (this.#planned && this.#planned.at <= at)) return;
    this.#planned?.end();
    const end = after(ms, () => {
      this.#planned = undefined;
      void this.#reload();
    });
    this.#planned = { at, end };
  }

  async #reload(): Promise<void> {
    for (let failures = 0; this.#isLive; failures += 1)
      try {
        // A load that began before may lack what this one is for.
        await this.#loading?.catch(() => {});
        return await this.#load();
      } catch (thrown) {
        const error = toChatError(thrown, this.#options.onError);
        // Without a connection the next one asks.
        if (!isPassing(error) || this.#options.connection.state.status !== "connected") return;
        await sleep(pauseAfter(error, failures, this.#options.timing));
      }
  }

  /** How many of the room's messages wait for the user. Undefined where the list doesn't know. */
  unread(roomId: number): number | undefined {
    return this.#entries.get(roomId)?.unread.count;
  }

  /** Whether the room is a group. Undefined where the list isn't loaded or lacks the room. Never rejects. */
  async isGroup(roomId: number): Promise<boolean | undefined> {
    if (!this.snapshot && this.#loading) await this.#loading.catch(() => {});
    const type = this.#entries.get(roomId)?.summary.type;
    return type && type === "GROUP";
  }

  /** Takes a message that came live or with a page; repeats and older ones change nothing. */
  message(message: Message): void {
    const entry = this.#entries.get(message.roomId);
    // The room isn't listed yet, or comes back to the list.
    if (!entry) {
      this.refresh();
      return;
    }
    const { roomId, seq, roomName } = message;
    const isOwn = message.senderId === this.#options.userId();
    // Sending reads.
    if (isOwn) entry.unread.read(seq);
    if (seq > entry.lastSeq) {
      // Messages in between were missed or deleted. The service knows how many of them count.
      if (seq > entry.lastSeq + 1) this.refresh();
      entry.lastSeq = seq;
      entry.heardIn = this.#loads;
      if (!isOwn && !isSystem(message)) entry.unread.add(seq, this.#loads);
      entry.summary = { ...entry.summary, lastMessage: previewOf(message) };
      if (roomName !== undefined) {
        entry.summary = { ...entry.summary, name: roomName };
        entry.namedBy = seq;
      }
      // All members ask at once.
      if (subjectsOf(message).length > 0) {
        this.refresh(this.#options.timing.refreshAfterMs + spread(entry.summary.memberCount));
      }
      this.#toFront(roomId, entry);
    }
    this.#changed();
  }

  read(roomId: number, { userId, lastReadSeq }: ReadMove): void {
    const entry = this.#entries.get(roomId);
    if (!entry || userId !== this.#options.userId()) return;
    if (!entry.unread.read(lastReadSeq)) this.refresh();
    this.#changed();
  }

  /**
   * Takes a hint that a room has another name. The messages of a room that is heard tell it in their order.
   */
  renamed(roomId: number, name: string | null, timestamp: number): void {
    const entry = this.#entries.get(roomId);
    if (!entry || this.#heard.messages.has(roomId) || timestamp <= entry.namedAt) return;
    entry.namedAt = timestamp;
    entry.namedIn = this.#loads;
    entry.summary = { ...entry.summary, name };
    this.#changed();
  }

  /** Takes a hint that a room has another picture, or none. No message tells it. */
  pictured(roomId: number, imageUrl: string | null, timestamp: number): void {
    const entry = this.#entries.get(roomId);
    if (!entry || timestamp <= entry.picturedAt) return;
    entry.picturedAt = timestamp;
    entry.picturedIn = this.#loads;
    entry.summary = { ...entry.summary, imageUrl };
    this.#changed();
  }

  /**
   * The user has deleted a message for themself: it doesn't wait any more, and the preview may be an older
   * one now.
   */
  deleted({ roomId, messageId, seq }: DeletedMessage): void {
    const entry = this.#entries.get(roomId);
    if (!entry) return;
    const isPreview = entry.summary.lastMessage?.messageId === messageId;
    if (isPreview) entry.summary = { ...entry.summary, lastMessage: null };
    if (seq !== undefined) entry.unread.remove(seq);
    if (isPreview || entry.unread.count > 0) this.refresh(0);
    this.#changed();
  }

  remove(roomId: number): void {
    if (!this.#entries.delete(roomId)) return;
    this.#changed();
  }

  #load(): Promise<void> {
    this.#loading ??= this.#loadAll()
      .catch((thrown) => Promise.reject(toChatError(thrown)))
      .finally(() => {
        this.#loading = undefined;
      });
    return this.#loading;
  }

  async #loadAll(): Promise<void> {
    this.#loads += 1;
    const load = this.#loads;
    const first = await this.#page();
    let { rooms, cursor } = first;
    for (let pages = 1; pages < MOST_PAGES && cursor !== null; pages += 1) {
      const next = await this.#page(cursor);
      rooms = [...rooms, ...next.rooms];
      cursor = next.cursor;
    }
    // A room that moved to the front during the load is on none of the pages.
    if (first.cursor !== null) rooms = inFront((await this.#page()).rooms, rooms);
    const before = this.#entries;
    this.#entries = new Map(
      rooms.map((summary) => [summary.roomId, merged(summary, before.get(summary.roomId), load)]),
    );
    // A room with a live message that its page lacks stays in front.
    const ahead = [...this.#entries].filter(
      ([id, entry]) => entry.heardIn >= load && entry.lastSeq > (seqOf(rooms, id) ?? 0),
    );
    for (const [roomId, entry] of ahead.reverse()) this.#toFront(roomId, entry);
    this.#changed();
  }

  #page(cursor?: string): Promise<{ rooms: readonly RoomSummary[]; cursor: string | null }> {
    const from = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    return this.#options.http.request("GET", `/rooms?limit=${PAGE}${from}`);
  }

  #toFront(roomId: number, entry: RoomEntry): void {
    if (this.#entries.keys().next().value === roomId) return;
    this.#entries.delete(roomId);
    this.#entries = new Map([[roomId, entry], ...this.#entries]);
  }

  #changed(): void {
    this.#hearLatest();
    this.snapshot = [...this.#entries.values()].map((entry) => {
      const unreadCount = entry.unread.count;
      if (entry.summary.unreadCount !== unreadCount) entry.summary = { ...entry.summary, unreadCount };
      return entry.summary;
    });
    if (this.#emitting) return;
    this.#emitting = true;
    queueMicrotask(() => {
      this.#emitting = false;
      this.#options.onChange();
    });
  }

  #hearLatest(): void {
    const { connection } = this.#options;
    const ids = [...this.#entries.keys()];
    // A refusal means that the user was removed, which the next list tells.
    keepUp(this.#heard.messages, ids, LIVE_ROOMS, (roomId) =>
      connection.listen(`/sub/chat/room/${roomId}`, { priority: LAST, onRefused: () => this.refresh() }),
    );
    // The next list tells what happened between this one and the subscription.
    keepUp(this.#heard.reads, ids, READ_ROOMS, (roomId) =>
      connection.listen(`/sub/chat/room/${roomId}/read`, { priority: LAST, onJoined: () => this.refresh() }),
    );
  }
}

/** Begins to hear the first `count` rooms, and ends to hear those that have fallen well behind them. */
function keepUp(
  heard: Map<number, () => void>,
  ids: readonly number[],
  count: number,
  hear: (roomId: number) => () => void,
): void {
  const kept = new Set(ids.slice(0, count + SLACK));
  for (const [roomId, end] of heard)
    if (!kept.has(roomId)) {
      end();
      heard.delete(roomId);
    }
  for (const roomId of ids.slice(0, count)) if (!heard.has(roomId)) heard.set(roomId, hear(roomId));
}
