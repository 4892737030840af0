import type { ChatError } from "./errors.js";
import { isPassing } from "./http.js";
import { after } from "./timing.js";

const SEND_READ = "/pub/chat/read";
/** Of a room's reads, at most one goes out in this time. */
const EVERY_MS = 500;
const AGAIN_MS = 2_000;

interface Read {
  /** The furthest message that was read, and the furthest whose read the service has taken. */
  wanted: number;
  sent: number;
  pause: (() => void) | undefined;
}

/** The user's reads on their way to the service: throttled, and kept until they are taken, also when the room is closed meanwhile. */
export class Reads {
  readonly #rooms = new Map<number, Read>();

  /** `send` resolves when the service has taken it for good, and rejects with a `ChatError`. */
  constructor(private readonly send: (destination: string, body: object) => Promise<void>) {}

  mark(roomId: number, messageId: number): void {
    const read = this.#rooms.get(roomId) ?? { wanted: 0, sent: 0, pause: undefined };
    this.#rooms.set(roomId, read);
    if (messageId <= read.wanted) return;
    read.wanted = messageId;
    if (!read.pause) void this.#send(roomId, read);
  }

  /** Sends at once what was not taken yet; to be called when connected. Resolves when all of it was tried; never rejects. */
  async flush(): Promise<void> {
    const left = [...this.#rooms].filter(([, read]) => read.wanted > read.sent);
    await Promise.all(left.map(([roomId, read]) => this.#send(roomId, read)));
  }

  /** Forgets the room: there is nothing to read any more. */
  forget(roomId: number): void {
    this.#rooms.get(roomId)?.pause?.();
    this.#rooms.delete(roomId);
  }

  async #send(roomId: number, read: Read): Promise<void> {
    const { wanted } = read;
    this.#pause(roomId, read, EVERY_MS, wanted);
    await this.send(SEND_READ, { roomId, messageId: wanted }).then(
      () => {
        read.sent = Math.max(read.sent, wanted);
      },
      (error: ChatError) => {
        // Without a connection it goes out with the next one; what is refused for good never will.
        if (!isPassing(error)) read.sent = Math.max(read.sent, wanted);
        else if (error.code !== "OFFLINE")
          this.#pause(roomId, read, (error.retryAfter ?? 0) * 1_000 || AGAIN_MS, 0);
      },
    );
  }

  /** What is wanted beyond `than` when the pause is over goes out then. */
  #pause(roomId: number, read: Read, ms: number, than: number): void {
    read.pause?.();
    read.pause = after(ms, () => {
      read.pause = undefined;
      if (read.wanted > Math.max(than, read.sent)) void this.#send(roomId, read);
    });
  }
}
