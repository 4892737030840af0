import type { PendingMessage, StoredMessage } from "@nonstop/chat-client";
import { describe, expect, test } from "vitest";
import { arrange } from "./arrange.js";

const ME = 1;
const stored = (seq: number, sentAt: string, more: Partial<StoredMessage> = {}): StoredMessage => ({
  state: "stored",
  messageId: seq,
  seq,
  roomId: 1,
  senderId: 2,
  senderNickname: "Ben",
  type: "TEXT",
  content: "Hello",
  sentAt: `2026-03-0${sentAt}`,
  unreadCount: 0,
  ...more,
});
const pending = (clientMessageId: string, createdAt: string): PendingMessage => ({
  state: "sending",
  roomId: 1,
  clientMessageId,
  type: "TEXT",
  content: "Hello",
  createdAt: `2026-03-0${createdAt}`,
});
const shape = (...messages: Parameters<typeof arrange>[0]) =>
  arrange(messages, ME).map(({ isMine, isFirst, isLast, day }) =>
    [isMine ? "mine" : "theirs", isFirst && "first", isLast && "last", day && "day"]
      .filter(Boolean)
      .join(" "),
  );

describe("what one person writes", () => {
  test("within a minute is put together: the name at the first, the time at the last", () => {
    expect(
      shape(
        stored(1, "2T10:00:01"),
        stored(2, "2T10:00:30"),
        stored(3, "2T10:00:59"),
        stored(4, "2T10:01:00"),
      ),
    ).toEqual(["theirs first day", "theirs", "theirs last", "theirs first last"]);
  });

  test("ends where someone else begins, and where the service says something", () => {
    expect(
      shape(
        stored(1, "2T10:00:01"),
        stored(2, "2T10:00:02", { senderId: ME }),
        stored(3, "2T10:00:03", { senderId: ME, type: "SYSTEM_INVITE" }),
        stored(4, "2T10:00:04", { senderId: ME }),
      ),
    ).toEqual(["theirs first last day", "mine first last", "theirs first last", "mine first last"]);
  });

  test("has its time also when another one is still on its way", () => {
    expect(shape(stored(1, "2T10:00:01", { senderId: ME }), pending("a", "2T10:00:02"))).toEqual([
      "mine first last day",
      "mine last",
    ]);
  });
});

test("each day begins with its first message", () => {
  expect(shape(stored(1, "2T23:59:59"), stored(2, "3T00:00:00"), stored(3, "3T00:00:01"))).toEqual([
    "theirs first last day",
    "theirs first day",
    "theirs last",
  ]);
});

test("one's own message keeps its key when it is stored, and nobody else's takes it", () => {
  const keys = (...messages: Parameters<typeof arrange>[0]) => arrange(messages, ME).map(({ key }) => key);
  const mine = stored(5, "2T10:00:01", { senderId: ME, clientMessageId: "a" });
  expect(keys(mine)).toEqual(keys(pending("a", "2T10:00:01")));
  expect(keys(stored(6, "2T10:00:02", { clientMessageId: "a" }))).toEqual(["6"]);
});
