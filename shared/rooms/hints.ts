import type { NamedUser } from "../events/messages.js";
import type { Hint } from "../fanout/hints.js";
import type { RoomListChange } from "../frames/roomList.js";
import { groupBy } from "../platform/async.js";
import type { Queryable } from "../store/database.js";
import { listMemberIds } from "../store/members.js";
import type { PendingChange } from "../store/membershipOutbox.js";
import { findRoom } from "../store/rooms.js";

/** How the lists of users change by a room, by user id. */
export type ListChanges = Map<number, RoomListChange>;

/** One hint for all users who are told the same. */
export const hintsOf = (roomId: number, lists: ListChanges): readonly Hint[] => {
  const usersByChange = groupBy(
    lists,
    ([, change]) => change,
    ([userId]) => userId,
  );
  return [...usersByChange].map(([change, userIds]) => ({ userIds, roomId, change }));
};

/** Adds to `lists` what a change does to them. `takenOut`: the removed users who are no members again. */
export async function noteListChanges(
  db: Queryable,
  { removedUserId, event }: PendingChange,
  takenOut: ReadonlySet<number>,
  lists: ListChanges,
): Promise<void> {
  if (removedUserId !== undefined && takenOut.has(removedUserId))
    note(lists, [removedUserId], { type: "ROOM_REMOVED" });
  else if (event?.type === "SYSTEM_INVITE") {
    const invited = event.targets ?? (event.target ? [event.target] : []);
    const roomName = (await findRoom(db, event.roomId))?.name ?? null;
    const userIds = invited.map(({ userId }) => userId);
    note(lists, userIds, { type: "ROOM_ADDED", roomName, by: senderOf(event) });
  } else if (event?.type === "SYSTEM_RENAME") {
    const members = await listMemberIds(db, event.roomId);
    note(lists, members, { type: "ROOM_RENAMED", roomName: event.roomName!, by: senderOf(event) });
  }
}

const senderOf = ({ senderId, senderNickname }: NonNullable<PendingChange["event"]>): NamedUser => ({
  userId: senderId,
  nickname: senderNickname,
});

/**
 * A later change takes the place of an earlier one. But a user who has just been added is told so, with the
 * later name.
 */
function note(lists: ListChanges, userIds: readonly number[], change: RoomListChange): void {
  for (const userId of userIds) {
    const before = lists.get(userId);
    const isRename = change.type === "ROOM_RENAMED" && before?.type === "ROOM_ADDED";
    lists.set(userId, isRename ? { ...before, roomName: change.roomName } : change);
  }
}
