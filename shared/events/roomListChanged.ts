/** A user's list of rooms has got a room, or has lost it: a hint to ask for the list, which alone says what is true. */
export interface RoomListChanged {
  readonly type: "ROOM_ADDED" | "ROOM_REMOVED";
  readonly roomId: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

/** The headers and body of the MESSAGE frame on `/user/queue/rooms`, all but its `subscription`: the same for every user who is told. */
export function roomListChangedFrame({
  type,
  roomId,
  timestamp,
}: RoomListChanged): readonly [headers: Record<string, string>, body: string] {
  const headers = {
    destination: "/user/queue/rooms",
    // Another id for each content.
    "message-id": `${type}-${roomId}-${timestamp}`,
    "content-type": "application/json",
  };
  return [headers, JSON.stringify({ type, roomId, timestamp })];
}
