import type { Connection } from "./connection.js";
import type { ChatError } from "./errors.js";
import { type Http, isPassing } from "./http.js";
import type { ReadMove } from "./readers.js";
import { after, backoff, spread } from "./timing.js";
import type { Message, RoomSummary } from "./types.js";

const PAGE = 100;
/** Of more rooms only the latest are listed. */
const MOST_PAGES = 10;
/**
 * So many of the latest rooms are heard live, and of the first of them also what the user reads on another device. A connection
 * takes a hundred subscriptions, fewer with long names, and a user makes 600 in a minute, over three devices and all reconnects.
 */
const LIVE_ROOMS = 30;
const READ_ROOMS = 10;
/** How far behind a room may fall before it is let go, so that rooms don't come and go. */
const SLACK = 5;
const REFRESH_AFTER_MS = 300;
/** The other rooms, and whatever was missed, are asked for so often. */
const POLL_MS = 60_000;
const LAST = 2;

/** Where the service tells of rooms that came or went. */
export const ROOMS = "/user/queue/rooms";

export interface RoomListOptions {
  readonly connection: Connection;
  readonly http: Http;
  readonly userId: () => number | undefined;
  readonly onChange: () => void;
}

interface Entry {
  summary: RoomSummary;
  /** The unread count is the difference: positions only move forward, whatever comes twice or late. */
  lastSeq: number;
  readSeq: number;
}

/** The user's rooms, latest activity first, kept up to date. */
export class RoomList {
  /** Another array after each change; undefined before it was loaded. */
  snapshot: readonly RoomSummary[] | undefined;
  #entries = new Map<number, Entry>();
  readonly #heard = { messages: new Map<number, () => void>(), reads: new Map<number, () => void>() };
  #loading: Promise<void> | undefined;
  #planned: { readonly at: number; readonly end: () => void } | undefined;
  #polling: (() => void) | undefined;
  #isLive = false;
  #emitting = false;

  constructor(private readonly options: RoomListOptions) {}

  /** Loads the list and keeps it live from then on. Rejects with a `ChatError` when it can't be loaded now. */
  async start(): Promise<readonly RoomSummary[]> {
    if (!this.#isLive) {
      this.#isLive = true;
      // With it comes whatever was missed without a connection.
      this.options.connection.listen(ROOMS, { priority: 0, onJoined: () => this.refresh(0) });
    }
    if (!this.snapshot) await this.#load();
    return this.snapshot!;
  }

  /** Asks now and then as long as there is a connection. */
  poll(isConnected: boolean): void {
    this.#polling?.();
    if (!isConnected) return;
    this.#polling = after(POLL_MS * (0.75 + Math.random() / 2), () => {
      this.refresh();
      this.poll(true);
    });
  }

  /** Loads it once more, soon; calls in between are one, at the earliest of their times. */
  refresh(ms = REFRESH_AFTER_MS): void {
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
        // One that began before may lack what this one is asked for.
        await this.#loading?.catch(() => {});
        return await this.#load();
      } catch (error) {
        // Without a connection the next one asks.
        if (!isPassing(error as ChatError) || this.options.connection.state.status !== "connected") return;
        await new Promise<void>((resolve) => after(backoff(failures), resolve));
      }
  }

  /** The `seq` up to which the user has read the room. */
  readSeq(roomId: number): number | undefined {
    return this.#entries.get(roomId)?.readSeq;
  }

  /** Whether the room is a group; undefined where nobody asked for the list, or the room isn't in it. Never rejects. */
  async isGroup(roomId: number): Promise<boolean | undefined> {
    if (!this.snapshot && this.#loading) await this.#loading.catch(() => {});
    const type = this.#entries.get(roomId)?.summary.type;
    return type && type === "GROUP";
  }

  /** Takes a message that came live or with a page; repeats and older ones change nothing. */
  message(message: Message): void {
    const entry = this.#entries.get(message.roomId);
    // A room that isn't listed yet, or comes back to the list.
    if (!entry) {
      this.refresh();
      return;
    }
    if (message.senderId === this.options.userId()) entry.readSeq = Math.max(entry.readSeq, message.seq);
    if (message.seq > entry.lastSeq) {
      const { messageId, seq, content, type, sentAt, senderId } = message;
      // Those in between were missed or deleted; the service knows how many count.
      if (seq > entry.lastSeq + 1) this.refresh();
      entry.lastSeq = seq;
      entry.summary = { ...entry.summary, lastMessage: { messageId, seq, content, type, sentAt, senderId } };
      // All members do so.
      if (message.target) this.refresh(REFRESH_AFTER_MS + spread(entry.summary.memberCount));
      this.#toFront(message.roomId, entry);
    }
    this.#changed();
  }

  read(roomId: number, { userId, lastReadSeq }: ReadMove): void {
    const entry = this.#entries.get(roomId);
    if (!entry || userId !== this.options.userId() || lastReadSeq <= entry.readSeq) return;
    entry.readSeq = lastReadSeq;
    this.#changed();
  }

  /** The user deleted a message for themself: the preview may be an older one now. */
  deleted(roomId: number, messageId: number): void {
    const entry = this.#entries.get(roomId);
    if (entry?.summary.lastMessage?.messageId !== messageId) return;
    entry.summary = { ...entry.summary, lastMessage: null };
    this.refresh(0);
  }

  remove(roomId: number): void {
    if (!this.#entries.delete(roomId)) return;
    this.#changed();
  }

  #load(): Promise<void> {
    this.#loading ??= this.#loadAll().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadAll(): Promise<void> {
    const first = await this.#page();
    let { rooms, cursor } = first;
    for (let pages = 1; pages < MOST_PAGES && cursor !== null; pages += 1) {
      const next = await this.#page(cursor);
      rooms = [...rooms, ...next.rooms];
      cursor = next.cursor;
    }
    // What moved to the front meanwhile is on none of the pages.
    if (first.cursor !== null) rooms = inFront((await this.#page()).rooms, rooms);
    const before = this.#entries;
    this.#entries = new Map(
      rooms.map((summary) => [summary.roomId, merged(summary, before.get(summary.roomId))]),
    );
    // What came live meanwhile is further than the page: it stays in front.
    const ahead = [...this.#entries].filter(([id, entry]) => entry.lastSeq > (seqOf(rooms, id) ?? 0));
    for (const [roomId, entry] of ahead.reverse()) this.#toFront(roomId, entry);
    this.#changed();
  }

  #page(cursor?: string): Promise<{ rooms: readonly RoomSummary[]; cursor: string | null }> {
    const from = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    return this.options.http.request("GET", `/rooms?limit=${PAGE}${from}`);
  }

  #toFront(roomId: number, entry: Entry): void {
    if (this.#entries.keys().next().value === roomId) return;
    this.#entries.delete(roomId);
    this.#entries = new Map([[roomId, entry], ...this.#entries]);
  }

  #changed(): void {
    this.#hearLatest();
    this.snapshot = [...this.#entries.values()].map((entry) => {
      const unreadCount = Math.max(entry.lastSeq - entry.readSeq, 0);
      if (entry.summary.unreadCount !== unreadCount) entry.summary = { ...entry.summary, unreadCount };
      return entry.summary;
    });
    if (this.#emitting) return;
    this.#emitting = true;
    queueMicrotask(() => {
      this.#emitting = false;
      this.options.onChange();
    });
  }

  #hearLatest(): void {
    const { connection } = this.options;
    const ids = [...this.#entries.keys()];
    // Refused means removed meanwhile, which the next list tells.
    keepUp(this.#heard.messages, ids, LIVE_ROOMS, (roomId) =>
      connection.listen(`/sub/chat/room/${roomId}`, { priority: LAST, onRefused: () => this.refresh() }),
    );
    // What happened between the list and the subscription is in the next list.
    keepUp(this.#heard.reads, ids, READ_ROOMS, (roomId) =>
      connection.listen(`/sub/chat/room/${roomId}/read`, { priority: LAST, onJoined: () => this.refresh() }),
    );
  }
}

function inFront(first: readonly RoomSummary[], others: readonly RoomSummary[]): readonly RoomSummary[] {
  const ids = new Set(first.map(({ roomId }) => roomId));
  return [...first, ...others.filter(({ roomId }) => !ids.has(roomId))];
}

/** Begins to hear what is among the first `count`, and ends what has fallen well behind them. */
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

const seqOf = (rooms: readonly RoomSummary[], roomId: number): number | undefined =>
  rooms.find((room) => room.roomId === roomId)?.lastMessage?.seq;

/** The service's answer and what came live meanwhile: whichever is further. */
function merged(summary: RoomSummary, live: Entry | undefined): Entry {
  const lastSeq = summary.lastMessage?.seq ?? 0;
  const readSeq = lastSeq - summary.unreadCount;
  if (!live || live.lastSeq < lastSeq)
    return { summary, lastSeq, readSeq: Math.max(readSeq, live?.readSeq ?? readSeq) };
  const { lastMessage } = live.lastSeq > lastSeq && live.summary.lastMessage ? live.summary : summary;
  return {
    summary: { ...summary, lastMessage },
    lastSeq: live.lastSeq,
    readSeq: Math.max(readSeq, live.readSeq),
  };
}
