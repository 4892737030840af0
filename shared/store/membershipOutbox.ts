import type { RowDataPacket } from "mysql2/promise";
import type { MessageSent } from "../events/messages.js";
import { defined } from "../platform/defined.js";
import type { Queryable } from "./database.js";

/** The work that a committed change of members still has to do outside the database. */
export interface PendingChange {
  /** The user to be taken out of the room's groups first. */
  readonly removedUserId?: number;
  /** The announcement to be published after that. Leaving a one-to-one room has none. */
  readonly event?: MessageSent;
}

interface OutboxRow extends RowDataPacket {
  outbox_id: number;
  room_id: number;
  removed_user_id: number | null;
  event: string | null;
}

/** Notes the work that changes still have to do, in the transaction that makes them. */
export async function insertChanges(
  tx: Queryable,
  roomId: number,
  changes: readonly PendingChange[],
): Promise<void> {
  if (changes.length === 0) return;
  await tx.query(
    `INSERT INTO membership_outbox (room_id, removed_user_id, event, created_at)
     VALUES ${changes.map(() => "(?, UTC_TIMESTAMP(3))").join(", ")}`,
    changes.map(({ removedUserId, event }) => [
      roomId,
      removedUserId ?? null,
      event === undefined ? null : JSON.stringify(event),
    ]),
  );
}

/** The first `limit` pending changes of a room, in the order in which they were made. */
export async function listChanges(
  db: Queryable,
  roomId: number,
  limit: number,
): Promise<readonly (PendingChange & { readonly id: number })[]> {
  const [rows] = await db.query<OutboxRow[]>(
    `SELECT outbox_id, removed_user_id, event FROM membership_outbox
      WHERE room_id = ? ORDER BY outbox_id LIMIT ?`,
    [roomId, limit],
  );
  return rows.map((row) => ({
    id: row.outbox_id,
    ...defined({
      removedUserId: row.removed_user_id ?? undefined,
      event: row.event === null ? undefined : (JSON.parse(row.event) as MessageSent),
    }),
  }));
}

/** Forgets changes whose work is done. */
export async function deleteChanges(db: Queryable, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await db.query("DELETE FROM membership_outbox WHERE outbox_id IN (?)", [ids]);
}

/**
 * Up to `limit` rooms with changes that have been pending for `seconds` or longer, the oldest first. The call
 * that made such a change has not finished it.
 */
export async function listRoomsWithChanges(
  db: Queryable,
  seconds: number,
  limit: number,
): Promise<readonly number[]> {
  const [rows] = await db.query<OutboxRow[]>(
    `SELECT room_id FROM membership_outbox
      WHERE created_at <= UTC_TIMESTAMP(3) - INTERVAL ? SECOND
      GROUP BY room_id ORDER BY MIN(outbox_id) LIMIT ?`,
    [seconds, limit],
  );
  return rows.map((row) => row.room_id);
}
