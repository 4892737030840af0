import { expect, test } from "vitest";
import { headersOf } from "./frame.js";
import { messageFrame, messageShown } from "./message.js";

const message = {
  messageId: 77,
  seq: 3,
  roomId: 5,
  senderId: 1,
  senderNickname: "Ann",
  clientMessageId: "a",
  type: "TEXT" as const,
  content: "hello",
  sentAt: new Date("2026-01-02T03:04:05.678Z"),
};

test("a message as clients get it", () => {
  expect(JSON.stringify(messageShown({ message, unreadCount: 2 }))).toBe(
    '{"messageId":77,"seq":3,"roomId":5,"senderId":1,"senderNickname":"Ann","clientMessageId":"a","type":"TEXT",' +
      '"content":"hello","sentAt":"2026-01-02T03:04:05.678Z","unreadCount":2}',
  );
});

test("its frame has the message's own id and destination", () => {
  const frame = messageFrame({ message, unreadCount: 2 });
  expect(headersOf(frame)).toEqual({
    destination: "/sub/chat/room/5",
    "message-id": "77",
    "content-type": "application/json",
  });
  expect(JSON.parse(frame.body)).toEqual(messageShown({ message, unreadCount: 2 }));
});
