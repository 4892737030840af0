import { setTimeout as sleep } from "node:timers/promises";
import { heard } from "./hear.js";
import { type Event, type History, hashOf, type Seen } from "./history.js";
import type { OpenLink } from "./link.js";
import type { Random } from "./random.js";
import { Session } from "./session.js";
import type { Frame } from "./stompFrames.js";
import type { Target } from "./target.js";

/** A message that has no RECEIPT and no refusal yet. */
interface Sending {
  readonly room: number;
  readonly id: string | number;
  readonly content: string;
}

/** What a client has of a room. */
export interface Has {
  /** The newest message's. */
  readonly seq: number;
  /** Messages sent before this time, in milliseconds since 1970, are not due to it. */
  readonly since: number;
}

/** What a client knows of a room. */
interface RoomView {
  /** It should be subscribed. */
  wanted: boolean;
  /** The seq of the newest message, and that message. */
  seen: number;
  latest: Seen | undefined;
  /** It has ever been subscribed. */
  isKnown: boolean;
  /** When its subscription had its RECEIPT, where that asks for nothing that was sent before. */
  openSince: number | undefined;
  /** The connection and the id under which it is subscribed, or is about to be. */
  on: Session | undefined;
  subscription: string;
  isLive: boolean;
}

/** What a repeat of the same frame can help. */
const PASSING = new Set(["UNAVAILABLE", "RATE_LIMIT_EXCEEDED", "?"]);
const PAUSES_MS = [100, 300, 800, 1_500, 3_000];

export interface ClientOptions {
  readonly target: Target;
  readonly open: OpenLink;
  readonly history: History;
  readonly random: Random;
  readonly device: string;
  /** Fetches what a replay left out: the messages after a seq. */
  readonly fill: (client: ChatClient, room: number, after: number) => void;
}

/** One device of a user, which comes back by itself until it is ended. */
export class ChatClient {
  readonly #options: ClientOptions;
  readonly #rooms = new Map<number, RoomView>();
  readonly #outstanding = new Map<string, Sending>();
  #session: Session | undefined;
  #connections = 0;
  #failures = 0;
  #isEnding = false;
  #reads = 0;
  #isReading = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    void this.#stay();
  }

  get user(): number {
    return this.#options.history.user;
  }

  get history(): History {
    return this.#options.history;
  }

  get outstanding(): number {
    return this.#outstanding.size + this.#isReading;
  }

  /** What keeps it from having everything: nothing, once it is connected, subscribed and answered. */
  get missing(): string[] {
    if (!this.#session?.isOpen) return [`${this.history.client} is not connected`];
    const rooms = [...this.#rooms].filter(([, room]) => room.wanted && !room.isLive);
    return [
      ...rooms.map(([room]) => `${this.history.client} is not subscribed to room ${room}`),
      ...(this.outstanding ? [`${this.history.client} waits for ${this.outstanding} answers`] : []),
    ];
  }

  /** What it has of each room that it is subscribed to. */
  live(): Map<number, Has> {
    const live = [...this.#rooms].filter(([, room]) => room.wanted && room.isLive);
    return new Map(
      live.map(([id, { latest, openSince }]) => [
        id,
        { seq: latest?.seq ?? 0, since: latest ? 0 : (openSince ?? 0) },
      ]),
    );
  }

  /** Sends a message, again and again under the same id, until it has a RECEIPT or is refused. */
  say(room: number, id: string | number, content: string): void {
    const sending = { room, id, content };
    this.#outstanding.set(JSON.stringify(id), sending);
    void this.#send(sending);
  }

  /** Reads a room up to its newest message, once. */
  async read(room: number): Promise<void> {
    const [session, latest] = [this.#session, this.#rooms.get(room)?.latest];
    if (!session?.isOpen || !latest) return;
    const read = this.#noteRead(latest);
    const body = JSON.stringify({ roomId: room, messageId: latest.messageId });
    this.#isReading += 1;
    const answer = await session.ask({ command: "SEND", headers: { destination: "/pub/chat/read" }, body });
    this.#isReading -= 1;
    if (answer.kind === "receipt") this.#note({ kind: "readAccepted", read });
  }

  /** The same by HTTP: `accepted` is called when the call was answered so. */
  readByCall(room: number): { readonly latest: Seen; readonly accepted: () => void } | undefined {
    const latest = this.#rooms.get(room)?.latest;
    if (!latest) return undefined;
    const read = this.#noteRead(latest);
    return { latest, accepted: () => void this.#note({ kind: "readAccepted", read }) };
  }

  /** Wants a room from now on. Asks for it anew where it is subscribed already. */
  enter(room: number): void {
    const view = this.#view(room);
    view.wanted = true;
    void this.#subscribe(room);
  }

  /**
   * Wants it no longer, as the user was removed. That has ended the subscription: only a numbered id is given
   * back, so that of the others everything is heard that should not come any more.
   */
  leave(room: number): void {
    const view = this.#view(room);
    view.wanted = false;
    view.isLive = false;
    if (view.on && view.subscription !== roomDestination(room))
      view.on.tell({ command: "UNSUBSCRIBE", headers: { id: view.subscription }, body: "" });
    view.on = undefined;
  }

  /** Asks for a room whose member the user is not, and takes it back. */
  async intrude(room: number): Promise<void> {
    const session = this.#session;
    if (!session?.isOpen) return;
    const [destination, id] = [roomDestination(room), `guest-${room}`];
    const connection = session.number;
    this.#note({ kind: "subscribe", connection, room, lastSeq: 0, guest: true });
    const headers = { destination, id, "last-seq": "0" };
    const answer = await session.ask({ command: "SUBSCRIBE", headers, body: "" });
    if (answer.kind === "receipt") this.#note({ kind: "subscribed", connection, room, guest: true });
    if (answer.kind === "receipt") session.tell({ command: "UNSUBSCRIBE", headers: { id }, body: "" });
  }

  /** Drops its connection. It comes back. */
  cut(): void {
    this.#session?.cut();
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#session?.end();
    this.history.close();
  }

  async #stay(): Promise<void> {
    while (!this.#isEnding) {
      await this.#connect().catch((error: unknown) =>
        this.#note({ kind: "error", code: "CLIENT", text: String(error) }),
      );
      if (this.#isEnding) return;
      const most = PAUSES_MS[Math.min(this.#failures++, PAUSES_MS.length - 1)] ?? 0;
      await sleep(most * (0.5 + this.#options.random.next() / 2));
    }
  }

  /** One connection, until its end. */
  async #connect(): Promise<void> {
    const { target, open, device } = this.#options;
    const token = await target.token(String(this.user));
    const url = `${target.socketUrl}?token=${encodeURIComponent(token)}&deviceId=${device}`;
    const number = ++this.#connections;
    const session = new Session(open, url, number, (frame) => this.#hear(frame, number));
    this.#session = session;
    if (await session.connected) this.#begin(session);
    await session.closed;
    this.#note({ kind: "closed", connection: number });
    for (const room of this.#rooms.values()) if (room.on === session) room.isLive = false;
  }

  #begin(session: Session): void {
    this.#failures = 0;
    this.#note({ kind: "connected", connection: session.number });
    for (const destination of ["/user/queue/errors", "/user/queue/rooms"])
      session.tell(subscribeFrame(destination, session.subscriptionId(destination)));
    for (const [id, room] of this.#rooms) if (room.wanted) void this.#subscribe(id);
    for (const sending of this.#outstanding.values()) void this.#send(sending);
  }

  async #send(sending: Sending): Promise<void> {
    const session = this.#session;
    if (!session?.isOpen) return;
    const { room, content } = sending;
    const [id, connection] = [JSON.stringify(sending.id), session.number];
    this.#note({ kind: "send", connection, room, id, hash: hashOf("TEXT", content) });
    const body = JSON.stringify({ roomId: room, content, clientMessageId: sending.id });
    const answer = await session.ask({
      command: "SEND",
      headers: { destination: "/pub/chat/message", "content-type": "application/json" },
      body,
    });
    if (answer.kind === "receipt") this.#note({ kind: "accepted", connection, room, id });
    else if (answer.kind === "lost") return;
    else if (PASSING.has(answer.code)) return this.#again(session, answer, () => this.#send(sending));
    else this.#note({ kind: "refused", room, id, code: answer.code });
    this.#outstanding.delete(id);
  }

  async #subscribe(room: number): Promise<void> {
    const [session, view] = [this.#session, this.#view(room)];
    if (!session?.isOpen || view.on === session) return;
    view.on = session;
    const destination = roomDestination(room);
    view.subscription = session.subscriptionId(destination);
    const lastSeq = view.isKnown || this.user % 2 === 0 ? view.seen : null;
    view.openSince = undefined;
    const more = lastSeq === null ? {} : { "last-seq": String(lastSeq) };
    this.#note({ kind: "subscribe", connection: session.number, room, lastSeq, guest: false });
    const answer = await session.ask(subscribeFrame(destination, view.subscription, more));
    if (view.on !== session || answer.kind === "lost") return;
    if (answer.kind === "receipt") {
      if (lastSeq === null) view.openSince = Date.now();
      return this.#subscribed(room, session);
    }
    this.#note({ kind: "notSubscribed", room, code: answer.code });
    view.on = undefined;
    if (PASSING.has(answer.code)) await this.#again(session, answer, () => this.#subscribe(room));
  }

  #subscribed(room: number, session: Session): void {
    const view = this.#view(room);
    view.isKnown = true;
    view.isLive = true;
    this.#note({ kind: "subscribed", connection: session.number, room, guest: false });
    const reads = `${roomDestination(room)}/read`;
    session.tell(subscribeFrame(reads, session.subscriptionId(reads)));
  }

  /** Does the same once more, unless the connection is another one by then, which does it by itself. */
  async #again(
    session: Session,
    why: { code: string; text: string },
    work: () => Promise<void>,
  ): Promise<void> {
    this.#note({ kind: "error", code: why.code, text: why.text });
    await sleep(300 + this.#options.random.below(700));
    if (this.#session === session) await work();
  }

  #hear(frame: Frame, connection: number): void {
    for (const event of heard(frame, connection)) {
      this.#note(event);
      if (event.kind === "message") this.#see(event, event.gap);
    }
  }

  #see(seen: Seen, gap: boolean): void {
    const view = this.#view(seen.room);
    if (!view.wanted || seen.seq <= view.seen) return;
    if (gap) this.#options.fill(this, seen.room, view.seen);
    view.isKnown = true;
    view.seen = seen.seq;
    view.latest = seen;
  }

  #noteRead({ room, seq }: Seen): number {
    const read = ++this.#reads;
    this.#note({ kind: "readTry", read, room, seq });
    return read;
  }

  #view(room: number): RoomView {
    const known = this.#rooms.get(room);
    if (known) return known;
    const view: RoomView = {
      wanted: false,
      seen: 0,
      latest: undefined,
      isKnown: false,
      openSince: undefined,
      on: undefined,
      subscription: "",
      isLive: false,
    };
    this.#rooms.set(room, view);
    return view;
  }

  #note(event: Event): void {
    this.history.note(event);
  }
}

const roomDestination = (room: number): string => `/sub/chat/room/${room}`;

const subscribeFrame = (destination: string, id: string, more: Record<string, string> = {}): Frame => ({
  command: "SUBSCRIBE",
  headers: { destination, id, ...more },
  body: "",
});
