import type { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { ChatError, isHopeless, isOfRoom, toChatError } from "./errors.js";
import type { Http } from "./http.js";
import type { ReadMessage, ReadMove } from "./readers.js";
import { RoomHistory } from "./roomHistory.js";
import type { DeletedMessage } from "./roomList.js";
import { RoomReaders } from "./roomReaders.js";
import type { RoomScope } from "./roomScope.js";
import type { Sender } from "./sender.js";
import { ShownMessages } from "./shownMessages.js";
import { Timeline } from "./timeline.js";
import { type ChatTiming, pauseAfter, sleep } from "./timing.js";
import type { ContentType, Member, Message, MessageReaders, RoomMessage, StoredMessage } from "./types.js";

const OPEN_ROOMS_FIRST = 1;

export interface RoomOptions {
  readonly connection: Connection;
  readonly http: Http;
  readonly sender: Sender;
  readonly timing: ChatTiming;
  readonly userId: () => number | undefined;
  /** Whether the room is a group, as far as the list of rooms tells. */
  readonly isGroup: () => Promise<boolean | undefined>;
  /** How many messages wait for the user, if the list of rooms knows it. */
  readonly unread: () => number | undefined;
  /** Hears each message of a page that follows what was known. */
  readonly onFound: (message: Message) => void;
  /** The user has read the room up to there. */
  readonly onRead: (move: ReadMove) => void;
  readonly onDeleted: (message: DeletedMessage) => void;
  readonly onClose: () => void;
  /** Hears what was not expected. */
  readonly onError: (error: ChatError) => void;
}

/**
 * An open room. It emits `change` whenever one of its properties may have another value. `ChatClient.open`
 * makes it.
 *
 * @example
 * const room = client.open(roomId);
 * const off = room.on("change", () => show(room.messages));
 * await room.ready;
 * room.markRead();
 * await room.send("Hello");
 * off();
 * room.close();
 */
export class Room extends Emitter<{ change: undefined }> {
  /** `gone`: there is no such room, or the user is no member of it (any more); see `error`. */
  status: "loading" | "ready" | "gone" = "loading";
  /** Why the room is gone. */
  error: ChatError | undefined;
  /** Resolves with the first page of history. Rejects with a `ChatError` when the room is gone. */
  readonly ready: Promise<void>;
  #settle!: (error?: ChatError) => void;
  readonly #options: RoomOptions;
  readonly #timeline = new Timeline();
  readonly #readers: RoomReaders;
  readonly #history: RoomHistory;
  readonly #shown: ShownMessages;
  /** On which connection, counted, each of the two subscriptions was made. */
  readonly #joined = { messages: 0, reads: 0 };
  readonly #ends: readonly (() => void)[];
  #closed = false;
  #emitting = false;

  constructor(
    readonly roomId: number,
    options: RoomOptions,
  ) {
    super();
    this.#options = options;
    const { sender, userId, isGroup, unread, onFound } = options;
    const [scope, timeline] = [this.#scope(), this.#timeline];
    const readers = new RoomReaders(scope, timeline);
    const onFirst = () => this.#onFirst();
    this.#readers = readers;
    this.#history = new RoomHistory({ scope, timeline, readers, isGroup, unread, onFound, onFirst });
    this.#shown = new ShownMessages(timeline, readers.positions, () => sender.pending(roomId), userId);
    this.ready = new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve());
    });
    // An application that doesn't await it finds the error in `error`.
    this.ready.catch(() => {});
    this.#ends = this.#listen();
  }

  /**
   * The history by `seq`, without a gap, and behind it the user's own messages that are not stored yet.
   * Another array after each change.
   */
  get messages(): readonly RoomMessage[] {
    return this.#shown.all;
  }

  /**
   * The `seq` of the first message that was unread when the room was opened. Where it is before the messages
   * that are loaded it may become lower, as older ones are loaded.
   */
  get unreadFrom(): number | undefined {
    return this.#history.unreadFrom;
  }

  /**
   * A group's members with their read positions, the longest-standing first. Undefined before they are known,
   * and in a one-to-one room. Another array after each change.
   */
  get members(): readonly Member[] | undefined {
    return this.#readers.positions.members;
  }

  /**
   * Why the members could not be read last time. The client reads them again by itself, and by
   * `reloadMembers`.
   */
  get membersError(): ChatError | undefined {
    return this.#readers.error;
  }

  /** Whether `loadOlder` may find more. */
  get hasOlder(): boolean {
    return this.status !== "gone" && this.#timeline.hasOlder;
  }

  /** Reads the list of members again, now. A one-to-one room has none. Rejects with a `ChatError`. */
  async reloadMembers(): Promise<readonly Member[]> {
    if (this.#closed) throw closed();
    try {
      await this.#readers.load();
    } catch (thrown) {
      const error = toChatError(thrown);
      if (isOfRoom(error.code)) this.end(error);
      throw error;
    }
    return this.members ?? [];
  }

  /**
   * The members of a group who have read a message, and those who haven't. Undefined as long as the members
   * are not known, in a one-to-one room, where `unreadCount` tells it, for a message that isn't loaded, and
   * for one of the service's own.
   *
   * @example
   * const { notReadBy = [] } = room.readersOf(message.messageId) ?? {};
   * console.log("waiting for", notReadBy.map(({ nickname }) => nickname));
   */
  readersOf(messageId: number): MessageReaders | undefined {
    const message = this.#timeline.messages.find((one) => one.messageId === messageId);
    return message && this.#readers.positions.readersOf(message);
  }

  /**
   * Loads the page before the first message; with `to` all messages from this `seq` on, up to some thousand.
   * Another call during a load waits for the same. Rejects with a `ChatError`; then it can be tried again.
   *
   * @example
   * if (room.hasOlder) await room.loadOlder();
   * if (room.unreadFrom !== undefined) await room.loadOlder(room.unreadFrom);
   */
  loadOlder(to?: number): Promise<void> {
    return this.#history.loadOlder(to);
  }

  /**
   * Sends a message. It is in `messages` at once, also without a connection, and messages go out in the order
   * of the calls. Resolves when the message is stored, rejects with a `ChatError` when it is refused.
   *
   * @example
   * // The refusal is in `messages`, too.
   * room.send("Hello").catch(() => {});
   */
  send(content: string, { type = "TEXT" }: { readonly type?: ContentType } = {}): Promise<StoredMessage> {
    if (this.#closed) return Promise.reject(closed());
    return this.#options.sender.add(this.#options.userId(), this.roomId, content, type);
  }

  /**
   * Sends a changed text instead of a refused message, as a new message with another `clientMessageId`, at
   * the same position in `messages`. Resolves when it is stored. Rejects with a `ChatError` when it is
   * refused, too, or when no refused message has this id.
   *
   * @example
   * const refused = room.messages.find(({ state }) => state === "refused");
   * if (refused) await room.edit(refused.clientMessageId, "said properly");
   */
  edit(
    clientMessageId: string,
    content: string,
    { type }: { readonly type?: ContentType } = {},
  ): Promise<StoredMessage> {
    if (this.#closed) return Promise.reject(closed());
    return this.#options.sender.edit(this.roomId, clientMessageId, content, type);
  }

  /** Sends a refused message once more, as it is. */
  retry(clientMessageId: string): void {
    this.#options.sender.retry(this.roomId, clientMessageId);
  }

  /** Forgets a refused message. */
  discard(clientMessageId: string): void {
    this.#options.sender.discard(this.roomId, clientMessageId);
  }

  /**
   * Says that the user has read the room up to the last message in `messages`. Call it whenever that is seen,
   * as often as you like.
   */
  markRead(): void {
    // A message that the user has deleted counts as unread until it is read, too.
    const last = this.#timeline.newest;
    const userId = this.#options.userId();
    if (!last || userId === undefined || this.status !== "ready") return;
    if (last.messageId <= this.#readers.positions.positionOf(userId)) return;
    this.#options.onRead({ userId, lastReadMessageId: last.messageId, lastReadSeq: last.seq });
  }

  /** Deletes a message for this user only. Rejects with a `ChatError`. */
  async deleteForMe(messageId: number): Promise<void> {
    const { roomId } = this;
    await this.#options.http.request("DELETE", `/rooms/${roomId}/messages/${messageId}`);
    const seq = this.#timeline.messages.find((one) => one.messageId === messageId)?.seq;
    this.#timeline.remove(messageId);
    this.#options.onDeleted({ roomId, messageId, seq });
    this.changed();
  }

  /** Stops listening. Call it as often as you opened the room. */
  close(): void {
    this.#options.onClose();
  }

  /** Called by the client: nobody has the room open any more, or with an error, the user can't have it. */
  end(error?: ChatError): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends) end();
    this.#readers.end();
    this.#settle(error ?? new ChatError("ABORTED", "the room was closed"));
    if (!error) return;
    this.status = "gone";
    this.error = error;
    this.changed();
  }

  /** Called by the client: emits `change`, once for all that happens in one go. */
  changed(): void {
    this.#shown.changed();
    if (this.#emitting) return;
    this.#emitting = true;
    queueMicrotask(() => {
      this.#emitting = false;
      this.emit("change", undefined);
    });
  }

  #scope(): RoomScope {
    const { http, timing, userId } = this.#options;
    return {
      ...{ roomId: this.roomId, http, timing, userId },
      isClosed: () => this.#closed,
      changed: () => this.changed(),
      persist: (work) => this.#persist(work),
    };
  }

  /** Returns what ends the two subscriptions. */
  #listen(): readonly (() => void)[] {
    const { connection } = this.#options;
    const destination = `/sub/chat/room/${this.roomId}`;
    const shared = { priority: OPEN_ROOMS_FIRST, onRefused: (error: ChatError) => this.end(error) };
    return [
      connection.listen(destination, {
        ...shared,
        onMessage: (data) => this.#history.take(data as Message),
        onJoined: () => this.#onJoined("messages"),
        lastSeq: () => this.#history.subscribe(),
      }),
      connection.listen(`${destination}/read`, {
        ...shared,
        onMessage: (data) => this.#readers.take(data as ReadMessage),
        onJoined: () => this.#onJoined("reads"),
      }),
    ];
  }

  #onJoined(which: "messages" | "reads"): void {
    const { generation } = this.#options.connection;
    this.#joined[which] = generation;
    // Pages are asked for behind both subscriptions: what a page doesn't tell comes live.
    if (this.#joined.messages !== generation || this.#joined.reads !== generation) return;
    this.#history.joined();
    if (this.status === "ready") void this.#persist(() => this.#readers.refresh());
  }

  #onFirst(): void {
    this.status = "ready";
    this.changed();
    this.#settle();
  }

  async #persist(work: () => Promise<void>): Promise<void> {
    for (let failures = 0; !this.#closed; failures += 1)
      try {
        return await work();
      } catch (thrown) {
        const error = toChatError(thrown, this.#options.onError);
        if (isOfRoom(error.code)) return this.end(error);
        // Nobody is to wait for the first page for ever. Without other work the room goes on, up to the next
        // connection.
        if (isHopeless(error, failures)) return this.status === "loading" ? this.end(error) : undefined;
        await sleep(pauseAfter(error, failures, this.#options.timing));
        await this.#options.connection.connected();
      }
  }
}

const closed = () => new ChatError("NOT_SUPPORTED", "the room is closed: open it again");
