import type { Message } from "@nonstop/chat-client";
import { expect, test } from "vitest";
import { systemText } from "./systemText.js";
import { en } from "./texts/en.js";
import { ko } from "./texts/ko.js";

const message = (type: Message["type"], more: Partial<Message> = {}): Message => ({
  messageId: 1,
  seq: 1,
  roomId: 7,
  senderId: 1,
  senderNickname: "Ann",
  type,
  content: "a sentence of the service",
  sentAt: "2026-03-01T09:00:00.000Z",
  unreadCount: 0,
  ...more,
});
const target = { userId: 2, nickname: "Ben" };

test.each([
  ["SYSTEM_INVITE", "Ann invited Ben", "Ann님이 Ben님을 초대했어요"],
  ["SYSTEM_LEAVE", "Ben left", "Ben님이 나갔어요"],
  ["SYSTEM_KICK", "Ann removed Ben", "Ann님이 Ben님을 내보냈어요"],
] as const)("%s is told in the user's language", (type, english, korean) => {
  expect(systemText(message(type, { target }), en)).toBe(english);
  expect(systemText(message(type, { target }), ko)).toBe(korean);
});

test("one that does not say whom it is about is told in the service's words", () => {
  expect(systemText(message("SYSTEM_INVITE"), ko)).toBe("a sentence of the service");
});

test.each(["TEXT", "IMAGE"] as const)("what people send as %s is theirs", (type) => {
  expect(systemText(message(type), en)).toBeUndefined();
});
