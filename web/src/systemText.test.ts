import type { Message } from "@nonstop/chat-client";
import { expect, test } from "vitest";
import { previewOf, systemText } from "./systemText.js";
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

const many = ["Ben", "Carl", "Dan", "Eve", "Fay"].map((nickname, index) => ({ userId: index + 2, nickname }));

test.each([
  [1, "Ann invited Ben", "Ann님이 Ben님을 초대했어요"],
  [2, "Ann invited Ben and Carl", "Ann님이 Ben님, Carl님을 초대했어요"],
  [3, "Ann invited Ben, Carl and Dan", "Ann님이 Ben님, Carl님, Dan님을 초대했어요"],
  [4, "Ann invited Ben, Carl, Dan and 1 other", "Ann님이 Ben님, Carl님, Dan님 외 1명을 초대했어요"],
  [5, "Ann invited Ben, Carl, Dan and 2 others", "Ann님이 Ben님, Carl님, Dan님 외 2명을 초대했어요"],
])("%i who were invited at once", (count, english, korean) => {
  const targets = many.slice(0, count);
  const invite = message("SYSTEM_INVITE", { target: targets[0]!, targets });
  expect(systemText(invite, en)).toBe(english);
  expect(systemText(invite, ko)).toBe(korean);
});

test("a new name of the group is told in the user's language", () => {
  const rename = message("SYSTEM_RENAME", { roomName: "Plans" });
  expect(systemText(rename, en)).toBe("Ann renamed the group to Plans");
  expect(systemText(rename, ko)).toBe("Ann님이 그룹 이름을 바꿨어요: Plans");
});

test("who has a name that looks empty is called by the id", () => {
  const kick = message("SYSTEM_KICK", {
    senderNickname: "\u3164",
    target: { userId: 2, nickname: "\u200B" },
  });
  expect(systemText(kick, en)).toBe("User 1 removed User 2");
});

test.each([
  [message("TEXT"), "Ann: a sentence of the service"],
  [message("TEXT", { senderId: 9 }), "You: a sentence of the service"],
  [message("IMAGE"), "Ann: Picture"],
  [message("TEXT", { senderNickname: "مريم" }), "\u2068مريم\u2069: a sentence of the service"],
  [message("SYSTEM_INVITE", { target, targets: [target] }), "Ann invited Ben"],
  // The list of rooms has only the first three.
  [message("SYSTEM_INVITE", { target, targets: many.slice(0, 3) }), "Ann invited Ben and others"],
  [message("SYSTEM_LEAVE", { target }), "Ben left"],
  [message("SYSTEM_KICK", { target }), "Ann removed Ben"],
  [message("SYSTEM_RENAME", { roomName: "Plans" }), "Ann renamed the group to Plans"],
  [message("SYSTEM_LEAVE"), "a sentence of the service"],
])("the list of rooms says who, case %#", (last, text) => expect(previewOf(last, 9, true, en)).toBe(text));

test("in a room of two it needs no name", () => {
  expect(previewOf(message("TEXT"), 9, false, en)).toBe("a sentence of the service");
});

test("a service that does not name senders in the list is understood, too", () => {
  const { senderNickname: _, ...last } = message("TEXT");
  expect(previewOf(last, 9, true, en)).toBe("a sentence of the service");
});

test("one that does not say whom it is about is told in the service's words", () => {
  expect(systemText(message("SYSTEM_INVITE"), ko)).toBe("a sentence of the service");
});

test.each(["TEXT", "IMAGE"] as const)("what people send as %s is theirs", (type) => {
  expect(systemText(message(type), en)).toBeUndefined();
});
