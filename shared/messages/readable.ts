import type { ReceivedEvent } from "../bus/eventBus.js";
import type { Refused } from "../consumers/deadLetters.js";
import { readEach } from "../consumers/readEach.js";
import { dedupeKey, type MessageSent, parseMessageSent } from "../events/messages.js";
import { groupBy } from "../platform/async.js";

/** An event that could be read, with the key by which its repeats are known. */
export interface ReadableEvent {
  readonly event: ReceivedEvent;
  readonly message: MessageSent;
  /** Unique within the message's room. */
  readonly key: Buffer;
}

/** The events that can be read, in order, and those that can't, with the reason. */
export function readMessages(events: readonly ReceivedEvent[]): {
  readonly readable: readonly ReadableEvent[];
  readonly unreadable: readonly Refused[];
} {
  const { readable, unreadable } = readEach(events, parseMessageSent);
  return {
    readable: readable.map(({ event, content }) => ({ event, message: content, key: dedupeKey(content) })),
    unreadable,
  };
}

/** What is picked from the events of each room, in order. */
export const byRoom = <T>(
  events: readonly ReadableEvent[],
  pick: (one: ReadableEvent) => T,
): Map<number, T[]> => groupBy(events, ({ message }) => message.roomId, pick);

/** How maps name a message, over all rooms: the same for its repeats. */
export const identityOf = ({ message, key }: ReadableEvent): string =>
  `${message.roomId}:${key.toString("hex")}`;
