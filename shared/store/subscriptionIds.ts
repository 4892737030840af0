import type { RowDataPacket } from "mysql2/promise";
import { groupBy } from "../platform/async.js";
import type { Later, Queryable } from "./database.js";

/**
 * An id in use on a destination, and whether its subscribers take several frames in one WebSocket message.
 */
export interface SubscriptionId {
  /** As it stands on the wire. */
  readonly wire: string;
  readonly packed: boolean;
}

interface IdRow extends RowDataPacket {
  destination: Buffer;
  subscription_id: Buffer;
  packed: number;
}

/** The ids in use on each of these destination keys. */
export async function listSubscriptionIds(
  db: Queryable,
  destinations: readonly string[],
): Promise<ReadonlyMap<string, readonly SubscriptionId[]>> {
  if (destinations.length === 0) return new Map();
  const [rows] = await db.query<IdRow[]>(
    "SELECT destination, subscription_id, packed FROM subscription_ids WHERE destination IN (?)",
    [destinations.map((key) => Buffer.from(key))],
  );
  return groupBy(
    rows,
    (row) => row.destination.toString(),
    (row) => ({ wire: row.subscription_id.toString(), packed: row.packed === 1 }),
  );
}

/**
 * Adds an id to a destination. Waits for a removal of the same id that is under way, so the id that a
 * subscriber has added is there afterwards.
 */
export async function addSubscriptionId(
  db: Queryable,
  destination: string,
  wire: string,
  packed = false,
): Promise<void> {
  await db.query(ADDING, row(destination, wire, packed));
}

/** The same at the end of a transaction, or of a lock's time. */
export const addSubscriptionIdLater = (db: Later, destination: string, wire: string, packed: boolean): void =>
  db.later(ADDING, row(destination, wire, packed));

// Not INSERT IGNORE: it waits with a shared lock, and of several that wait all but one end in a deadlock.
const ADDING = `INSERT INTO subscription_ids (destination, subscription_id, packed) VALUES (?, ?, ?)
     ON DUPLICATE KEY UPDATE subscription_id = VALUES(subscription_id)`;

const row = (destination: string, wire: string, packed: boolean): unknown[] => [
  Buffer.from(destination),
  Buffer.from(wire),
  packed ? 1 : 0,
];

/** Removes an id. It stays visible to others, and locked, until the transaction ends. */
export async function removeSubscriptionId(
  tx: Queryable,
  destination: string,
  { wire, packed }: SubscriptionId,
): Promise<void> {
  await tx.query(
    "DELETE FROM subscription_ids WHERE destination = ? AND subscription_id = ? AND packed = ?",
    row(destination, wire, packed),
  );
}
