import type { Outbox, OutboxEntry } from "./types.js";

/** One that lasts as long as the program. */
export function memoryOutbox(): Outbox {
  const entries = new Map<string, OutboxEntry>();
  const keyOf = ({ userId, roomId, clientMessageId }: OutboxEntry) =>
    `${userId} ${roomId} ${clientMessageId}`;
  return {
    load: async (userId) => [...entries.values()].filter((entry) => entry.userId === userId),
    put: async (entry) => void entries.set(keyOf(entry), entry),
    remove: async (entry) => void entries.delete(keyOf(entry)),
  };
}
