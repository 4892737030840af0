import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";

interface IdRow extends RowDataPacket {
  destination: Buffer;
  subscription_id: Buffer;
}

/** The ids in use on each of these lanes (see `routing.ts`), as they stand on the wire. */
export async function listSubscriptionIds(
  db: Queryable,
  lanes: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  if (lanes.length === 0) return new Map();
  const [rows] = await db.query<IdRow[]>(
    "SELECT destination, subscription_id FROM subscription_ids WHERE destination IN (?)",
    [lanes.map((lane) => Buffer.from(lane))],
  );
  const ids = new Map<string, string[]>();
  for (const row of rows) {
    const lane = row.destination.toString();
    const known = ids.get(lane);
    if (known) known.push(row.subscription_id.toString());
    else ids.set(lane, [row.subscription_id.toString()]);
  }
  return ids;
}

/**
 * Adds an id to a lane. Waits for a removal of the same id that is under way, so that an id which its subscriber
 * has added is there afterwards.
 */
export async function addSubscriptionId(db: Queryable, lane: string, wire: string): Promise<void> {
  await db.query(
    // Not INSERT IGNORE: that waits with a shared lock, and of several that wait all but one end in a deadlock.
    `INSERT INTO subscription_ids (destination, subscription_id) VALUES (?, ?)
     ON DUPLICATE KEY UPDATE subscription_id = VALUES(subscription_id)`,
    [Buffer.from(lane), Buffer.from(wire)],
  );
}

/** Removes an id; it stays visible to others, and locked, until the transaction ends. */
export async function removeSubscriptionId(tx: Queryable, lane: string, wire: string): Promise<void> {
  await tx.query("DELETE FROM subscription_ids WHERE destination = ? AND subscription_id = ?", [
    Buffer.from(lane),
    Buffer.from(wire),
  ]);
}
