import type { ReceivedEvent } from "../bus/eventBus.js";
import { dedupeKey, type MessageSent, parseMessageSent } from "../events/messages.js";
import { ChatError } from "../platform/errors.js";

/** An event that could be read, with the key by which its repeats are known. */
export interface ReadableEvent {
  readonly event: ReceivedEvent;
  readonly message: MessageSent;
  readonly key: Buffer;
}

/** The events that can be read, in order, and those that can't, with the reason. */
export function readEvents(events: readonly ReceivedEvent[]): {
  readable: readonly ReadableEvent[];
  unreadable: readonly { readonly event: ReceivedEvent; readonly error: ChatError }[];
} {
  const readable: ReadableEvent[] = [];
  const unreadable: { event: ReceivedEvent; error: ChatError }[] = [];
  for (const event of events) {
    try {
      const message = parseMessageSent(event.body);
      readable.push({ event, message, key: dedupeKey(message) });
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      unreadable.push({ event, error });
    }
  }
  return { readable, unreadable };
}

/** What is picked from the events of each room, in order. */
export function byRoom<T>(
  events: readonly ReadableEvent[],
  pick: (one: ReadableEvent) => T,
): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const one of events) {
    const known = groups.get(one.message.roomId);
    if (known) known.push(pick(one));
    else groups.set(one.message.roomId, [pick(one)]);
  }
  return groups;
}

/** How the store names a message by its room and key. */
export const placeOf = ({ message, key }: ReadableEvent): string =>
  `${message.roomId}:${key.toString("hex")}`;
