import {
  type OnGroupDataMessageArgs,
  type OnServerDataMessageArgs,
  SendMessageError,
  WebPubSubClient,
  type WebPubSubClientProtocol,
  type WebPubSubMessage,
} from "@azure/web-pubsub-client";
import { ChatError, isFinal, toChatError } from "./errors.js";
import { type RefusalDetail, stompProtocol } from "./stompProtocol.js";
import { after, type ChatTiming, within } from "./timing.js";

/** An id that is never in use: unsubscribing it changes nothing and is answered. */
const NOWHERE = "nowhere";

export const ERRORS = "/user/queue/errors";
export const SESSION = "/user/queue/session";

export interface LinkOptions {
  readonly timing: ChatTiming;
  readonly subscribeHeaders: (destination: string) => Readonly<Record<string, string>>;
  readonly onMessage: (destination: string, data: unknown) => void;
}

/** One connection, from its opening to its end. It never comes back. */
export class Link {
  /** Resolves, once, with why it ended. */
  readonly closed: Promise<ChatError>;
  lastHeardAt = Date.now();
  readonly #client: WebPubSubClient;
  #end!: (why: ChatError) => void;
  #ended = false;
  #watch = () => {};
  #answeredAt = Date.now();
  /** Why frames could not be written, by their `ackId`. */
  readonly #unwritten = new Map<number | undefined, unknown>();

  readonly #options: LinkOptions;
  readonly #timing: ChatTiming;

  constructor(url: string, options: LinkOptions) {
    this.#options = options;
    this.#timing = options.timing;
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
    const { subscribeHeaders } = options;
    const protocol = stompProtocol({
      subscribeHeaders,
      onHeard: () => {
        this.lastHeardAt = Date.now();
      },
      onHeartBeat: (everyMs) => this.#expect(everyMs),
    });
    this.#client = new WebPubSubClient(url, {
      protocol: { ...protocol, writeMessage: (message) => this.#write(message, protocol) },
      // `Connection` decides whether to come back: it knows why the connection ended.
      autoReconnect: false,
      autoRejoinGroups: false,
      messageRetryOptions: { maxRetries: 0 },
      // Each ping would be a call upstream. `probe` asks when there is doubt.
      keepAliveIntervalInMs: 0,
      keepAliveTimeoutInMs: 0,
    });
    this.#client.on("group-message", ({ message: { group, data } }: OnGroupDataMessageArgs) => {
      this.#take(group, data);
    });
    this.#client.on("server-message", ({ message: { data } }: OnServerDataMessageArgs) => {
      // An ERROR. The service closes the connection, and so does the client, in case the close is lost.
      this.close(errorOf(data));
    });
    const lost = () => this.close(new ChatError("OFFLINE", "the connection was lost"));
    this.#client.on("disconnected", lost);
    this.#client.on("stopped", lost);
  }

  /** Resolves when the service has said CONNECTED; rejects with a `ChatError`. */
  async open(): Promise<void> {
    const connected = new Promise<void>((resolve) => this.#client.on("connected", () => resolve()));
    const started = this.#client.start().then(() => {
      // It was given up before it was open. The SDK stops an open connection only.
      if (this.#ended) this.#client.stop();
    });
    const failed = (cause: unknown) =>
      new ChatError("OFFLINE", "the socket service was not reached", { cause });
    const opened = Promise.race([
      started.then(
        () => connected,
        (cause) => Promise.reject(failed(cause)),
      ),
      this.closed.then((why) => Promise.reject(why)),
    ]);
    try {
      await within(this.#timing.openTimeoutMs, "the connection did not open", () => opened);
    } catch (thrown) {
      const error = toChatError(thrown);
      this.close(error);
      throw error;
    }
  }

  /** SUBSCRIBE; resolves when no later message can be missed. */
  join(destination: string): Promise<void> {
    return this.#answered((abortSignal) => this.#client.joinGroup(destination, { abortSignal }));
  }

  leave(destination: string): Promise<void> {
    return this.#answered((abortSignal) => this.#client.leaveGroup(destination, { abortSignal }));
  }

  /**
   * SEND. Resolves with the RECEIPT. Rejects with the service's code, or with `OFFLINE`: then the service may
   * have the frame or not.
   */
  send(destination: string, body: object): Promise<void> {
    return this.#answered((abortSignal) =>
      this.#client.sendEvent(destination, body as Record<string, unknown>, "json", { abortSignal }),
    );
  }

  /** Asks for a sign of life, and closes the connection when there is none. Never rejects. */
  async probe(): Promise<void> {
    const ask = (abortSignal: AbortSignal) => this.#client.leaveGroup(NOWHERE, { abortSignal });
    await this.#answered(ask, this.#timing.probeTimeoutMs).catch(() => {});
  }

  close(why: ChatError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watch();
    this.#end(why);
    this.#client.stop();
  }

  /**
   * A service that promises heart-beats is gone when it has been silent for twice as long: messages take
   * their time.
   */
  #expect(everyMs: number): void {
    const { lateTimerMs } = this.#timing;
    const watchFor = (ms: number): void => {
      const due = Date.now() + ms;
      this.#watch = after(ms, () => {
        const left = this.lastHeardAt + 2 * everyMs - Date.now();
        if (left > 0) watchFor(left);
        // The page was frozen, and is only about to hear what came.
        else if (Date.now() - due > lateTimerMs) watchFor(lateTimerMs);
        else this.close(new ChatError("OFFLINE", "the service has fallen silent"));
      });
    };
    watchFor(2 * everyMs);
  }

  #take(destination: string, data: unknown): void {
    const { type, reason } = Object(data) as { type?: string; reason?: string };
    if (destination === SESSION && type === "SESSION_CLOSED") {
      this.close(new ChatError("SESSION_CLOSED", "the session was closed", reason ? { reason } : {}));
    } else if (!this.#ended) this.#options.onMessage(destination, data);
  }

  async #answered(
    ask: (signal: AbortSignal) => Promise<unknown>,
    timeoutMs = this.#timing.answerTimeoutMs,
  ): Promise<void> {
    if (this.#ended) throw new ChatError("OFFLINE", "not connected");
    const { signal, end } = this.#untilSilent(timeoutMs);
    try {
      await ask(signal);
      this.#answeredAt = Date.now();
    } catch (cause) {
      const detail = cause instanceof SendMessageError ? cause.errorDetail : undefined;
      if (detail) this.#answeredAt = Date.now();
      // The service refuses the connection, not the frame: another connection may take the frame.
      if (detail && isFinal(detail.name)) this.close(refusalOf(detail, cause));
      else if (detail) throw refusalOf(detail, cause);
      if (cause instanceof SendMessageError && this.#unwritten.has(cause.ackId))
        throw toChatError(this.#unwritten.get(cause.ackId));
      // The service may have got the frames before this one or not.
      if (signal.aborted) this.close(new ChatError("OFFLINE", "the service has stopped answering"));
      throw new ChatError("OFFLINE", "the connection was lost before the answer", { cause });
    } finally {
      end();
    }
  }

  /** The SDK tells of a frame that can't be written as of a lost connection, without the error. */
  #write(message: WebPubSubMessage, { writeMessage }: WebPubSubClientProtocol) {
    try {
      return writeMessage(message);
    } catch (error) {
      if ("ackId" in message) this.#unwritten.set(message.ackId, error);
      throw error;
    }
  }

  /**
   * Aborts when no frame at all was answered for `timeoutMs`. One frame may take up to `longestAnswerMs`,
   * while others are answered: the service takes a connection's frames one after the other, and there are
   * many after a reconnect.
   */
  #untilSilent(timeoutMs: number): { signal: AbortSignal; end: () => void } {
    const aborted = new AbortController();
    const since = Date.now();
    let end = () => {};
    const watch = () => {
      const now = Date.now();
      const left = Math.min(
        timeoutMs - (now - Math.max(since, this.#answeredAt)),
        this.#timing.longestAnswerMs - (now - since),
      );
      if (left <= 0) aborted.abort();
      else end = after(left, watch);
    };
    watch();
    return { signal: aborted.signal, end: () => end() };
  }
}

function refusalOf({ name, message, ...details }: RefusalDetail, cause: unknown): ChatError {
  return new ChatError(name, message, { ...details, cause });
}

/** The error that a body of the service tells. */
export function errorOf(data: unknown): ChatError {
  const { type: _, code, message, ...details } = Object(data) as Record<string, unknown>;
  return new ChatError(String(code ?? "UNAVAILABLE"), String(message ?? "the service closed"), details);
}
