import { ChatError } from "./errors.js";
import { type ChatTiming, within } from "./timing.js";
import type { Outbox, OutboxEntry } from "./types.js";

/** The user of messages that were written before the first token. The outbox doesn't get them. */
export const NOBODY = 0;

/** An outbox that may fail or hang: its calls never reject, and resolve in time. */
export class KeptOutbox {
  /** Whether the last call failed. */
  fails = false;
  readonly #outbox: Outbox;
  readonly #timing: ChatTiming;
  readonly #onError: (error: ChatError) => void;

  /** `onError` hears that the outbox fails, once until it works again. */
  constructor(outbox: Outbox, timing: ChatTiming, onError: (error: ChatError) => void) {
    this.#outbox = outbox;
    this.#timing = timing;
    this.#onError = onError;
  }

  /**
   * Resolves with `undefined` where the outbox can't be read now. Leaves out entries that can't be sent, and
   * tells their number.
   */
  load(userId: number): Promise<readonly OutboxEntry[] | undefined> {
    return this.#try(async () => {
      const entries = await this.#outbox.load(userId);
      const readable = entries.filter(isEntry);
      const count = entries.length - readable.length;
      if (count > 0) this.#onError(new ChatError("OUTBOX_FAILED", `${count} kept messages can't be read`));
      return readable;
    });
  }

  async put(entry: OutboxEntry): Promise<void> {
    if (entry.userId !== NOBODY) await this.#try(() => this.#outbox.put(entry));
  }

  async remove(entry: OutboxEntry): Promise<void> {
    await this.#try(() => this.#outbox.remove(entry));
  }

  async #try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await within(this.#timing.outboxTimeoutMs, "the outbox did not answer", work);
      this.fails = false;
      return result;
    } catch (cause) {
      const isNew = !this.fails;
      this.fails = true;
      const text = "unsent messages can't be kept over a reload";
      if (isNew) this.#onError(new ChatError("OUTBOX_FAILED", text, { cause }));
      return undefined;
    }
  }
}

/** Whether it can be sent. Another program, or an earlier version, may have written it. */
const isEntry = (entry: unknown): entry is OutboxEntry => {
  const { roomId, clientMessageId, content } = Object(entry);
  return Number.isInteger(roomId) && [clientMessageId, content].every((text) => typeof text === "string");
};
