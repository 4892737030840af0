import { newClientMessageId } from "./clientMessageId.js";
import { ChatError, isHopeless, isOfRoom, isUnexpected, toChatError } from "./errors.js";
import { isPassing } from "./http.js";
import { KeptOutbox, NOBODY } from "./keptOutbox.js";
import { utf8Length } from "./stompFrames.js";
import { MAX_BODY_BYTES } from "./stompProtocol.js";
import { after, backoff, type ChatTiming, pauseAfter, sleep } from "./timing.js";
import type { ContentType, Message, Outbox, OutboxEntry, PendingMessage, StoredMessage } from "./types.js";

/** How many messages may wait to be sent. */
const MOST_PENDING = 1_000;
const MOST_LOOK_UPS = 5;
/** How often the outbox is read when it can't be. */
const MOST_LOADS = 6;

interface Pending {
  entry: OutboxEntry;
  error: ChatError | undefined;
  readonly stored: Promise<StoredMessage>;
  settle(result: StoredMessage | ChatError): void;
  /** How often the history has answered that it doesn't have the message. */
  lookUps: number;
  /** How often in a row looking for it has failed in an unexpected way. */
  failures: number;
  /** Ends the plan to look for it. */
  look: (() => void) | undefined;
  /** By an earlier run. */
  isLeft: boolean;
}

export interface SenderOptions {
  readonly timing: ChatTiming;
  readonly outbox: Outbox;
  /** Resolves when the service has taken it for good; rejects with a `ChatError`. */
  readonly send: (body: object) => Promise<void>;
  readonly isConnected: () => boolean;
  /** The message in the history, if it is there; rejects when that can't be known now. */
  readonly find: (entry: OutboxEntry) => Promise<Message | undefined>;
  readonly onChange: (roomId: number) => void;
  readonly onPaused: (until: number | undefined) => void;
  /** The outbox failed: messages are sent, but won't survive a reload. */
  readonly onError: (error: ChatError) => void;
}

/**
 * Sends each room's messages one after the other, each until it is accepted or refused, with the same `clientMessageId`
 * however often; and keeps them until they are seen in the room.
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

  /** Says whose messages these are, and takes over what an earlier run of the user has left. */
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
    // Nobody waits for it: what is written now must go out.
    else if (tries < MOST_LOADS)
      this.#later(
        backoff(tries, this.#timing),
        () => void this.#load(userId, tries + 1).then(() => this.flush()),
      );
  }

  #takeOver(entries: readonly OutboxEntry[]): void {
    const written = new Map(this.#rooms);
    // Both are there where an earlier run ended in between.
    const replaced = new Set(entries.map(({ roomId, replaces }) => `${roomId} ${replaces}`));
    for (const entry of entries) {
      if (this.#find(entry.roomId, entry.clientMessageId)) continue;
      if (replaced.has(`${entry.roomId} ${entry.clientMessageId}`)) {
        void this.#outbox.remove(entry);
        continue;
      }
      const { refusal } = entry;
      const pending = this.#enqueue(entry, refusal && new ChatError(refusal.code, refusal.message));
      // Nobody of this run waits for it.
      pending.stored.catch(() => {});
      pending.isLeft = true;
      if (entry.state === "accepted") this.#lookLater(pending, 0);
      this.#options.onChange(entry.roomId);
    }
    // What was written meanwhile comes behind.
    for (const [roomId, before] of written) {
      const queue = this.#rooms.get(roomId) ?? [];
      this.#rooms.set(roomId, [...queue.filter((one) => !before.includes(one)), ...before]);
    }
  }

  /** The message is in the queue at once; `stored` rejects with a `ChatError` when it is refused. */
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
    // Written down first: what was sent must be known after a reload. But not at any price.
    const saved = this.#outbox.put(entry);
    if (this.#outbox.fails) this.flush(roomId);
    else void saved.then(() => this.flush(roomId));
    return stored;
  }

  /** Of a room, the oldest first. */
  pending(roomId: number): readonly PendingMessage[] {
    return (this.#rooms.get(roomId) ?? []).map(({ entry, error }) => {
      const { userId: _, refusal: __, replaces: ___, ...message } = entry;
      return error ? { ...message, error } : message;
    });
  }

  /** Sends what waits, of one room or of all, and looks for what an earlier run left; to be called when connected. */
  flush(roomId?: number): void {
    if (roomId === undefined) this.#lookForLeft();
    for (const id of roomId === undefined ? [...this.#rooms.keys()] : [roomId])
      this.#drain(id).catch(this.#tell);
  }

  /** Also for a message that was given up for this connection. */
  #lookForLeft(): void {
    for (const pending of [...this.#rooms.values()].flat()) {
      const isDue = (pending.isLeft && pending.lookUps === 0) || !pending.look;
      if (isDue && pending.entry.state === "accepted") this.#lookLater(pending, 0);
    }
  }

  readonly #tell = (thrown: unknown): ChatError => toChatError(thrown, this.#options.onError);

  /** One's own message was seen in the history. */
  seen(message: Message): void {
    const pending = this.#find(message.roomId, message.clientMessageId);
    if (!pending) return;
    this.#drop(pending);
    pending.settle({ ...message, state: "stored" });
  }

  /** The service refused a message after it had accepted it. */
  refused(error: ChatError): void {
    // A repeat that was only held up.
    if (isPassing(error)) return;
    const pending = error.roomId === undefined ? undefined : this.#find(error.roomId, error.clientMessageId);
    // What is still being sent hears it as the answer to its frame.
    if (pending?.entry.state === "accepted") this.#refuse(pending, error);
  }

  /** Sends a refused message once more. */
  retry(roomId: number, clientMessageId: string): void {
    const pending = this.#find(roomId, clientMessageId);
    if (pending?.entry.state !== "refused") return;
    const { refusal, ...entry } = pending.entry;
    // That id is another message's for good.
    if (refusal?.code === "CLIENT_MESSAGE_ID_REUSED") {
      this.edit(roomId, clientMessageId, entry.content).catch(() => {});
      return;
    }
    pending.error = undefined;
    this.#change(pending, { ...entry, state: "sending" });
    this.flush(roomId);
  }

  /** Another message takes a refused one's place. Rejects with a `ChatError` when it is refused, too, or there is none. */
  edit(roomId: number, clientMessageId: string, content: string, type?: ContentType): Promise<StoredMessage> {
    const before = this.#find(roomId, clientMessageId);
    if (before?.entry.state !== "refused")
      return Promise.reject(
        new ChatError("MESSAGE_NOT_FOUND", "no refused message has this id", { roomId, clientMessageId }),
      );
    const { userId, type: typeBefore } = before.entry;
    const queue = this.#rooms.get(roomId)!;
    const pending = this.#pendingOf(
      {
        ...newEntry(userId, roomId, content, type ?? typeBefore),
        replaces: clientMessageId,
      },
      undefined,
    );
    this.#rooms.set(roomId, queue.with(queue.indexOf(before), pending));
    const stored = this.#begin(pending);
    // Behind the new one, so that one of them is there whatever happens.
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
    // It may have been seen before its receipt.
    if (this.#isQueued(pending)) {
      this.#change(pending, { ...pending.entry, state: "accepted" });
      this.#lookLater(pending, this.#timing.lookAfterMs);
    }
    return undefined;
  }

  /** The limit is the user's: all rooms wait. */
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

  /** Its MESSAGE may have been missed, or it was stored in an earlier run: then it is in the history. */
  #lookLater(pending: Pending, ms: number): void {
    pending.look?.();
    const end = this.#later(ms, async () => {
      if (this.#options.isConnected() && !this.pausedUntil) await this.#look(pending).catch(this.#tell);
      // Another look may be planned by now.
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
    // A repeat is stored once; and if it never can be stored, it is refused once more.
    else if (pending.lookUps === 1)
      await this.#options.send(bodyOf(pending.entry)).catch((thrown) => {
        const error = this.#tell(thrown);
        // An accepted message can't be lost by what went wrong here.
        if (!isPassing(error) && !isUnexpected(error)) this.#refuse(pending, error);
      });
  }

  /** The message was accepted, so that it waits, whatever is in the way; but for a room that the user can't have. */
  #onNotLooked(pending: Pending, error: ChatError): void {
    if (isOfRoom(error.code)) this.#refuse(pending, error);
    if (isHopeless(error, pending.failures)) pending.look = undefined;
    if (isUnexpected(error)) pending.failures += 1;
  }

  /** It can't have been lost, so it was deleted since, or is older than what the history is searched for. */
  #giveUp(pending: Pending): void {
    this.#drop(pending);
    pending.settle(
      new ChatError("MESSAGE_NOT_FOUND", "the message was accepted, but the history has it no more", {
        roomId: pending.entry.roomId,
        clientMessageId: pending.entry.clientMessageId,
      }),
    );
  }

  /** Returns what ends it. */
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
    const pending = this.#pendingOf(entry, error);
    this.#rooms.set(entry.roomId, [...(this.#rooms.get(entry.roomId) ?? []), pending]);
    this.#count += 1;
    return pending;
  }

  #pendingOf(entry: OutboxEntry, error: ChatError | undefined): Pending {
    let settle!: Pending["settle"];
    const stored = new Promise<StoredMessage>((resolve, reject) => {
      settle = (result) => (result instanceof ChatError ? reject(result) : resolve(result));
    });
    return { entry, error, stored, settle, lookUps: 0, failures: 0, look: undefined, isLeft: false };
  }

  #find(roomId: number, clientMessageId: unknown): Pending | undefined {
    return this.#rooms.get(roomId)?.find(({ entry }) => entry.clientMessageId === clientMessageId);
  }

  /** Until it was seen or given up. */
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

const newEntry = (userId: number, roomId: number, content: string, type: ContentType): OutboxEntry => ({
  state: "sending",
  userId,
  roomId,
  clientMessageId: newClientMessageId(),
  type,
  content,
  createdAt: new Date().toISOString(),
});

const bodyOf = ({ roomId, content, type, clientMessageId }: OutboxEntry) => ({
  roomId,
  content,
  type,
  clientMessageId,
});
