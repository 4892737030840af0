import { ChatError, isFinal, isHopeless, isUnexpected, toChatError } from "./errors.js";
import { type Http, isPassing } from "./http.js";
import { ERRORS, Link, SESSION } from "./link.js";
import { after, type ChatTiming, pauseAfter, sleep } from "./timing.js";
import type { Tokens } from "./tokens.js";
import type { ConnectionState } from "./types.js";

const RENEW_TOKEN = "/pub/session/token";

/** Who wants to hear a destination. */
export interface Listener {
  /** Where the SUBSCRIBE stands among the others of a new connection: the lower the earlier. */
  readonly priority: number;
  readonly onMessage?: (data: unknown) => void;
  /** From now on no message is missed; each time the subscription is made anew. */
  readonly onJoined?: () => void;
  /** It was refused for good, `NOT_A_MEMBER` for example. */
  readonly onRefused?: (error: ChatError) => void;
  /** The messages after it are to come first, where that is known. */
  readonly lastSeq?: () => number | undefined;
}

interface Subscription {
  readonly destination: string;
  readonly listeners: Set<Listener>;
  /** The link on which it is subscribed, or is about to be. */
  link: Link | undefined;
  joined: boolean;
}

export interface ConnectionOptions {
  readonly http: Http;
  readonly tokens: Tokens;
  readonly timing: ChatTiming;
  readonly deviceId: string | undefined;
  /** Each MESSAGE once, after the listeners of its destination have heard it. */
  readonly onMessage: (destination: string, data: unknown) => void;
  readonly onState: (state: ConnectionState) => void;
  /** Hears what was not expected. */
  readonly onError: (error: ChatError) => void;
}

/** From a start to its stop. */
interface Running {
  stopped: boolean;
}

/** The connection with all its reconnects. Subscriptions stay, and are made anew on each. */
export class Connection {
  state: ConnectionState = { status: "idle" };
  /** Counts the connections there have been. */
  generation = 0;
  readonly #subscriptions = new Map<string, Subscription>();
  #link: Link | undefined;
  /** The token that the connection was made with, or was renewed with. */
  #accepted: string | undefined;
  #running: Running | undefined;
  /** Ends the connection, or the attempt to make one, with its reason. */
  #attempt: AbortController | undefined;
  #wake: (() => void) | undefined;
  /** The service has said for how long it is to be left alone. */
  #mustWait = false;
  /** It was asked for by somebody who knows that another session may have to go. */
  #takesOver = false;
  /** Resolves with the next connection. */
  #next: Promise<void> | undefined;
  #tellNext = () => {};

  readonly #options: ConnectionOptions;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Connects, and comes back until `stop` or a final refusal. When it waits, it tries at once. */
  start(): void {
    if (this.#running) {
      this.#wake?.();
      return;
    }
    const running: Running = { stopped: false };
    this.#running = running;
    const { state } = this;
    this.#takesOver = state.status === "closed" && state.error.code === "SESSION_CLOSED";
    void this.#run(running);
  }

  stop(): void {
    if (this.#running) this.#running.stopped = true;
    this.#running = undefined;
    this.#attempt?.abort(new ChatError("ABORTED", "disconnected"));
    this.#wake?.();
    this.#set({ status: "idle" });
  }

  /** The device may have slept or changed its network: no pause is waited for, and a connection proves that it lives. */
  check(): void {
    if (!this.#mustWait) this.#wake?.();
    void this.#link?.probe();
  }

  /** The device has lost its network, which a connection would notice by its time-outs only. It goes on trying: devices err. */
  offline(): void {
    this.#attempt?.abort(new ChatError("OFFLINE", "the device is offline"));
  }

  /** Rejects with the service's refusal, or `OFFLINE`: then it may have been taken or not. */
  async send(destination: string, body: object): Promise<void> {
    if (!this.#link) throw new ChatError("OFFLINE", "not connected");
    await this.#link.send(destination, body);
  }

  /** Listens from now on, over reconnects. Returns what ends it. */
  listen(destination: string, listener: Listener): () => void {
    const subscription = this.#subscriptions.get(destination) ?? {
      destination,
      listeners: new Set<Listener>(),
      link: undefined,
      joined: false,
    };
    this.#subscriptions.set(destination, subscription);
    subscription.listeners.add(listener);
    if (subscription.joined)
      queueMicrotask(() => subscription.listeners.has(listener) && listener.onJoined?.());
    else if (this.#link && subscription.link !== this.#link) void this.#join(subscription, this.#link);
    return () => {
      if (!subscription.listeners.delete(listener) || subscription.listeners.size > 0) return;
      if (this.#subscriptions.get(destination) === subscription) this.#subscriptions.delete(destination);
      if (subscription.link === this.#link) this.#link?.leave(destination).catch(() => {});
      subscription.link = undefined;
    };
  }

  /**
   * Makes a subscription anew on the same connection, where there is one: the service may have ended it, with the user's membership, and
   * perhaps they are a member again. Then it is joined once more, else refused.
   */
  again(destination: string): void {
    const subscription = this.#subscriptions.get(destination);
    if (!subscription || !this.#link) return;
    // It is about to be made anyway; unless it was refused.
    if (!subscription.joined && subscription.link === this.#link) return;
    subscription.joined = false;
    void this.#join(subscription, this.#link);
  }

  /** Resolves as soon as there is a connection. */
  connected(): Promise<void> {
    if (this.state.status === "connected") return Promise.resolve();
    this.#next ??= new Promise((resolve) => {
      this.#tellNext = resolve;
    });
    return this.#next;
  }

  async #run(running: Running): Promise<void> {
    for (let failures = 0; !running.stopped; failures += 1) {
      this.#set({ status: "connecting" });
      const { error, lasted } = await this.#once(running);
      if (running.stopped) return;
      if (lasted) failures = 0;
      const isRefused = isFinal(error.code) && !(await this.#hasNewToken(error, lasted));
      const end = isRefused || isHopeless(error, failures);
      if (running.stopped) return;
      if (end) {
        this.#running = undefined;
        this.#set({ status: "closed", error });
        return;
      }
      await this.#pause(error, failures);
    }
  }

  /** From negotiation to the connection's end. */
  async #once(running: Running): Promise<{ error: ChatError; lasted: boolean }> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    let link: Link | undefined;
    let openedAt = Number.POSITIVE_INFINITY;
    try {
      const url = await untilAborted(attempt.signal, () => this.#negotiate(attempt.signal));
      if (running.stopped) throw new ChatError("ABORTED", "disconnected");
      this.#accepted = this.#options.tokens.current?.text;
      link = new Link(this.#clientUrl(url), {
        timing: this.#options.timing,
        subscribeHeaders: (destination) => this.#headersOf(destination),
        onMessage: (destination, data) => this.#take(destination, data),
      });
      attempt.signal.onabort = () => link!.close(toChatError(attempt.signal.reason));
      await link.open();
      // First of all: from here on a refusal doesn't close the connection.
      await Promise.all([link.join(ERRORS), link.join(SESSION)]);
      openedAt = Date.now();
      return {
        error: await this.#live(link),
        lasted: Date.now() - openedAt > this.#options.timing.goodAfterMs,
      };
    } catch (thrown) {
      const error = toChatError(thrown, this.#options.onError);
      link?.close(error);
      // What the connection was closed for says more than that a frame was not answered.
      return { error: link ? await link.closed : error, lasted: false };
    } finally {
      if (this.#attempt === attempt) this.#attempt = undefined;
    }
  }

  async #negotiate(signal: AbortSignal): Promise<string> {
    return await this.#options.http.field("POST", "/negotiate", "url", { signal });
  }

  async #live(link: Link): Promise<ChatError> {
    this.#link = link;
    this.#takesOver = false;
    this.generation += 1;
    const ends = [this.#renewInTime(link), this.#probeNowAndThen(link)];
    try {
      this.#set({ status: "connected" });
      const wanted = [...this.#subscriptions.values()].sort((a, b) => priorityOf(a) - priorityOf(b));
      // All at once: the service takes a connection's frames one after the other, in this order.
      // A listener that heard of the connection may have subscribed already.
      for (const subscription of wanted) if (subscription.link !== link) void this.#join(subscription, link);
      return await link.closed;
    } finally {
      for (const end of ends) end();
      if (this.#link === link) this.#link = undefined;
      for (const subscription of this.#subscriptions.values())
        if (subscription.link === link) Object.assign(subscription, { link: undefined, joined: false });
    }
  }

  async #join(subscription: Subscription, link: Link): Promise<void> {
    const isWanted = () => this.#link === link && subscription.link === link;
    subscription.link = link;
    for (let failures = 0; isWanted(); failures += 1) {
      try {
        await link.join(subscription.destination);
        if (isWanted()) this.#onJoined(subscription);
        return;
      } catch (thrown) {
        const error = toChatError(thrown, this.#options.onError);
        if (!isWanted() || error.code === "OFFLINE") return;
        if (!isPassing(error)) {
          this.#onRefused(subscription, error);
          return;
        }
        await sleep(pauseAfter(error, failures, this.#options.timing));
      }
    }
  }

  #onJoined(subscription: Subscription): void {
    subscription.joined = true;
    for (const { onJoined } of [...subscription.listeners]) this.#tell(() => onJoined?.());
  }

  #onRefused(subscription: Subscription, error: ChatError): void {
    subscription.link = undefined;
    for (const { onRefused } of [...subscription.listeners]) this.#tell(() => onRefused?.(error));
  }

  /** Runs what hears of something: where that fails, the others hear of it all the same. */
  #tell(hear: () => void): void {
    try {
      hear();
    } catch (thrown) {
      toChatError(thrown, this.#options.onError);
    }
  }

  #take(destination: string, data: unknown): void {
    for (const { onMessage } of [...(this.#subscriptions.get(destination)?.listeners ?? [])])
      this.#tell(() => onMessage?.(data));
    // Last: a listener that hears of a message finds it in its room.
    this.#tell(() => this.#options.onMessage(destination, data));
  }

  /** Whoever has the fewest messages decides; the others drop what they have. */
  #headersOf(destination: string): Readonly<Record<string, string>> {
    const listeners = [...(this.#subscriptions.get(destination)?.listeners ?? [])];
    const seqs = listeners.flatMap(({ lastSeq }) => lastSeq?.() ?? []);
    return seqs.length === 0 ? {} : { "last-seq": String(Math.min(...seqs)) };
  }

  #clientUrl(negotiated: string): string {
    const url = new URL(negotiated);
    // The SDK can't send CONNECT: the handshake stands for it.
    url.searchParams.set("connect", "implicit");
    // Else the service takes it for one that comes back by itself, and sends it away.
    if (this.#takesOver) url.searchParams.set("takeOver", "true");
    if (this.#options.deviceId !== undefined) url.searchParams.set("deviceId", this.#options.deviceId);
    return url.href;
  }

  /** Whether another token makes a refusal for identity worth another try; never twice without a connection between. */
  async #hasNewToken(error: ChatError, lasted: boolean): Promise<boolean> {
    if (error.code !== "TOKEN_EXPIRED" || !lasted) return false;
    const { tokens } = this.#options;
    // It may be there already: what a source gives twice is no reason to stay away then.
    if (tokens.current && tokens.current.text !== this.#accepted) return true;
    try {
      return (await tokens.renew()).text !== this.#accepted;
    } catch (cause) {
      // Without an answer nothing is known: the next attempt asks again.
      return !isFinal(toChatError(cause).code);
    }
  }

  #renewInTime(link: Link): () => void {
    const { tokens, timing } = this.#options;
    let end = () => {};
    const plan = () => {
      const left = (tokens.current?.expiresAt ?? 0) - Date.now();
      const before = Math.min(timing.renewBeforeMs, left * 0.2);
      // By a clock that is far ahead a token has always ended.
      end = after(Math.max(left - before, timing.soonestRenewalMs), renew);
    };
    const renew = async () => {
      try {
        const { text } = await tokens.renew();
        await link.send(RENEW_TOKEN, { token: text });
        this.#accepted = text;
        if (this.#link === link) plan();
      } catch (thrown) {
        const error = toChatError(thrown, this.#options.onError);
        // After a bug the connection ends with its token, and the next one asks for another.
        if (this.#link === link && !isUnexpected(error)) end = after(timing.renewAgainMs, renew);
      }
    };
    plan();
    return () => end();
  }

  /** A network that died without a word is noticed within this and the time for a probe, also when nobody says anything. */
  #probeNowAndThen(link: Link): () => void {
    const { probeEveryMs } = this.#options.timing;
    let end = () => {};
    const plan = () => {
      const left = link.lastHeardAt + probeEveryMs - Date.now();
      if (left <= 0) void link.probe();
      end = after(left > 0 ? left : probeEveryMs, plan);
    };
    plan();
    return () => end();
  }

  /** A timer that keeps a process running: it is on its way back. */
  #pause(error: ChatError, failures: number): Promise<void> {
    const ms = pauseAfter(error, failures, this.#options.timing);
    this.#mustWait = (error.retryAfter ?? 0) > 0;
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        this.#mustWait = false;
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#wake = end;
      this.#set({ status: "waiting", retryAt: Date.now() + ms, error });
    });
  }

  #set(state: ConnectionState): void {
    if (state.status === this.state.status && state.status === "idle") return;
    this.state = state;
    if (state.status === "connected") {
      this.#tellNext();
      this.#next = undefined;
    }
    this.#options.onState(state);
  }
}

const priorityOf = ({ listeners }: Subscription): number =>
  Math.min(...[...listeners].map(({ priority }) => priority));

/** What a work resolves with; rejects with the signal's reason as soon as there is one. What it does then is not waited for. */
function untilAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work().then(resolve, reject);
  });
}
