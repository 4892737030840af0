import { Connection } from "./connection.js";
import { listenToDevice } from "./device.js";
import { Emitter } from "./emitter.js";
import { ChatError, isHopeless, toChatError } from "./errors.js";
import { findSent } from "./history.js";
import { Http } from "./http.js";
import { ERRORS, errorOf } from "./link.js";
import { memoryOutbox } from "./outbox.js";
import { movesOf, type ReadMessage } from "./readers.js";
import { Reads } from "./reads.js";
import { Room } from "./room.js";
import { ROOMS, RoomList } from "./roomList.js";
import { Sender } from "./sender.js";
import { type ChatTiming, pauseAfter, sleep, timingOf, within } from "./timing.js";
import { type TokenSource, Tokens } from "./tokens.js";
import type { ConnectionState, Member, Message, NamedUser, Outbox, RoomAdded, RoomSummary } from "./types.js";

export interface ChatClientOptions {
  /** Where the service's HTTP API is: `https://chat.example.com`. */
  readonly url: string;
  /** Called for an access token when one is needed, and for a new one each time the last is about to end. */
  readonly token: TokenSource;
  /**
   * The user of the tokens, where you know it: the outbox keeps what they write before the first token, too.
   */
  readonly userId?: number;
  /** 1 to 64 characters. A new session with the same one ends the old one. */
  readonly deviceId?: string;
  /** Where unsent messages are kept: by default in memory. */
  readonly outbox?: Outbox;
  /** Other times than the default ones, for tests or special networks. */
  readonly timing?: Partial<ChatTiming>;
}

export type ChatEvents = {
  /** `connection` has changed. */
  readonly connection: ConnectionState;
  /** `roomList` has changed. */
  readonly rooms: readonly RoomSummary[];
  /** `sendingPausedUntil` has changed. */
  readonly sending: number | undefined;
  /**
   * A message came live, in a room that is open or among the latest: each once, a room's in the order of
   * `seq`.
   */
  readonly message: Message;
  /** Somebody else has made the user a member of a room. `roomList` has it moments later. */
  readonly added: RoomAdded;
  /** Something went wrong for which no call can reject: the outbox, or a bug with its `cause`. */
  readonly error: ChatError;
};

/** A message on `/user/queue/rooms`. An older service tells `type` and `roomId` only. */
interface Hint {
  readonly type: string;
  readonly roomId: number;
  readonly roomName?: string | null;
  readonly imageUrl?: string | null;
  readonly by?: NamedUser;
  readonly timestamp?: number;
}

const AFTER_ALL = 3;
const ROOM = /^\/sub\/chat\/room\/(\d+)(\/read)?$/;

/**
 * A user's chat over one connection. The connection comes back by itself until `disconnect()`, until the
 * service ends the session, or until the service refuses the user's identity. The client shows what the
 * service has, in its order, without gaps and repeats, whatever happens to the connection.
 *
 * @example
 * const client = new ChatClient({ url: "https://chat.example.com", token: () => getAccessToken() });
 * client.on("rooms", (rooms) => show(rooms));
 * await client.connect();
 * await client.rooms();
 * const room = client.open(await client.openWith(userId));
 */
export class ChatClient extends Emitter<ChatEvents> {
  readonly #timing: ChatTiming;
  readonly #tokens: Tokens;
  readonly #givenUserId: number | undefined;
  readonly #http: Http;
  readonly #connection: Connection;
  readonly #sender: Sender;
  readonly #reads: Reads;
  readonly #list: RoomList;
  readonly #rooms = new Map<number, { readonly room: Room; opened: number }>();
  /**
   * What ends listening to rooms with messages on their way, which are heard also when nobody has them open.
   */
  readonly #awaited = new Map<number, () => void>();
  /** The last `seq` that was emitted, by room. */
  readonly #told = new Map<number, number>();
  #outboxLoaded: Promise<void> | undefined;
  #started = false;
  #disconnecting: Promise<void> | undefined;
  /** Ends listening to the device; undefined before `connect()`. */
  #endDevice: (() => void) | undefined;

  constructor({ url, token, userId, deviceId, outbox = memoryOutbox(), timing }: ChatClientOptions) {
    super();
    this.#timing = timingOf(timing);
    const onError = this.#onError;
    this.#givenUserId = userId;
    this.#tokens = new Tokens(token, this.#timing);
    this.#http = new Http(url, this.#tokens, this.#timing);
    this.#connection = new Connection({
      http: this.#http,
      tokens: this.#tokens,
      timing: this.#timing,
      deviceId,
      onMessage: (destination, data) => this.#take(destination, data),
      onState: (state) => this.#onState(state),
      onError,
    });
    this.#sender = new Sender({
      timing: this.#timing,
      outbox,
      send: (body) => this.#connection.send("/pub/chat/message", body),
      isConnected: () => this.connection.status === "connected",
      find: (entry) => findSent(this.#http, entry, this.userId),
      onChange: (roomId) => this.#onPending(roomId),
      onPaused: (until) => this.emit("sending", until),
      onError,
    });
    this.#reads = new Reads({
      timing: this.#timing,
      send: (destination, body) => this.#connection.send(destination, body),
      onError,
    });
    this.#list = new RoomList({
      connection: this.#connection,
      http: this.#http,
      timing: this.#timing,
      userId: () => this.userId,
      onChange: () => this.emit("rooms", this.roomList!),
      onError,
    });
  }

  readonly #onError = (error: ChatError): void => this.emit("error", error);

  /** Undefined before the first token, where the option `userId` wasn't given. */
  get userId(): number | undefined {
    return this.#tokens.current?.userId ?? this.#givenUserId;
  }

  /** Another object after each change. */
  get connection(): ConnectionState {
    return this.#connection.state;
  }

  /**
   * The user's rooms, the latest activity first. Another array after each change; undefined before `rooms()`
   * has loaded it.
   */
  get roomList(): readonly RoomSummary[] | undefined {
    return this.#list.snapshot;
  }

  /**
   * When messages that the service's limit holds back go out, in milliseconds since 1970; undefined while
   * none are held back.
   */
  get sendingPausedUntil(): number | undefined {
    return this.#sender.pausedUntil;
  }

  /**
   * Connects and stays connected. Resolves with the first connection, however long that takes. Rejects with a
   * `ChatError` when the connection is `closed` or `disconnect()` comes first. A call during a pause tries at
   * once. A call after the service has ended the session ends the oldest of the user's other sessions, where
   * there are too many.
   *
   * @example
   * client.on("connection", ({ status }) => console.log(status));
   * await client.connect();
   */
  async connect(): Promise<void> {
    if (!this.#started) this.#listenToDevice();
    this.#started = true;
    this.#sender.start();
    // Before the start: a listener may disconnect at once.
    const connected = this.connection.status === "connected" ? undefined : this.#nextConnection();
    this.#connection.start();
    void this.#loadOutbox();
    await connected;
  }

  #nextConnection(): Promise<void> {
    return new Promise((resolve, reject) => {
      const off = this.on("connection", (state) => {
        if (state.status === "connected") resolve();
        else if (state.status === "closed") reject(state.error);
        else if (state.status === "idle") reject(new ChatError("ABORTED", "disconnected"));
        else return;
        off();
      });
    });
  }

  /**
   * Says what was read, closes the connection and stays away. Open rooms stay as they are, and go on with the
   * next `connect()`.
   */
  async disconnect(): Promise<void> {
    if (!this.#started) return this.#disconnecting;
    this.#started = false;
    this.#disconnecting ??= this.#disconnect().finally(() => {
      this.#disconnecting = undefined;
    });
    await this.#disconnecting;
  }

  async #disconnect(): Promise<void> {
    await this.#flushReads();
    // The application may have called `connect()` meanwhile.
    if (this.#started) return;
    this.#endDevice?.();
    this.#sender.stop();
    this.#connection.stop();
  }

  /** The last reads must not be lost with the connection. */
  async #flushReads(): Promise<void> {
    if (this.connection.status !== "connected") return;
    await within(this.#timing.lastReadsMs, "the last reads were not taken", () => this.#reads.flush()).catch(
      () => {},
    );
  }

  /** Ends all sessions of the user, this one too. Rejects with a `ChatError`. */
  async logOut(): Promise<void> {
    await this.#flushReads();
    await this.#http.request("POST", "/sessions/logout", { body: {} });
    await this.disconnect();
  }

  /**
   * Loads the user's rooms, the latest activity first, and keeps `roomList` up to date from then on. Rejects
   * with a `ChatError` when they can't be loaded now; `roomList` has them with the next connection all the
   * same.
   *
   * @example
   * for (const { name, unreadCount } of await client.rooms()) console.log(name, unreadCount);
   */
  rooms(): Promise<readonly RoomSummary[]> {
    return this.#list.start();
  }

  /**
   * Opens a room. Returns at once: `ready` resolves when the history is there. Returns the same room as long
   * as it is open.
   *
   * @example
   * const room = client.open(roomId);
   * await room.ready;
   */
  open(roomId: number): Room {
    const before = this.#rooms.get(roomId);
    if (before && before.room.status !== "gone") {
      before.opened += 1;
      return before.room;
    }
    const room = new Room(roomId, {
      connection: this.#connection,
      http: this.#http,
      sender: this.#sender,
      timing: this.#timing,
      userId: () => this.userId,
      isGroup: () => this.#list.isGroup(roomId),
      unread: () => this.#list.unread(roomId),
      onFound: (message) => this.#hear(message),
      onRead: (move) => {
        this.#reads.mark(roomId, move.lastReadMessageId);
        // The list doesn't wait for the service.
        this.#list.read(roomId, move);
      },
      onDeleted: (message) => this.#list.deleted(message),
      onClose: () => this.#close(room),
      onError: this.#onError,
    });
    this.#rooms.set(roomId, { room, opened: 1 });
    return room;
  }

  /**
   * Resolves with the id of the one-to-one room with a user, which is made if need be. Rejects with a
   * `ChatError`.
   *
   * @example
   * const room = client.open(await client.openWith(2));
   */
  async openWith(userId: number): Promise<number> {
    return await this.#make("/rooms", { targetUserId: userId }, "roomId");
  }

  /**
   * Makes a group, with the user as its creator and a member. Resolves with its id. Rejects with a
   * `ChatError`; the same call after `OFFLINE` or `UNAVAILABLE` makes no second group.
   *
   * @example
   * const room = client.open(await client.createGroup("Lunch", [2, 3]));
   */
  async createGroup(name: string, userIds: readonly number[]): Promise<number> {
    return await this.#make("/group-rooms", { roomName: name, userIds }, "roomId");
  }

  /** Rejects with a `ChatError`. */
  async renameGroup(roomId: number, name: string): Promise<void> {
    await this.#change("PATCH", `/group-rooms/${roomId}`, { name });
  }

  /** Resolves with the users who were no members before. Rejects with a `ChatError`. */
  async invite(roomId: number, userIds: readonly number[]): Promise<readonly number[]> {
    return await this.#make(`/group-rooms/${roomId}/invite`, { userIds }, "invited");
  }

  /** Removes a member, which only a group's creator may. Rejects with a `ChatError`. */
  async kick(roomId: number, userId: number): Promise<void> {
    await this.#change("DELETE", `/group-rooms/${roomId}/members/${userId}`);
  }

  /** Leaves a room, which is `gone` then. Rejects with a `ChatError`. */
  async leave(roomId: number): Promise<void> {
    await this.#change("DELETE", `/rooms/${roomId}`);
    this.#gone(roomId, new ChatError("NOT_A_MEMBER", "you have left this room", { roomId }));
  }

  /** Resolves with a group's members, the longest-standing first. Rejects with a `ChatError`. */
  async members(roomId: number): Promise<readonly Member[]> {
    return await this.#http.field("GET", `/group-rooms/${roomId}/members`, "members");
  }

  async #make<T>(path: string, body: object, field: string): Promise<T> {
    const answer = await this.#http.make<T>(path, body, field);
    this.#list.refresh(0);
    return answer;
  }

  async #change(method: string, path: string, body?: object): Promise<void> {
    await this.#http.request(method, path, body && { body });
    this.#list.refresh(0);
  }

  #onState(state: ConnectionState): void {
    const isConnected = state.status === "connected";
    if (isConnected) {
      this.#sender.flush();
      void this.#reads.flush();
    }
    this.#list.poll(isConnected);
    this.emit("connection", state);
  }

  #take(destination: string, data: unknown): void {
    // The sender of a frame hears its refusal as an answer. This one may be of a message that was accepted
    // before.
    if (destination === ERRORS) this.#sender.refused(errorOf(data));
    if (destination === ROOMS) this.#takeHint(data as Hint);
    const [, room, read] = ROOM.exec(destination) ?? [];
    if (read) for (const move of movesOf(data as ReadMessage)) this.#list.read(Number(room), move);
    else if (room) {
      const message = data as Message;
      this.#hear(message);
      if (message.seq <= (this.#told.get(message.roomId) ?? 0)) return;
      this.#told.set(message.roomId, message.seq);
      this.emit("message", message);
    }
  }

  #hear(message: Message): void {
    this.#list.message(message);
    if (message.senderId === this.userId) this.#sender.seen(message);
  }

  /**
   * Two hints can come in the wrong order: the client asks the service, by subscribing once more, and for the
   * list.
   */
  #takeHint({ type, roomId, roomName = null, imageUrl = null, by, timestamp = 0 }: Hint): void {
    if (type === "ROOM_RENAMED") {
      this.#list.renamed(roomId, roomName, timestamp);
      return;
    }
    if (type === "ROOM_IMAGE_CHANGED") {
      this.#list.pictured(roomId, imageUrl, timestamp);
      return;
    }
    this.#connection.again(`/sub/chat/room/${roomId}`);
    this.#connection.again(`/sub/chat/room/${roomId}/read`);
    this.#list.refresh(0);
    if (type === "ROOM_ADDED" && by && by.userId !== this.userId)
      this.emit("added", { roomId, roomName, by });
  }

  #gone(roomId: number, error: ChatError): void {
    this.#list.remove(roomId);
    this.#reads.forget(roomId);
    this.#rooms.get(roomId)?.room.end(error);
  }

  #close(room: Room): void {
    const entry = this.#rooms.get(room.roomId);
    if (entry?.room !== room) return;
    entry.opened -= 1;
    if (entry.opened > 0) return;
    this.#rooms.delete(room.roomId);
    room.end();
  }

  #onPending(roomId: number): void {
    this.#rooms.get(roomId)?.room.changed();
    const isWaiting = this.#sender.pending(roomId).some(({ state }) => state !== "refused");
    const end = this.#awaited.get(roomId);
    if (isWaiting && !end) {
      const ended = this.#connection.listen(`/sub/chat/room/${roomId}`, { priority: AFTER_ALL });
      this.#awaited.set(roomId, ended);
    } else if (!isWaiting && end) {
      end();
      this.#awaited.delete(roomId);
    }
  }

  /** Waits for a token, which says which user's messages to load. */
  #loadOutbox(): Promise<void> {
    this.#outboxLoaded ??= this.#tryOutbox().then((isLoaded) => {
      if (!isLoaded) this.#outboxLoaded = undefined;
    });
    return this.#outboxLoaded;
  }

  async #tryOutbox(): Promise<boolean> {
    for (let failures = 0; this.#started; failures += 1)
      try {
        const userId = this.#givenUserId ?? (await this.#tokens.get()).userId;
        await this.#sender.load(userId);
        // Messages that are shown already are stored.
        for (const { room } of this.#rooms.values())
          for (const message of room.messages)
            if (message.state === "stored" && message.senderId === userId) this.#sender.seen(message);
        if (this.connection.status === "connected") this.#sender.flush();
        return true;
      } catch (thrown) {
        // The connection tells what is wrong with tokens.
        const error = toChatError(thrown, this.#onError);
        if (isHopeless(error, failures)) return false;
        await sleep(pauseAfter(error, failures, this.#timing));
      }
    return false;
  }

  #listenToDevice(): void {
    this.#endDevice = listenToDevice({
      onOnline: () => this.#connection.check(),
      onOffline: () => this.#connection.offline(),
      onShown: () => this.#connection.check(),
      onHidden: () => this.connection.status === "connected" && void this.#reads.flush(),
    });
  }
}
