import type { Outbox, OutboxEntry } from "./types.js";

/** Keeps unsent messages in memory, as long as the program runs. */
export function memoryOutbox(): Outbox {
  const entries: OutboxEntry[] = [];
  const indexOf = ({ userId, roomId }: OutboxEntry, clientMessageId: string | undefined) =>
    entries.findIndex(
      (one) => one.userId === userId && one.roomId === roomId && one.clientMessageId === clientMessageId,
    );
  return {
    load: async (userId) => entries.filter((entry) => entry.userId === userId),
    put: async (entry) => {
      const same = indexOf(entry, entry.clientMessageId);
      const at = same < 0 ? indexOf(entry, entry.replaces) : same;
      entries.splice(at < 0 ? entries.length : at, at < 0 ? 0 : 1, entry);
    },
    remove: async (entry) => {
      const at = indexOf(entry, entry.clientMessageId);
      if (at >= 0) entries.splice(at, 1);
    },
  };
}
