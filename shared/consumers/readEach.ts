import type { ReceivedEvent } from "../bus/eventBus.js";
import { ChatError } from "../platform/errors.js";
import type { Refused } from "./deadLetters.js";

/** An event and what it says. */
export interface Readable<T> {
  readonly event: ReceivedEvent;
  readonly content: T;
}

/**
 * The events that `parse` can read, in order, and those that it can't, with the reason: it throws a
 * `ChatError` for these.
 */
export function readEach<T>(
  events: readonly ReceivedEvent[],
  parse: (body: Uint8Array) => T,
): { readonly readable: readonly Readable<T>[]; readonly unreadable: readonly Refused[] } {
  const readable: Readable<T>[] = [];
  const unreadable: Refused[] = [];
  for (const event of events) {
    try {
      readable.push({ event, content: parse(event.body) });
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      unreadable.push({ event, error });
    }
  }
  return { readable, unreadable };
}
