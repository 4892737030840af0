import type { NamedUser } from "../events/messages.js";

/** What has become of a room in a user's list: a hint to ask for the list, which alone says what is true. */
export type RoomListChange =
  | {
      readonly type: "ROOM_ADDED";
      /** Of a group; a one-to-one room bears the other one's name, which is `by` for who did not open it. */
      readonly roomName: string | null;
      /** Who made the room, invited, or wrote. */
      readonly by: NamedUser;
    }
  | { readonly type: "ROOM_REMOVED" }
  | { readonly type: "ROOM_RENAMED"; readonly roomName: string; readonly by: NamedUser };

/**
 * The headers and body of the MESSAGE frame on `/user/queue/rooms`, all but its `subscription`: the same for every user who is told. `timestamp` is in
 * milliseconds since 1970.
 */
export function roomListChangedFrame(
  roomId: number,
  { type, ...more }: RoomListChange,
  timestamp: number,
): readonly [headers: Record<string, string>, body: string] {
  const headers = {
    destination: "/user/queue/rooms",
    // Another id for each content.
    "message-id": `${type}-${roomId}-${timestamp}`,
    "content-type": "application/json",
  };
  return [headers, JSON.stringify({ type, roomId, ...more, timestamp })];
}
