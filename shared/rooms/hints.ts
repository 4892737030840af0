import type { NamedUser } from "../events/messages.js";
import type { Hint } from "../fanout/hints.js";

/** These users have become members of a room with this name. A one-to-one room has none. */
export const added = (
  userIds: readonly number[],
  roomId: number,
  roomName: string | null,
  by: NamedUser,
): Hint => ({ userIds, roomId, change: { type: "ROOM_ADDED", roomName, by } });
