import { describe, expect, it } from "vitest";
import { movesOf, Readers } from "./readers.js";
import type { Message } from "./types.js";

const message = (messageId: number, more: Partial<Message> = {}): Message => ({
  messageId,
  seq: messageId,
  roomId: 1,
  senderId: 1,
  senderNickname: "Ann",
  type: "TEXT",
  content: "Hello",
  sentAt: "2026-01-02T03:04:05.678Z",
  unreadCount: 1,
  ...more,
});
const members = (positions: Readonly<Record<number, number | null>>) =>
  Object.entries(positions).map(([id, lastReadMessageId]) => ({ userId: Number(id), lastReadMessageId }));

describe("in a room of two", () => {
  it("a message has the count that came with it, until the other one has read it", () => {
    const readers = new Readers();
    expect(readers.unreadCount(message(5))).toBe(1);
    readers.move(2, 4);
    expect(readers.unreadCount(message(5))).toBe(1);
    readers.move(2, 5);
    expect(readers.unreadCount(message(5))).toBe(0);
  });

  it("its sender's position says nothing", () => {
    const readers = new Readers();
    readers.move(1, 9);
    expect(readers.unreadCount(message(5))).toBe(1);
  });

  it("a read that comes before its message, twice or late counts once", () => {
    const readers = new Readers();
    expect([7, 7, 3].map((position) => readers.move(2, position))).toEqual([true, false, false]);
    expect([message(6), message(7), message(8)].map((one) => readers.unreadCount(one))).toEqual([0, 0, 1]);
  });

  it("a page that counts the read already is not lowered once more", () => {
    const readers = new Readers();
    readers.move(2, 7);
    expect(readers.unreadCount(message(7, { unreadCount: 0 }))).toBe(0);
  });
});

describe("in a group", () => {
  it("a message is unread by those whose position is before it", () => {
    const readers = new Readers();
    readers.setMembers(members({ 1: 10, 2: null, 3: 5, 4: 7 }));
    expect([5, 6, 7, 8, 10, 11].map((id) => readers.unreadCount(message(id)))).toEqual([1, 2, 2, 3, 3, 4]);
  });

  it("what was heard and what the service told count both, whichever is further", () => {
    const readers = new Readers();
    readers.move(2, 8);
    readers.setMembers(members({ 1: 8, 2: 3, 3: 6 }));
    expect(readers.unreadCount(message(8))).toBe(1);
    readers.move(3, 8);
    expect(readers.unreadCount(message(8))).toBe(0);
    expect(readers.positionOf(3)).toBe(8);
  });

  it("who was invited counts from the invitation on, and who is gone no more", () => {
    const readers = new Readers();
    readers.setMembers(members({ 1: 5, 2: 5 }));
    const invitation = message(6, { type: "SYSTEM_INVITE", target: { userId: 3, nickname: "Cem" } });
    readers.apply(invitation);
    expect([5, 6].map((id) => readers.unreadCount(message(id)))).toEqual([0, 3]);
    readers.apply(message(7, { type: "SYSTEM_KICK", target: { userId: 2, nickname: "Ben" } }));
    expect(readers.unreadCount(message(6))).toBe(2);
  });

  it("the move of someone who is no member counts nothing", () => {
    const readers = new Readers();
    readers.setMembers(members({ 1: 5, 2: null }));
    readers.move(9, 5);
    expect(readers.unreadCount(message(5))).toBe(1);
  });
});

it("several moves may come as one", () => {
  const move = { userId: 2, lastReadMessageId: 9, lastReadSeq: 5 };
  expect(movesOf(move)).toEqual([move]);
  expect(movesOf({ reads: [move, move] })).toEqual([move, move]);
});
