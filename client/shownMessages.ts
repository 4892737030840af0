import type { Readers } from "./readers.js";
import type { Timeline } from "./timeline.js";
import type { PendingMessage, RoomMessage, StoredMessage } from "./types.js";

/**
 * A room's messages as they are shown: the history with its counts, and behind it the user's own that are not
 * in it yet.
 */
export class ShownMessages {
  #stored = new Map<number, StoredMessage>();
  #all: readonly RoomMessage[] | undefined;

  constructor(
    private readonly timeline: Timeline,
    private readonly readers: Readers,
    private readonly pending: () => readonly PendingMessage[],
    private readonly userId: () => number | undefined,
  ) {}

  /** The same array until something has changed. */
  get all(): readonly RoomMessage[] {
    this.#all ??= this.#arrange();
    return this.#all;
  }

  changed(): void {
    this.#all = undefined;
  }

  #arrange(): readonly RoomMessage[] {
    const before = this.#stored;
    this.#stored = new Map();
    for (const message of this.timeline.messages) {
      const unreadCount = this.readers.unreadCount(message);
      const shown = before.get(message.seq);
      // The object stays the same until something in it changes, for pages that draw only changes.
      const same = shown?.unreadCount === unreadCount;
      this.#stored.set(message.seq, same ? shown : { ...message, unreadCount, state: "stored" });
    }
    return [...this.#stored.values(), ...this.#ownWaiting(), ...this.#notStored()];
  }

  /** The user's own messages that are stored, but behind others that are being loaded. */
  #ownWaiting(): PendingMessage[] {
    const own = this.timeline.waiting.filter(({ senderId }) => senderId === this.userId());
    return own.flatMap(({ roomId, clientMessageId, type, content, sentAt }) =>
      typeof clientMessageId === "string" && (type === "TEXT" || type === "IMAGE")
        ? [{ state: "accepted", roomId, clientMessageId, type, content, createdAt: sentAt }]
        : [],
    );
  }

  /** The user's own messages that are on their way. Those of an earlier run may be in the history already. */
  #notStored(): readonly PendingMessage[] {
    const pending = this.pending();
    if (pending.length === 0) return pending;
    const own = [...this.#stored.values()].filter(({ senderId }) => senderId === this.userId());
    const stored = new Set(own.map(({ clientMessageId }) => clientMessageId));
    return pending.filter(({ clientMessageId }) => !stored.has(clientMessageId));
  }
}
