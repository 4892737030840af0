import type { RowDataPacket } from "mysql2/promise";
import type { Queryable } from "./database.js";
import type { Stream } from "./streamPositions.js";

interface UnshownRow extends RowDataPacket {
  partition_id: string;
  hub_id: string;
  stored_sequence_number: number;
}

/**
 * The streams of a hub of which something is stored and not broadcast yet, each with the number stored last; nothing
 * for a member of the room who joined before `since`, or who may see all of it.
 */
export async function listUnshownOnJoining(
  db: Queryable,
  hub: string,
  member: { readonly roomId: number; readonly userId: number; readonly since: Date },
): Promise<readonly { readonly stream: Stream; readonly stored: number }[]> {
  const [rows] = await db.query<UnshownRow[]>(
    `SELECT p.partition_id, p.hub_id, p.stored_sequence_number
       FROM room_members m JOIN stream_positions p
         ON p.hub = ? AND p.broadcast_sequence_number < p.stored_sequence_number
      WHERE m.room_id = ? AND m.user_id = ? AND m.joined_seq > 0 AND m.joined_at > ?`,
    [hub, member.roomId, member.userId, member.since],
  );
  return rows.map((row) => ({
    stream: { hub, partitionId: row.partition_id, hubId: row.hub_id },
    stored: row.stored_sequence_number,
  }));
}
