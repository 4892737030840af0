import type { NamedUser } from "../events/messages.js";
import type { MessageFrame } from "./frame.js";

/**
 * How a user's list of rooms has changed. It is a hint to ask for the list, which alone says what is true.
 */
export type RoomListChange =
  | {
      readonly type: "ROOM_ADDED";
      /**
       * Of a group. A one-to-one room bears the other user's name, which is `by` for the one who did not open
       * it.
       */
      readonly roomName: string | null;
      /** The user who made the room, invited, or wrote. */
      readonly by: NamedUser;
    }
  | { readonly type: "ROOM_REMOVED" }
  | { readonly type: "ROOM_RENAMED"; readonly roomName: string; readonly by: NamedUser }
  /** A group has another picture, or none any more. */
  | { readonly type: "ROOM_IMAGE_CHANGED"; readonly imageUrl: string | null; readonly by: NamedUser };

/**
 * The frame on `/user/queue/rooms`, the same for every user who is told. `timestamp`: milliseconds since
 * 1970.
 */
export const roomListFrame = (
  roomId: number,
  { type, ...more }: RoomListChange,
  timestamp: number,
): MessageFrame => ({
  destination: { kind: "userRooms" },
  messageId: `${type}-${roomId}-${timestamp}`,
  body: JSON.stringify({ type, roomId, ...more, timestamp }),
});
