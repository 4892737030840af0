import type { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { ChatError, isOfRoom } from "./errors.js";
import type { Http } from "./http.js";
import { movesOf, Readers, type ReadMessage, type ReadMove } from "./readers.js";
import type { DeletedMessage } from "./roomList.js";
import type { Sender } from "./sender.js";
import { ShownMessages } from "./shownMessages.js";
import { isSystem, subjectsOf } from "./systemMessages.js";
import { Timeline } from "./timeline.js";
import { after, type ChatTiming, pauseAfter, sleep, spread } from "./timing.js";
import type { ContentType, Member, Message, MessageReaders, RoomMessage, StoredMessage } from "./types.js";

const PAGE = 50;
const GAP_PAGE = 100;
/** Of a longer gap only the newest page is loaded, and the rest as one scrolls up. */
const LONGEST_GAP = 200;
const MOST_REFRESHED_PAGES = 10;
const MOST_OLDER_PAGES = 30;
const OPEN_ROOMS_FIRST = 1;

export interface RoomOptions {
  readonly connection: Connection;
  readonly http: Http;
  readonly sender: Sender;
  readonly timing: ChatTiming;
  readonly userId: () => number | undefined;
  /** Whether it is a group, as far as the list of rooms tells. */
  readonly isGroup: () => Promise<boolean | undefined>;
  /** How many messages wait for the user, if the list of rooms knows it. */
  readonly unread: () => number | undefined;
  /** Each message of a page that follows what was known. */
  readonly onFound: (message: Message) => void;
  /** The user has read the room up to there. */
  readonly onRead: (move: ReadMove) => void;
  readonly onDeleted: (message: DeletedMessage) => void;
  readonly onClose: () => void;
}

/** An open room; `change` whenever one of its properties may have another value. Made by `ChatClient.open`. */
export class Room extends Emitter<{ change: undefined }> {
  /** `gone`: there is no such room, or one is no member (any more); see `error`. */
  status: "loading" | "ready" | "gone" = "loading";
  error: ChatError | undefined;
  /**
   * The `seq` of the first message that was unread when the room was opened. Where it is before those that are loaded it may turn out to be
   * further back, as they are loaded.
   */
  unreadFrom: number | undefined;
  /** Resolves with the first page of history; rejects with a `ChatError` when the room is gone. */
  readonly ready: Promise<void>;
  #settle!: (error?: ChatError) => void;
  readonly #timeline = new Timeline();
  readonly #readers = new Readers();
  #membersError: ChatError | undefined;
  /** What was unread when the room was opened: how many messages, and in a group behind which one, if known, and up to which `seq`. */
  #unreadThen:
    | { readonly count: number | undefined; readonly position: number | undefined; readonly upTo: number }
    | undefined;
  readonly #shown: ShownMessages;
  /** On which connection, counted, each of the two subscriptions was made. */
  #joined = { messages: 0, reads: 0 };
  #ends: (() => void)[];
  #closed = false;
  #loading: Promise<void> | undefined;
  #older: Promise<void> | undefined;
  #emitting = false;
  /** The `last-seq` of the latest SUBSCRIBE. */
  #subscribedFrom: number | undefined;
  /** A subscription was made without `last-seq`: what was loaded before it may lack what came before it. */
  #isBehind = false;
  #membersPlanned: (() => void) | undefined;
  /** Lists that were asked for, the last one taken, and changes of members that were heard. */
  readonly #memberLists = { asked: 0, taken: 0, changes: 0 };

  constructor(
    readonly roomId: number,
    private readonly options: RoomOptions,
  ) {
    super();
    const { sender, userId } = options;
    this.#shown = new ShownMessages(this.#timeline, this.#readers, () => sender.pending(roomId), userId);
    this.ready = new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve());
    });
    // Whoever doesn't ask for it finds the error in `error`.
    this.ready.catch(() => {});
    const destination = `/sub/chat/room/${roomId}`;
    const onRefused = (error: ChatError) => this.end(error);
    this.#ends = [
      options.connection.listen(destination, {
        priority: OPEN_ROOMS_FIRST,
        onMessage: (data) => this.#take(data as Message),
        onJoined: () => this.#onJoined("messages"),
        onRefused,
        lastSeq: () => {
          this.#subscribedFrom = this.#timeline.upTo;
          return this.#subscribedFrom;
        },
      }),
      options.connection.listen(`${destination}/read`, {
        priority: OPEN_ROOMS_FIRST,
        onMessage: (data) => this.#takeMoves(data as ReadMessage),
        onJoined: () => this.#onJoined("reads"),
        onRefused,
      }),
    ];
  }

  /** Those of the history by `seq`, without a gap, and behind them one's own that are not stored yet. Another array after each change. */
  get messages(): readonly RoomMessage[] {
    return this.#shown.all;
  }

  /**
   * A group's members, the longest-standing first, with their read positions; undefined before they are known, and in a one-to-one room.
   * Another array after each change.
   */
  get members(): readonly Member[] | undefined {
    return this.#readers.members;
  }

  /** Why the members could not be read last time. They are asked for again by themselves, and by `reloadMembers`. */
  get membersError(): ChatError | undefined {
    return this.#membersError;
  }

  /** Reads the list of members again, now; there is none in a one-to-one room. Rejects with a `ChatError`. */
  async reloadMembers(): Promise<readonly Member[]> {
    if (this.#closed) throw closed();
    try {
      await this.#loadMembers();
    } catch (error) {
      if (isOfRoom((error as ChatError).code)) this.end(error as ChatError);
      throw error;
    }
    return this.members ?? [];
  }

  /**
   * Who has read a message of a group and who hasn't; undefined as long as its members are not known, in a one-to-one room, where
   * `unreadCount` says it, and of a message that isn't loaded or is the service's own.
   */
  readersOf(messageId: number): MessageReaders | undefined {
    const message = this.#timeline.messages.find((one) => one.messageId === messageId);
    return message && this.#readers.readersOf(message);
  }

  /** Whether `loadOlder` may find more. */
  get hasOlder(): boolean {
    return this.status !== "gone" && this.#timeline.hasOlder;
  }

  /**
   * Loads the page before the first message; with `to` all from the message with this `seq` on, if they are not too many (some
   * thousand). While it loads, another call waits for the same. Rejects with a `ChatError`; then it can be tried again.
   */
  loadOlder(to?: number): Promise<void> {
    this.#older ??= this.#loadOlder(to).finally(() => {
      this.#older = undefined;
    });
    return this.#older;
  }

  /**
   * Sends a message; it is in `messages` at once, also without a connection. Resolves when it is stored, rejects with a `ChatError`
   * when it is refused.
   */
  send(content: string, { type = "TEXT" }: { readonly type?: ContentType } = {}): Promise<StoredMessage> {
    if (this.#closed) return Promise.reject(closed());
    return this.options.sender.add(this.options.userId(), this.roomId, content, type);
  }

  /**
   * Sends a changed text in the place of a refused message, as a new one with another `clientMessageId`. Resolves when it is stored,
   * rejects with a `ChatError` when it is refused, too, or when no refused message has that id.
   */
  edit(
    clientMessageId: string,
    content: string,
    { type }: { readonly type?: ContentType } = {},
  ): Promise<StoredMessage> {
    if (this.#closed) return Promise.reject(closed());
    return this.options.sender.edit(this.roomId, clientMessageId, content, type);
  }

  /** Sends a refused message once more, as it is. */
  retry(clientMessageId: string): void {
    this.options.sender.retry(this.roomId, clientMessageId);
  }

  /** Forgets a refused message. */
  discard(clientMessageId: string): void {
    this.options.sender.discard(this.roomId, clientMessageId);
  }

  /** Reads the room up to the last message in `messages`; to be called whenever that is seen, as often as one likes. */
  markRead(): void {
    // One that was deleted is to be read, too: it counts as unread else.
    const last = this.#timeline.newest;
    const userId = this.options.userId();
    if (!last || userId === undefined || this.status !== "ready") return;
    if (last.messageId <= this.#readers.positionOf(userId)) return;
    this.options.onRead({ userId, lastReadMessageId: last.messageId, lastReadSeq: last.seq });
  }

  /** Deletes a message for this user only. */
  async deleteForMe(messageId: number): Promise<void> {
    const { roomId } = this;
    await this.options.http.request("DELETE", `/rooms/${roomId}/messages/${messageId}`);
    const seq = this.#timeline.messages.find((one) => one.messageId === messageId)?.seq;
    this.#timeline.remove(messageId);
    this.options.onDeleted({ roomId, messageId, seq });
    this.changed();
  }

  /** Stops listening. As often as it was opened, it must be closed. */
  close(): void {
    this.options.onClose();
  }

  /** The room is no more: for this user, or because nobody has it open. */
  end(error?: ChatError): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends) end();
    this.#membersPlanned?.();
    this.#settle(error ?? new ChatError("ABORTED", "the room was closed"));
    if (!error) return;
    this.status = "gone";
    this.error = error;
    this.changed();
  }

  /** Says so once for all that happens in one go. */
  changed(): void {
    this.#shown.changed();
    if (this.#emitting) return;
    this.#emitting = true;
    queueMicrotask(() => {
      this.#emitting = false;
      this.emit("change", undefined);
    });
  }

  #take(message: Message): void {
    this.#follow(message);
    this.#timeline.add(message);
    this.changed();
    if (this.#timeline.upTo !== undefined && this.#timeline.aheadTo !== undefined) void this.#load();
  }

  /** What a new message says about who has read what: its sender has read it, and members come and go. */
  #follow(message: Message): void {
    this.#readers.move(message.senderId, message.messageId);
    const isChange = subjectsOf(message).length > 0;
    if (!isChange && !this.#readers.lacks(message)) return;
    this.#readers.apply(message);
    this.#memberLists.changes += 1;
    this.#planMembers();
  }

  #takeMoves(message: ReadMessage): void {
    for (const { userId, lastReadMessageId } of movesOf(message))
      this.#readers.move(userId, lastReadMessageId);
    this.changed();
  }

  #onJoined(which: "messages" | "reads"): void {
    const { generation } = this.options.connection;
    this.#joined[which] = generation;
    // The pages come after both: what they don't tell comes live.
    if (this.#joined.messages !== generation || this.#joined.reads !== generation) return;
    this.#isBehind = this.#subscribedFrom === undefined;
    void this.#load();
    if (this.status === "ready") void this.#whileOpen(() => this.#refreshReaders());
  }

  /** Loads what is missing; one load at a time. */
  #load(): Promise<void> {
    this.#loading ??= this.#whileOpen(() => this.#loadMissing()).finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadMissing(): Promise<void> {
    if (this.#timeline.upTo === undefined) await this.#loadFirst();
    if (this.#isBehind) await this.#catchUp();
    while (!this.#closed && this.#timeline.aheadTo !== undefined) await this.#fillGap(this.#timeline.aheadTo);
    // Made anew while the above went on.
    if (this.#isBehind && !this.#closed) await this.#loadMissing();
  }

  /** Asked for behind the subscription, the newest page has what came before it, or shows that more is missing. */
  async #catchUp(): Promise<void> {
    // Before the requests: a subscription that is made anew meanwhile needs another page.
    this.#isBehind = false;
    try {
      await this.#refreshReaders();
      for (const message of (await this.#page(`limit=${PAGE}`)).toReversed()) {
        this.#timeline.add(message);
        this.options.onFound(message);
      }
    } catch (error) {
      this.#isBehind = true;
      throw error;
    }
    this.changed();
  }

  async #fillGap(known: number): Promise<void> {
    if (this.#timeline.missing > LONGEST_GAP) this.#start(await this.#page(`limit=${PAGE}`));
    else {
      const page = await this.#page(`after=${this.#timeline.upTo}&limit=${GAP_PAGE}`);
      for (const message of page) if (message.seq > (this.#timeline.upTo ?? 0)) this.#follow(message);
      this.#timeline.fill(page, GAP_PAGE, known);
      for (const message of page) this.options.onFound(message);
    }
    this.changed();
  }

  async #loadFirst(): Promise<void> {
    this.#isBehind = false;
    this.#readers.isGroup ??= await this.options.isGroup();
    await this.#loadMembers().catch((error: ChatError) => {
      // What is written must not wait for who is there.
      if (isOfRoom(error.code) || !this.#readers.isGroup) throw error;
      this.#planMembers();
    });
    this.#start(await this.#page(`limit=${PAGE}`));
    this.#unreadThen = {
      count: this.options.unread(),
      position: this.members && this.#readers.positionOf(this.options.userId() ?? 0),
      upTo: this.#timeline.upTo ?? 0,
    };
    this.#findUnread();
    this.status = "ready";
    this.changed();
    this.#settle();
  }

  #start(page: readonly Message[]): void {
    this.#timeline.start(page, PAGE);
    for (const message of page.toReversed()) this.options.onFound(message);
  }

  /**
   * Where what was unread begins: in a group behind the user's position, else so many messages back. The service's own don't count, so
   * of what isn't loaded it is only known that it begins there or before.
   */
  #findUnread(): void {
    if (!this.#unreadThen) return;
    const { count, position, upTo } = this.#unreadThen;
    const { messages, hasOlder } = this.#timeline;
    const userId = this.options.userId();
    const isByPosition = position !== undefined;
    if (count === 0 || (count === undefined && !isByPosition)) return;
    const others = messages.filter((one) => one.seq <= upTo && one.senderId !== userId && !isSystem(one));
    const unread = isByPosition
      ? others.filter(({ messageId }) => messageId > position)
      : others.slice(-count!);
    const oldest = messages[0]?.seq ?? 0;
    const left = (count ?? 0) - unread.length;
    const mayBeBefore = hasOlder && left > 0 && (!isByPosition || (messages[0]?.messageId ?? 0) > position);
    this.unreadFrom = mayBeBefore ? Math.max(oldest - left, 1) : unread[0]?.seq;
    // It stays where it is, whatever is deleted since.
    if (!mayBeBefore) this.#unreadThen = undefined;
  }

  async #loadOlder(to: number | undefined): Promise<void> {
    const limit = to === undefined ? PAGE : GAP_PAGE;
    const wantsUnread = to !== undefined && to === this.unreadFrom;
    try {
      for (let pages = 0; pages < MOST_OLDER_PAGES && !this.#closed; pages += 1) {
        const { messages, upTo } = this.#timeline;
        // All that is loaded may have been deleted.
        const before = messages[0]?.seq ?? (upTo ?? 0) + 1;
        // It may turn out to be further back.
        const goal = wantsUnread ? this.unreadFrom : to;
        if (upTo === undefined || !this.hasOlder || (goal !== undefined && before <= goal)) return;
        this.#timeline.prepend(await this.#page(`before=${before}&limit=${limit}`), before, limit);
        this.#findUnread();
        if (to === undefined) return;
      }
    } finally {
      this.changed();
    }
  }

  async #page(query: string): Promise<readonly Message[]> {
    const path = `/rooms/${this.roomId}/messages?${query}`;
    return (await this.options.http.request<{ messages: Message[] }>("GET", path)).messages;
  }

  /** The members' positions; a one-to-one room has no such list. */
  async #loadMembers(): Promise<void> {
    if (this.#readers.isGroup === false) return;
    this.#memberLists.asked += 1;
    const { asked, changes } = this.#memberLists;
    try {
      const path = `/group-rooms/${this.roomId}/members`;
      const { members } = await this.options.http.request<{ members: Member[] }>("GET", path);
      this.#readers.isGroup = true;
      this.#membersError = undefined;
      // An answer that was overtaken, by a later one or by a change of members, which has another one asked for.
      if (asked < this.#memberLists.taken || changes !== this.#memberLists.changes) return;
      this.#memberLists.taken = asked;
      this.#readers.setMembers(members);
    } catch (error) {
      const isRoomOfTwo = (error as ChatError).code === "ROOM_NOT_FOUND" && !this.#readers.isGroup;
      if (isRoomOfTwo) this.#readers.isGroup = false;
      else {
        this.#membersError = error as ChatError;
        throw error;
      }
    } finally {
      this.changed();
    }
  }

  #planMembers(): void {
    const ms = this.options.timing.membersAfterMs + spread(this.#readers.memberCount);
    this.#membersPlanned ??= after(ms, () => {
      this.#membersPlanned = undefined;
      void this.#whileOpen(() => this.#loadMembers());
    });
  }

  /** Moves may have been missed without a connection. A room of two tells them by the counts of its messages. */
  async #refreshReaders(): Promise<void> {
    if (this.#readers.isGroup) return this.#loadMembers();
    const userId = this.options.userId();
    let query = `limit=${GAP_PAGE}`;
    for (let pages = 0; pages < MOST_REFRESHED_PAGES; pages += 1) {
      const page = await this.#page(query);
      // Whoever did not send it has read it; which user that is need not be known.
      for (const message of page)
        if (message.unreadCount === 0)
          this.#readers.move(message.senderId === userId ? 0 : (userId ?? 0), message.messageId);
      this.changed();
      const oldest = page.at(-1);
      const done = page.some(({ senderId, unreadCount }) => senderId === userId && unreadCount === 0);
      if (done || !oldest || oldest.seq <= (this.#timeline.messages[0]?.seq ?? 0)) return;
      query = `before=${oldest.seq}&limit=${GAP_PAGE}`;
    }
  }

  /** Tries until it succeeds or the room is closed, but only while there is a connection; a refusal of the room ends it. */
  async #whileOpen(work: () => Promise<void>): Promise<void> {
    for (let failures = 0; !this.#closed; failures += 1)
      try {
        return await work();
      } catch (thrown) {
        const error = thrown as ChatError;
        if (isOfRoom(error.code)) return this.end(error);
        await sleep(pauseAfter(error, failures, this.options.timing));
        await this.options.connection.connected();
      }
  }
}

const closed = () => new ChatError("NOT_SUPPORTED", "the room is closed: open it again");
