import { isUtf8 } from "node:buffer";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { ConnectionEvents } from "./events.js";
import { encodeFrame, MAX_MESSAGE_BYTES } from "./frames.js";
import type { Log } from "./log.js";
import { Stop } from "./stop.js";
import type { UpstreamAnswer } from "./upstream.js";

/** Unsent bytes that may pile up for a client before it counts as not reading any more. */
const MAX_UNSENT_BYTES = 1024 * 1024;
/** Received frames that may wait for the handler's answer before we stop reading the socket. */
const MAX_WAITING_FRAMES = 64;
const MAX_WAITING_BYTES = 1024 * 1024;
/** How long a client has to answer our close frame (RFC 6455 §7.1.1 leaves it open). */
const CLOSE_TIMEOUT_MS = 5000;
/** The code of a close frame that never came (RFC 6455 §7.4.1). */
const NO_CLOSE_FRAME = 1006;
/** A close frame's payload is at most 125 bytes, two of them the code (RFC 6455 §5.5). */
const MAX_REASON_BYTES = 123;

export interface ConnectionParts {
  readonly id: string;
  /** Undefined when neither the token nor `connect` named a user. */
  readonly userId: string | undefined;
  readonly roles: Iterable<string>;
  readonly webSocket: WebSocket;
  readonly socket: Duplex;
  readonly events: ConnectionEvents;
  readonly log: Log;
}

interface Waiting {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/**
 * One open client. Its frames go to the event handler one at a time, the next after the answer to the one
 * before. A client's close frame waits behind them: `disconnected` comes after the frames before it. A socket
 * that goes without a close frame, or that this server closes, ends all at once. The event under way is given
 * up, the frames behind it are dropped, and `disconnected` follows.
 */
export class Connection {
  readonly id: string;
  readonly userId: string | undefined;
  readonly roles: Set<string>;
  readonly groups = new Set<string>();
  /** Resolves when `disconnected` is delivered or given up. */
  readonly finished: Promise<void>;
  readonly #parts: ConnectionParts;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #handling = false;
  /** Comes when the socket is gone, and ends the event under way. */
  readonly #gone = new Stop();
  #closing = false;
  #ended: string | undefined;
  #closeReason: string | undefined;
  #alive = true;
  #finish!: () => void;

  /** `onGone` is called once, as soon as nothing may be sent to this client any more. */
  constructor(parts: ConnectionParts, onGone: (connection: Connection) => void) {
    this.id = parts.id;
    this.userId = parts.userId;
    this.roles = new Set(parts.roles);
    this.#parts = parts;
    this.#onGone = onGone;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const { webSocket } = parts;
    webSocket.on("message", (data, isBinary) => this.#receive(data as Buffer, isBinary));
    webSocket.on("pong", () => {
      this.#alive = true;
    });
    // A protocol error (frame too big, false UTF-8) is followed by `close` with the fitting code.
    webSocket.on("error", (error) => this.#note("info", error.message));
    webSocket.on("close", (code, reason) => this.#onClose(code, reason.toString()));
  }

  readonly #onGone: (connection: Connection) => void;

  /** Sends `connected` to the handler, without waiting for the answer. */
  announce(): void {
    const delivery = this.#parts.events.system("connected", {});
    void delivery?.then((answer) => this.#expectSuccess("connected", answer));
  }

  /** Writes one encoded frame. A client with more than 1 MiB unread is cut off instead. */
  send(frame: Buffer): void {
    const { socket, webSocket } = this.#parts;
    // Nothing may follow a close frame, and `ws` has sent its own once it is no longer OPEN (RFC 6455
    // §5.5.1).
    if (this.#closing || webSocket.readyState !== webSocket.OPEN) return;
    if (socket.writableLength > MAX_UNSENT_BYTES) {
      this.#note("warn", `cut off: it left ${socket.writableLength} bytes unread`);
      this.#abort("The client does not read what is sent to it.");
      return;
    }
    // Writes to the socket directly, past `ws`, so that one encoded frame serves all members of a group. `ws`
    // writes its own frames (pings, close) at once and whole, so the order is kept.
    socket.write(frame);
  }

  /** Sends a close frame after everything sent so far. Frames that were not handled yet are dropped. */
  close(code: number, reason = ""): void {
    if (this.#closing) return;
    this.#leave(reason);
    const { webSocket } = this.#parts;
    webSocket.close(code, cut(reason));
    webSocket.resume();
    const timer = setTimeout(() => webSocket.terminate(), CLOSE_TIMEOUT_MS);
    webSocket.once("close", () => clearTimeout(timer));
  }

  /** Cuts the connection without a closing handshake. */
  terminate(): void {
    this.#parts.webSocket.terminate();
  }

  /** One beat of the keep-alive: a client that did not answer the last ping is gone. */
  beat(): void {
    const { webSocket } = this.#parts;
    if (this.#closing || webSocket.readyState !== webSocket.OPEN) return;
    // While this server doesn't read, it can't see a pong either.
    if (!this.#alive && !webSocket.isPaused) {
      this.#note("info", "did not answer a ping");
      this.#abort("The client did not answer a ping.");
      return;
    }
    this.#alive = false;
    webSocket.ping();
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.#alive = true;
    if (this.#closing) return;
    this.#waiting.push({ data, isBinary });
    this.#waitingBytes += data.length;
    if (this.#isFull()) this.#parts.webSocket.pause();
    if (!this.#handling) void this.#handleWaiting();
  }

  #isFull(): boolean {
    return this.#waiting.length > MAX_WAITING_FRAMES || this.#waitingBytes > MAX_WAITING_BYTES;
  }

  async #handleWaiting(): Promise<void> {
    this.#handling = true;
    for (let frame = this.#waiting.shift(); frame; frame = this.#waiting.shift()) {
      this.#waitingBytes -= frame.data.length;
      if (this.#parts.webSocket.isPaused && !this.#isFull()) {
        this.#alive = true;
        this.#parts.webSocket.resume();
      }
      const answer = await this.#parts.events.message(frame.data, frame.isBinary, this.#gone);
      if (this.#gone.reason) return;
      if (answer) this.#takeAnswer(answer);
      else this.#fail("no event handler takes a message event");
    }
    this.#handling = false;
    if (this.#ended !== undefined) await this.#disconnected(this.#ended);
  }

  /** The answer to a user event: any status but 2xx, or a body we can't send on, drops the connection. */
  #takeAnswer(answer: UpstreamAnswer): void {
    if (answer.status < 200 || answer.status > 299) {
      const words = answer.body.toString().slice(0, 300);
      this.#fail(`a message event was answered ${answer.status}: ${words}`);
      return;
    }
    this.#parts.events.takeState(answer);
    if (answer.body.length === 0) return;
    const isBinary = answerIsBinary(answer);
    if (isBinary === undefined) {
      const type = answer.headers["content-type"];
      this.#fail(
        `a message event was answered with content type "${type}" that is not text/plain, application/json or application/octet-stream, or with text that is not UTF-8`,
      );
      return;
    }
    this.send(encodeFrame(answer.body, isBinary));
  }

  /** Ends the connection of a user event that failed. The client is not told why. */
  #fail(why: string): void {
    this.#note("warn", why);
    this.close(1011, "The message could not be handled.");
  }

  #abort(reason: string): void {
    this.#leave(reason);
    this.#parts.webSocket.terminate();
  }

  #leave(reason: string): void {
    this.#closing = true;
    this.#closeReason = reason;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#onGone(this);
  }

  #onClose(code: number, reason: string): void {
    const isCut = code === NO_CLOSE_FRAME || this.#closing;
    if (!this.#closing) this.#onGone(this);
    this.#closing = true;
    this.#ended = this.#closeReason ?? (reason || `The connection was closed with code ${code}.`);
    if (isCut) {
      this.#waiting.length = 0;
      this.#gone.now("the client has gone");
    }
    if (isCut || !this.#handling) void this.#disconnected(this.#ended);
  }

  async #disconnected(reason: string): Promise<void> {
    const answer = await this.#parts.events.system("disconnected", { reason });
    if (answer) this.#expectSuccess("disconnected", answer);
    this.#finish();
  }

  #expectSuccess(event: string, { status, body }: UpstreamAnswer): void {
    if (status > 299) this.#note("warn", `${event} was answered ${status}: ${body.toString().slice(0, 300)}`);
  }

  #note(level: "info" | "warn", text: string): void {
    this.#parts.log(level, `connection ${this.id} of user ${this.userId ?? "(nobody)"}: ${text}`);
  }
}

function answerIsBinary({ headers, body }: UpstreamAnswer): boolean | undefined {
  // An answer without a type is bytes, as in the vendor's emulator.
  const contentType = String(headers["content-type"] || "application/octet-stream")
    .split(";")[0]!
    .trim()
    .toLowerCase();
  if (body.length > MAX_MESSAGE_BYTES) return undefined;
  if (contentType === "application/octet-stream") return true;
  const isText = contentType === "text/plain" || contentType === "application/json";
  return isText && isUtf8(body) ? false : undefined;
}

function cut(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  let end = MAX_REASON_BYTES;
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1; // not in the middle of a character
  return bytes.toString("utf8", 0, end);
}
