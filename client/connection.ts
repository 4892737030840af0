import { ChatError, isFinal, isHopeless, isUnexpected, toChatError } from "./errors.js";
import type { Http } from "./http.js";
import { ERRORS, Link, SESSION } from "./link.js";
import { type Listener, Subscriptions } from "./subscriptions.js";
import { after, type ChatTiming, pauseAfter } from "./timing.js";
import type { Tokens } from "./tokens.js";
import type { ConnectionState } from "./types.js";

const RENEW_TOKEN = "/pub/session/token";

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

/** One run, from `start` to its `stop`. */
interface Running {
  stopped: boolean;
}

/** The connection with all its reconnects. */
export class Connection {
  state: ConnectionState = { status: "idle" };
  /** Counts the connections there have been. */
  generation = 0;
  readonly #subscriptions: Subscriptions;
  #link: Link | undefined;
  /** The last token that the service has taken for this connection. */
  #accepted: string | undefined;
  #running: Running | undefined;
  /** Ends the connection, or the attempt to make one, with its reason. */
  #attempt: AbortController | undefined;
  #wake: (() => void) | undefined;
  /** The service has asked for the pause that is going on. */
  #mustWait = false;
  /** The user has connected again after the session was ended: one of their other sessions may have to go. */
  #takesOver = false;
  /** Resolves with the next connection. */
  #next: Promise<void> | undefined;
  #tellNext = () => {};

  readonly #options: ConnectionOptions;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#subscriptions = new Subscriptions(options);
  }

  /** Connects, and comes back until `stop` or a final refusal. During a pause it tries at once. */
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

  /**
   * The device may have slept or changed its network: a pause ends, and a connection is asked for a sign of
   * life.
   */
  check(): void {
    if (!this.#mustWait) this.#wake?.();
    void this.#link?.probe();
  }

  /**
   * The device says that it has lost its network, which the connection would notice by its time-outs only.
   * The client goes on trying: devices err.
   */
  offline(): void {
    this.#attempt?.abort(new ChatError("OFFLINE", "the device is offline"));
  }

  /**
   * Resolves with the RECEIPT. Rejects with the service's refusal, or with `OFFLINE`: then the service may
   * have the frame or not.
   */
  async send(destination: string, body: object): Promise<void> {
    if (!this.#link) throw new ChatError("OFFLINE", "not connected");
    await this.#link.send(destination, body);
  }

  /** Listens from now on, over reconnects. Returns what ends it. */
  listen(destination: string, listener: Listener): () => void {
    return this.#subscriptions.listen(destination, listener);
  }

  /** Makes a subscription again on the same connection, where there is one. */
  again(destination: string): void {
    this.#subscriptions.again(destination);
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
        subscribeHeaders: (destination) => this.#subscriptions.headersOf(destination),
        onMessage: (destination, data) => this.#take(destination, data),
      });
      attempt.signal.onabort = () => link!.close(toChatError(attempt.signal.reason));
      await link.open();
      // Before all others: without the queue of errors a refusal closes the connection.
      await Promise.all([link.join(ERRORS), link.join(SESSION)]);
      openedAt = Date.now();
      return {
        error: await this.#live(link),
        lasted: Date.now() - openedAt > this.#options.timing.goodAfterMs,
      };
    } catch (thrown) {
      const error = toChatError(thrown, this.#options.onError);
      link?.close(error);
      // Why the connection was closed says more than that a frame was not answered.
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
    this.#subscriptions.begin(link);
    const ends = [this.#renewInTime(link), this.#probeNowAndThen(link)];
    try {
      this.#set({ status: "connected" });
      this.#subscriptions.joinAll(link);
      return await link.closed;
    } finally {
      for (const end of ends) end();
      if (this.#link === link) this.#link = undefined;
      this.#subscriptions.end(link);
    }
  }

  #take(destination: string, data: unknown): void {
    this.#subscriptions.take(destination, data);
    // Last: a listener that hears of a message here finds it in its room.
    this.#subscriptions.tell(() => this.#options.onMessage(destination, data));
  }

  #clientUrl(negotiated: string): string {
    const url = new URL(negotiated);
    // The SDK can't send CONNECT: the handshake stands for it.
    url.searchParams.set("connect", "implicit");
    // Without it the service takes the session for one that comes back by itself, and refuses it.
    if (this.#takesOver) url.searchParams.set("takeOver", "true");
    if (this.#options.deviceId !== undefined) url.searchParams.set("deviceId", this.#options.deviceId);
    return url.href;
  }

  /** Whether there is another token for another try. Never twice without a connection in between. */
  async #hasNewToken(error: ChatError, lasted: boolean): Promise<boolean> {
    if (error.code !== "TOKEN_EXPIRED" || !lasted) return false;
    const { tokens } = this.#options;
    // Another call may have renewed it already, and the source may give the same one again.
    if (tokens.current && tokens.current.text !== this.#accepted) return true;
    try {
      return (await tokens.renew()).text !== this.#accepted;
    } catch (cause) {
      // A source without an answer is asked again by the next attempt.
      return !isFinal(toChatError(cause).code);
    }
  }

  #renewInTime(link: Link): () => void {
    const { tokens, timing } = this.#options;
    let end = () => {};
    const plan = () => {
      const left = (tokens.current?.expiresAt ?? 0) - Date.now();
      const before = Math.min(timing.renewBeforeMs, left * 0.2);
      // With a clock that is far ahead every token has ended already.
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

  /** Notices a network that died without a word, also when nobody says anything. */
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

  /** Its timer, unlike the others, keeps a process running: the client is on its way back. */
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

/** Rejects with the signal's reason as soon as it is aborted; nobody waits for the work then. */
function untilAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work().then(resolve, reject);
  });
}
