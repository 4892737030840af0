import { expect, test } from "vitest";
import { roomListChangedFrame } from "./roomListChanged.js";

test("a change of a user's list of rooms is a frame with an id of its own", () => {
  const at = { roomId: 9_007_199_254_740_991, timestamp: 1_767_323_045_678 };
  expect(roomListChangedFrame({ type: "ROOM_ADDED", ...at })).toEqual([
    {
      destination: "/user/queue/rooms",
      "message-id": "ROOM_ADDED-9007199254740991-1767323045678",
      "content-type": "application/json",
    },
    '{"type":"ROOM_ADDED","roomId":9007199254740991,"timestamp":1767323045678}',
  ]);
  const [{ "message-id": other }, body] = roomListChangedFrame({ type: "ROOM_REMOVED", ...at });
  expect(other).toBe("ROOM_REMOVED-9007199254740991-1767323045678");
  expect(JSON.parse(body)).toEqual({ type: "ROOM_REMOVED", ...at });
});
