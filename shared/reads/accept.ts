import { ReadQuery, RoomPath } from "../calls/schemas.js";
import { validated } from "../calls/validate.js";
import { requireAccess } from "../chat/access.js";
import { READS_HUB, roomRead } from "../events/reads.js";
import type { RoomDeps } from "../rooms/roomDeps.js";

/**
 * Publishes that the caller has read a room up to a message; returns once the bus has stored it. Where it leads is seen when storing. Throws
 * `INVALID_REQUEST`, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`, `UNAVAILABLE`.
 */
export async function readRoom(
  path: unknown,
  query: unknown,
  callerId: number,
  { database, bus, now }: Pick<RoomDeps, "database" | "bus" | "now">,
  traceparent?: string,
): Promise<{ roomId: number; messageId: number }> {
  const { roomId } = validated(RoomPath, path);
  const { messageId } = validated(ReadQuery, query);
  await requireAccess(database, roomId, callerId);
  const event = roomRead({ roomId, userId: callerId, messageId }, now());
  await bus.publish(READS_HUB, String(callerId), event, traceparent);
  return { roomId, messageId };
}
