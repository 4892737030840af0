import { type ChatError, isUnexpected, toChatError } from "./errors.js";
import { isPassing } from "./http.js";
import { after, type ChatTiming, pauseAfter } from "./timing.js";

const SEND_READ = "/pub/chat/read";

interface Read {
  /** The last message that the user has read. */
  wanted: number;
  /** The last message whose read the service has taken. */
  sent: number;
  /** How often in a row the service could not take it. */
  failures: number;
  pause: (() => void) | undefined;
}

export interface ReadsOptions {
  readonly timing: ChatTiming;
  /** Resolves when the service has taken the frame for good; rejects with a `ChatError`. */
  readonly send: (destination: string, body: object) => Promise<void>;
  /** Hears what was not expected. */
  readonly onError: (error: ChatError) => void;
}

/**
 * Says to the service what the user has read: not too often, and until the service has taken it, also when
 * the room is closed.
 */
export class Reads {
  readonly #rooms = new Map<number, Read>();
  readonly #options: ReadsOptions;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  mark(roomId: number, messageId: number): void {
    const read = this.#rooms.get(roomId) ?? { wanted: 0, sent: 0, failures: 0, pause: undefined };
    this.#rooms.set(roomId, read);
    if (messageId <= read.wanted) return;
    read.wanted = messageId;
    if (!read.pause) void this.#send(roomId, read);
  }

  /**
   * Sends at once what was not taken yet. Call it when connected. Resolves when all of it was tried; never
   * rejects.
   */
  async flush(): Promise<void> {
    const left = [...this.#rooms].filter(([, read]) => read.wanted > read.sent);
    await Promise.all(left.map(([roomId, read]) => this.#send(roomId, read)));
  }

  /** Forgets the room. */
  forget(roomId: number): void {
    this.#rooms.get(roomId)?.pause?.();
    this.#rooms.delete(roomId);
  }

  async #send(roomId: number, read: Read): Promise<void> {
    const { wanted } = read;
    this.#pause(roomId, read, this.#options.timing.readEveryMs, wanted);
    try {
      await this.#options.send(SEND_READ, { roomId, messageId: wanted });
    } catch (thrown) {
      const error = toChatError(thrown, this.#options.onError);
      // It goes out with the next connection, or the user's next read.
      if (error.code === "OFFLINE" || isUnexpected(error)) return;
      if (isPassing(error)) {
        this.#pause(roomId, read, pauseAfter(error, read.failures, this.#options.timing), 0);
        read.failures += 1;
        return;
      }
      // What is refused for good is done with, as what was taken is.
    }
    read.failures = 0;
    read.sent = Math.max(read.sent, wanted);
  }

  /** After the pause sends what the user has read beyond `than`. */
  #pause(roomId: number, read: Read, ms: number, than: number): void {
    read.pause?.();
    read.pause = after(ms, () => {
      read.pause = undefined;
      if (read.wanted > Math.max(than, read.sent)) void this.#send(roomId, read);
    });
  }
}
