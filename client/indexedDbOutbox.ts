import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Outbox, OutboxEntry } from "./types.js";

interface Schema extends DBSchema {
  entries: {
    key: [userId: number, roomId: number, clientMessageId: string];
    value: OutboxEntry & { readonly order: number };
    indexes: { order: [userId: number, order: number] };
  };
}

/**
 * Unsent messages in the browser's IndexedDB: they survive a reload, and are sent by whichever page of the user runs next. Two
 * pages may send the same one: the service stores it once. Where IndexedDB can't be used its calls reject, and the client goes on
 * without it.
 */
export function indexedDbOutbox(name = "nonstop-chat-outbox"): Outbox {
  const database = open(name);
  // Said by the first call instead.
  database.catch(() => {});
  return {
    async load(userId) {
      const db = await database;
      const entries = await db.getAllFromIndex("entries", "order", allOf(userId));
      return entries.map(({ order: _, ...entry }) => entry);
    },
    async put(entry) {
      const transaction = (await database).transaction("entries", "readwrite");
      const { userId, roomId, clientMessageId } = entry;
      const before = await transaction.store.get([userId, roomId, clientMessageId]);
      // Not the time: several are written within a millisecond, and clocks are set back.
      const last = await transaction.store.index("order").openCursor(allOf(userId), "prev");
      const order = before?.order ?? (last?.value.order ?? 0) + 1;
      await transaction.store.put({ ...entry, order });
      await transaction.done;
    },
    async remove({ userId, roomId, clientMessageId }) {
      await (await database).delete("entries", [userId, roomId, clientMessageId]);
    },
  };
}

const allOf = (userId: number) => IDBKeyRange.bound([userId, 0], [userId, Number.MAX_SAFE_INTEGER]);

/** Rejects also where there is no IndexedDB at all. */
async function open(name: string): Promise<IDBPDatabase<Schema>> {
  return await openDB<Schema>(name, 1, {
    upgrade(db) {
      const entries = db.createObjectStore("entries", { keyPath: ["userId", "roomId", "clientMessageId"] });
      entries.createIndex("order", ["userId", "order"]);
    },
  });
}
