import { expect, test } from "vitest";
import { headersOf } from "./frame.js";
import { type RoomListChange, roomListFrame } from "./roomList.js";

const by = { userId: 2, nickname: "Ben" };

test.each<[RoomListChange, body: string]>([
  [
    { type: "ROOM_ADDED", roomName: "Team", by },
    '{"type":"ROOM_ADDED","roomId":9007199254740991,"roomName":"Team","by":{"userId":2,"nickname":"Ben"},"timestamp":1767323045678}',
  ],
  [
    { type: "ROOM_ADDED", roomName: null, by },
    '{"type":"ROOM_ADDED","roomId":9007199254740991,"roomName":null,"by":{"userId":2,"nickname":"Ben"},"timestamp":1767323045678}',
  ],
  [{ type: "ROOM_REMOVED" }, '{"type":"ROOM_REMOVED","roomId":9007199254740991,"timestamp":1767323045678}'],
  [
    { type: "ROOM_RENAMED", roomName: "Team", by },
    '{"type":"ROOM_RENAMED","roomId":9007199254740991,"roomName":"Team","by":{"userId":2,"nickname":"Ben"},"timestamp":1767323045678}',
  ],
])("a change of a user's list of rooms is a frame with an id of its own: %j", (change, body) => {
  const frame = roomListFrame(9_007_199_254_740_991, change, 1_767_323_045_678);
  expect([headersOf(frame), frame.body]).toEqual([
    {
      destination: "/user/queue/rooms",
      "message-id": `${change.type}-9007199254740991-1767323045678`,
      "content-type": "application/json",
    },
    body,
  ]);
});
