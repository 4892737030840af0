import { ChatError, isHopeless, isOfRoom, isUnexpected, toChatError } from "./errors.js";
import { isPassing } from "./http.js";
import { KeptOutbox, NOBODY } from "./keptOutbox.js";
import { bodyOf, newEntry, type Pending, pendingOf } from "./pending.js";
import { utf8Length } from "./stompFrames.js";
import { MAX_BODY_BYTES } from "./stompProtocol.js";
import { after, backoff, type ChatTiming, pauseAfter, sleep } from "./timing.js";
import type { ContentType, Message, Outbox, OutboxEntry, PendingMessage, StoredMessage } from "./types.js";

/** How many messages may wait to be stored. */
const MOST_PENDING = 1_000;
const MOST_LOOK_UPS = 5;
/** How many times the client tries to read the outbox. */
const MOST_LOADS = 6;

export interface SenderOptions {
  readonly timing: ChatTiming;
  readonly outbox: Outbox;
  /** Resolves when the service has taken the message for good; rejects with a `ChatError`. */
  readonly send: (body: object) => Promise<void>;
  readonly isConnected: () => boolean;
  /** Resolves with the message in the history, if it is there. Rejects where nobody can know that now. */
  readonly find: (entry: OutboxEntry) => Promise<Message | undefined>;
  readonly onChange: (roomId: number) => void;
  readonly onPaused: (until: number | undefined) => void;
  /**
   * Hears what was not expected, and that the outbox has failed: messages are sent, but won't survive a
   * reload.
   */
  readonly onError: (error: ChatError) => void;
}

/**
 * Sends each room's messages one after the other, with the same `clientMessageId` each time until the message
 * is accepted or refused. Keeps each message until it is seen in the room.
 */
export class Sender {
  pausedUntil: number | undefined;
  readonly #rooms = new Map<number, Pending[]>();
  readonly #draining = new Set<number>();
  readonly #timers = new Set<() => void>();
  #count = 0;
  /** Aborted by `stop`, and another one since `start`. */
  #stopping = new AbortController();
  #loading: Promise<unknown> | undefined;
  readonly #outbox: KeptOutbox;

  readonly #options: SenderOptions;
  readonly #timing: ChatTiming;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#timing = options.timing;
    this.#outbox = new KeptOutbox(options.outbox, options.timing, options.onError);
  }

  /** Says which user's messages these are, and takes over what an earlier run of the user has left. */
  load(userId: number): Promise<void> {
    for (const pending of [...this.#rooms.values()].flat())
      if (pending.entry.userId === NOBODY) this.#change(pending, { ...pending.entry, userId });
    const loading = this.#load(userId, 1);
    this.#loading = loading;
    return loading;
  }

  async #load(userId: number, tries: number): Promise<void> {
    const entries = await this.#outbox.load(userId);
    if (entries) this.#takeOver(entries);
    // Later tries hold nothing up: what the user writes now must go out.
    else if (tries < MOST_LOADS)
      this.#later(
        backoff(tries, this.#timing),
        () => void this.#load(userId, tries + 1).then(() => this.flush()),
      );
  }

  #takeOver(entries: readonly OutboxEntry[]): void {
    const written = new Map(this.#rooms);
    // An earlier run that ended during an edit has left both messages.
    const replaced = new Set(entries.map(({ roomId, replaces }) => `${roomId} ${replaces}`));
    for (const entry of entries) {
      if (this.#find(entry.roomId, entry.clientMessageId)) continue;
      if (replaced.has(`${entry.roomId} ${entry.clientMessageId}`)) {
        void this.#outbox.remove(entry);
        continue;
      }
      const { refusal } = entry;
      const pending = this.#enqueue(entry, refusal && new ChatError(refusal.code, refusal.message));
      // No caller of this run waits for it.
      pending.stored.catch(() => {});
      pending.isLeft = true;
      if (entry.state === "accepted") this.#lookLater(pending, 0);
      this.#options.onChange(entry.roomId);
    }
    // Messages that were written during the load come behind.
    for (const [roomId, before] of written) {
      const queue = this.#rooms.get(roomId) ?? [];
      this.#rooms.set(roomId, [...queue.filter((one) => !before.includes(one)), ...before]);
    }
  }

  /**
   * Adds a message to its room's queue at once. Resolves when it is stored; rejects with a `ChatError` when
   * it is refused.
   */
  add(
    userId: number | undefined,
    roomId: number,
    content: string,
    type: ContentType,
  ): Promise<StoredMessage> {
    if (this.#count >= MOST_PENDING)
      return Promise.reject(
        new ChatError("OUTBOX_FULL", `${MOST_PENDING} messages wait to be sent: wait until some of them are`),
      );
    const entry = newEntry(userId ?? NOBODY, roomId, content, type);
    return this.#begin(this.#enqueue(entry, undefined));
  }

  #begin({ entry, stored }: Pending): Promise<StoredMessage> {
    const { roomId } = entry;
    this.#options.onChange(roomId);
    // The outbox has it before it goes out, so that a reload knows it. An outbox that fails is not waited
    // for.
    const saved = this.#outbox.put(entry);
    if (this.#outbox.fails) this.flush(roomId);
    else void saved.then(() => this.flush(roomId));
    return stored;
  }

  /** A room's messages, the oldest first. */
  pending(roomId: number): readonly PendingMessage[] {
    return (this.#rooms.get(roomId) ?? []).map(({ entry, error }) => {
      const { userId: _, refusal: __, replaces: ___, ...message } = entry;
      return error ? { ...message, error } : message;
    });
  }

  /**
   * Sends what waits, of one room or of all, and looks for accepted messages of an earlier run. Call it when
   * connected.
   */
  flush(roomId?: number): void {
    if (roomId === undefined) this.#lookForLeft();
    for (const id of roomId === undefined ? [...this.#rooms.keys()] : [roomId])
      this.#drain(id).catch(this.#tell);
  }

  /** Plans looks also for messages for which a bug has ended them. */
  #lookForLeft(): void {
    for (const pending of [...this.#rooms.values()].flat()) {
      const isDue = (pending.isLeft && pending.lookUps === 0) || !pending.look;
      if (isDue && pending.entry.state === "accepted") this.#lookLater(pending, 0);
    }
  }

  readonly #tell = (thrown: unknown): ChatError => toChatError(thrown, this.#options.onError);

  /** One of the user's messages was seen in the history. */
  seen(message: Message): void {
    const pending = this.#find(message.roomId, message.clientMessageId);
    if (!pending) return;
    this.#drop(pending);
    pending.settle({ ...message, state: "stored" });
  }

  /** The service refused a message after it had accepted it. */
  refused(error: ChatError): void {
    // The service could not take a repeat now.
    if (isPassing(error)) return;
    const pending = error.roomId === undefined ? undefined : this.#find(error.roomId, error.clientMessageId);
    // A message that is still being sent hears it as the answer to its frame.
    if (pending?.entry.state === "accepted") this.#refuse(pending, error);
  }

  /** Sends a refused message once more. */
  retry(roomId: number, clientMessageId: string): void {
    const pending = this.#find(roomId, clientMessageId);
    if (pending?.entry.state !== "refused") return;
    const { refusal, ...entry } = pending.entry;
    // Another message has this id for good.
    if (refusal?.code === "CLIENT_MESSAGE_ID_REUSED") {
      this.edit(roomId, clientMessageId, entry.content).catch(() => {});
      return;
    }
    pending.error = undefined;
    this.#change(pending, { ...entry, state: "sending" });
    this.flush(roomId);
  }

  /**
   * Sends another message instead of a refused one. Rejects with a `ChatError` when it is refused, too, or
   * there is none.
   */
  edit(roomId: number, clientMessageId: string, content: string, type?: ContentType): Promise<StoredMessage> {
    const before = this.#find(roomId, clientMessageId);
    if (before?.entry.state !== "refused")
      return Promise.reject(
        new ChatError("MESSAGE_NOT_FOUND", "no refused message has this id", { roomId, clientMessageId }),
      );
    const { userId, type: typeBefore } = before.entry;
    const queue = this.#rooms.get(roomId)!;
    const pending = pendingOf(
      {
        ...newEntry(userId, roomId, content, type ?? typeBefore),
        replaces: clientMessageId,
      },
      undefined,
    );
    this.#rooms.set(roomId, queue.with(queue.indexOf(before), pending));
    const stored = this.#begin(pending);
    // The outbox gets the new one first, so that it has one of them whatever happens.
    void this.#outbox.remove(before.entry);
    return stored;
  }

  /** Forgets a refused message. */
  discard(roomId: number, clientMessageId: string): void {
    const pending = this.#find(roomId, clientMessageId);
    if (pending?.entry.state === "refused") this.#drop(pending);
  }

  stop(): void {
    this.#stopping.abort();
    for (const end of [...this.#timers]) end();
    this.#timers.clear();
    this.#pause(undefined);
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#stopping = new AbortController();
    for (const pending of [...this.#rooms.values()].flat())
      if (pending.entry.state === "accepted") this.#lookLater(pending, this.#timing.lookAfterMs);
  }

  get #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #drain(roomId: number): Promise<void> {
    if (this.#draining.has(roomId)) return;
    this.#draining.add(roomId);
    try {
      // Messages go out, whatever was left by an earlier run.
      await this.#loading?.catch(() => {});
      for (let failures = 0; ; ) {
        const next = this.#rooms.get(roomId)?.find(({ entry }) => entry.state === "sending");
        if (!next || this.#isStopped || this.pausedUntil || !this.#options.isConnected()) return;
        const error = await this.#send(next);
        failures = error ? failures + 1 : 0;
        if (error && !this.pausedUntil && this.#options.isConnected())
          await sleep(pauseAfter(error, failures, this.#timing), this.#stopping.signal);
      }
    } finally {
      this.#draining.delete(roomId);
    }
  }

  /** Resolves with why the message must be sent again; without it the sender is through with the message. */
  async #send(pending: Pending): Promise<ChatError | undefined> {
    const body = bodyOf(pending.entry);
    if (utf8Length(JSON.stringify(body)) > MAX_BODY_BYTES) {
      // The service would close the connection.
      this.#refuse(pending, new ChatError("MESSAGE_TOO_LARGE", "a message has at most 5,000 characters"));
      return undefined;
    }
    try {
      await this.#options.send(body);
    } catch (thrown) {
      const error = this.#tell(thrown);
      if (isPassing(error)) {
        if (error.code === "RATE_LIMIT_EXCEEDED") this.#pauseFor(error.retryAfter ?? 1);
        return error;
      }
      this.#refuse(pending, error);
      return undefined;
    }
    // Its MESSAGE may have come before its receipt.
    if (this.#isQueued(pending)) {
      this.#change(pending, { ...pending.entry, state: "accepted" });
      this.#lookLater(pending, this.#timing.lookAfterMs);
    }
    return undefined;
  }

  /** The service limits the user, so that all rooms wait. */
  #pauseFor(seconds: number): void {
    const ms = seconds * 1_000;
    this.#pause(Date.now() + ms);
    this.#later(ms, () => {
      this.#pause(undefined);
      this.flush();
    });
  }

  #pause(until: number | undefined): void {
    if (this.pausedUntil === until) return;
    this.pausedUntil = until;
    this.#options.onPaused(until);
  }

  /** The history has the message, where its MESSAGE was missed or it was stored in an earlier run. */
  #lookLater(pending: Pending, ms: number): void {
    pending.look?.();
    const end = this.#later(ms, async () => {
      if (this.#options.isConnected() && !this.pausedUntil) await this.#look(pending).catch(this.#tell);
      // Another look may be planned already.
      if (pending.look === end && this.#isQueued(pending) && pending.entry.state === "accepted")
        this.#lookLater(pending, this.#timing.lookAfterMs + backoff(pending.lookUps, this.#timing));
    });
    pending.look = end;
  }

  async #look(pending: Pending): Promise<void> {
    if (!this.#isQueued(pending) || pending.entry.state !== "accepted") return;
    let message: Message | undefined;
    try {
      message = await this.#options.find(pending.entry);
    } catch (thrown) {
      this.#onNotLooked(pending, this.#tell(thrown));
      return;
    }
    pending.failures = 0;
    pending.lookUps += 1;
    if (message) this.seen(message);
    else if (pending.lookUps === MOST_LOOK_UPS) this.#giveUp(pending);
    // The service stores a repeat once; a message that it never can store it refuses again.
    else if (pending.lookUps === 1)
      await this.#options.send(bodyOf(pending.entry)).catch((thrown) => {
        const error = this.#tell(thrown);
        // An accepted message can't be lost by what went wrong here.
        if (!isPassing(error) && !isUnexpected(error)) this.#refuse(pending, error);
      });
  }

  /**
   * The message was accepted, so that it waits, whatever is in the way; but for a room that the user can't
   * have.
   */
  #onNotLooked(pending: Pending, error: ChatError): void {
    if (isOfRoom(error.code)) this.#refuse(pending, error);
    if (isHopeless(error, pending.failures)) pending.look = undefined;
    if (isUnexpected(error)) pending.failures += 1;
  }

  /**
   * An accepted message can't be lost: the user has deleted it since, or it is older than the pages that were
   * searched.
   */
  #giveUp(pending: Pending): void {
    this.#drop(pending);
    pending.settle(
      new ChatError("MESSAGE_NOT_FOUND", "the message was accepted, but the history has it no more", {
        roomId: pending.entry.roomId,
        clientMessageId: pending.entry.clientMessageId,
      }),
    );
  }

  /** Runs it later, unless the sender is stopped. Returns what ends that. */
  #later(ms: number, run: () => void): () => void {
    const stop = after(ms, () => {
      this.#timers.delete(end);
      if (!this.#isStopped) run();
    });
    const end = () => {
      this.#timers.delete(end);
      stop();
    };
    this.#timers.add(end);
    return end;
  }

  #enqueue(entry: OutboxEntry, error: ChatError | undefined): Pending {
    const pending = pendingOf(entry, error);
    this.#rooms.set(entry.roomId, [...(this.#rooms.get(entry.roomId) ?? []), pending]);
    this.#count += 1;
    return pending;
  }

  #find(roomId: number, clientMessageId: unknown): Pending | undefined {
    return this.#rooms.get(roomId)?.find(({ entry }) => entry.clientMessageId === clientMessageId);
  }

  /** Whether it was neither seen nor given up. */
  #isQueued(pending: Pending): boolean {
    return this.#find(pending.entry.roomId, pending.entry.clientMessageId) === pending;
  }

  #refuse(pending: Pending, error: ChatError): void {
    if (!this.#isQueued(pending)) return;
    pending.error = error;
    const refusal = { code: error.code, message: error.message };
    this.#change(pending, { ...pending.entry, state: "refused", refusal });
    pending.settle(error);
  }

  #change(pending: Pending, entry: OutboxEntry): void {
    pending.entry = entry;
    void this.#outbox.put(entry);
    this.#options.onChange(entry.roomId);
  }

  #drop(pending: Pending): void {
    if (!this.#isQueued(pending)) return;
    const { entry } = pending;
    pending.look?.();
    const left = (this.#rooms.get(entry.roomId) ?? []).filter((one) => one !== pending);
    if (left.length === 0) this.#rooms.delete(entry.roomId);
    else this.#rooms.set(entry.roomId, left);
    this.#count -= 1;
    void this.#outbox.remove(entry);
    this.#options.onChange(entry.roomId);
  }
}
