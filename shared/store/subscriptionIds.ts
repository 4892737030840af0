import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";

/** A destination takes at most so many different ids, so that nobody can multiply the broadcast calls at will. */
export const IDS_PER_DESTINATION = 256;

interface IdRow extends RowDataPacket {
  destination: Buffer;
  subscription_id: Buffer;
}

/** The ids in use on each of these destination keys, as they stand on the wire. */
export async function listSubscriptionIds(
  db: Queryable,
  destinations: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  if (destinations.length === 0) return new Map();
  const [rows] = await db.query<IdRow[]>(
    "SELECT destination, subscription_id FROM subscription_ids WHERE destination IN (?)",
    [destinations.map((key) => Buffer.from(key))],
  );
  const ids = new Map<string, string[]>();
  for (const row of rows) {
    const key = row.destination.toString();
    const known = ids.get(key);
    if (known) known.push(row.subscription_id.toString());
    else ids.set(key, [row.subscription_id.toString()]);
  }
  return ids;
}

/**
 * Adds an id to a destination. Waits for a removal of the same id that is under way, so that an id which its subscriber
 * has added is there afterwards.
 */
export async function addSubscriptionId(db: Queryable, destination: string, id: string): Promise<void> {
  await db.query(
    // Not INSERT IGNORE: that waits with a shared lock, and of several that wait all but one end in a deadlock.
    `INSERT INTO subscription_ids (destination, subscription_id) VALUES (?, ?)
     ON DUPLICATE KEY UPDATE subscription_id = VALUES(subscription_id)`,
    [Buffer.from(destination), Buffer.from(id)],
  );
}

/** Removes an id; it stays visible to others, and locked, until the transaction ends. */
export async function removeSubscriptionId(tx: Queryable, destination: string, id: string): Promise<void> {
  await tx.query("DELETE FROM subscription_ids WHERE destination = ? AND subscription_id = ?", [
    Buffer.from(destination),
    Buffer.from(id),
  ]);
}
