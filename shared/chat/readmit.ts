import type { Queryable } from "../store/database.js";
import { insertMembers } from "../store/members.js";
import { type Room, setMemberCounts } from "../store/rooms.js";

/**
 * Takes one of the two back into their one-to-one room, which goes on where it was: they see its whole
 * history, and all that stands in it counts as read. The caller holds the room's lock and has seen that the
 * user is no member. `awaited` holds the user where they have never been here. Returns the room with its new
 * numbers of members.
 */
export async function readmit(
  tx: Queryable,
  room: Room,
  userId: number,
  at: Date,
  awaited: ReadonlySet<number>,
): Promise<Room> {
  const { roomId } = room;
  await insertMembers(tx, roomId, [userId], at, { ...room, joinedSeq: 0 }, awaited);
  const counts = {
    memberCount: room.memberCount + 1,
    awaitedCount: room.awaitedCount + awaited.size,
  };
  await setMemberCounts(tx, roomId, counts);
  return { ...room, ...counts };
}
