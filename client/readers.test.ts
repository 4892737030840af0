import { describe, expect, test } from "vitest";
import { movesOf, Readers } from "./readers.js";
import type { Member, Message } from "./types.js";

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
const member = (userId: number, lastReadMessageId: number | null, more: Partial<Member> = {}): Member => ({
  userId,
  nickname: `user ${userId}`,
  profileImageUrl: null,
  joinedAt: "2026-01-01T00:00:00.000Z",
  isCreator: userId === 1,
  lastReadMessageId,
  ...more,
});
const members = (positions: Readonly<Record<number, number | null>>) =>
  Object.entries(positions).map(([id, position]) => member(Number(id), position));
const ids = (list: readonly Member[] | undefined) => list?.map(({ userId }) => userId);

describe("in a room of two", () => {
  test("a message has the count that came with it, until the other one has read it", () => {
    const readers = new Readers();
    expect(readers.unreadCount(message(5))).toBe(1);
    readers.move(2, 4);
    expect(readers.unreadCount(message(5))).toBe(1);
    readers.move(2, 5);
    expect(readers.unreadCount(message(5))).toBe(0);
  });

  test("its sender's position says nothing", () => {
    const readers = new Readers();
    readers.move(1, 9);
    expect(readers.unreadCount(message(5))).toBe(1);
  });

  test("a read that comes before its message, twice or late counts once", () => {
    const readers = new Readers();
    expect([7, 7, 3].map((position) => readers.move(2, position))).toEqual([true, false, false]);
    expect([message(6), message(7), message(8)].map((one) => readers.unreadCount(one))).toEqual([0, 0, 1]);
  });

  test("a page that counts the read already is not lowered once more", () => {
    const readers = new Readers();
    readers.move(2, 7);
    expect(readers.unreadCount(message(7, { unreadCount: 0 }))).toBe(0);
  });
});

describe("in a group", () => {
  test("a message is unread by those whose position is before it", () => {
    const readers = new Readers();
    readers.setMembers(members({ 1: 10, 2: null, 3: 5, 4: 7 }));
    expect([5, 6, 7, 8, 10, 11].map((id) => readers.unreadCount(message(id)))).toEqual([1, 2, 2, 3, 3, 4]);
  });

  test("what was heard and what the service told count both, whichever is further", () => {
    const readers = new Readers();
    readers.move(2, 8);
    readers.setMembers(members({ 1: 8, 2: 3, 3: 6 }));
    expect(readers.unreadCount(message(8))).toBe(1);
    readers.move(3, 8);
    expect(readers.unreadCount(message(8))).toBe(0);
    expect(readers.positionOf(3)).toBe(8);
  });

  test("who was invited counts from the invitation on, and who is gone no more", () => {
    const readers = new Readers();
    readers.setMembers(members({ 1: 5, 2: 5 }));
    const invitation = message(6, { type: "SYSTEM_INVITE", target: { userId: 3, nickname: "Cem" } });
    readers.apply(invitation);
    expect([5, 6].map((id) => readers.unreadCount(message(id)))).toEqual([0, 3]);
    expect(readers.members?.at(-1)).toMatchObject({ userId: 3, nickname: "Cem", isCreator: false });
    readers.apply(message(7, { type: "SYSTEM_KICK", target: { userId: 2, nickname: "Ben" } }));
    expect(readers.unreadCount(message(6))).toBe(2);
  });

  test("an invitation of several is about all of them", () => {
    const readers = new Readers();
    readers.setMembers(members({ 1: 5, 2: 5 }));
    const targets = [3, 4, 5].map((userId) => ({ userId, nickname: `user ${userId}` }));
    readers.apply(message(6, { type: "SYSTEM_INVITE", target: targets[0]!, targets }));
    expect(ids(readers.members)).toEqual([1, 2, 3, 4, 5]);
    expect(readers.unreadCount(message(7))).toBe(5);
    // One that is repeated, or overtaken by the list, changes no position.
    readers.move(4, 7);
    readers.apply(message(6, { type: "SYSTEM_INVITE", target: targets[0]!, targets }));
    expect(readers.unreadCount(message(7))).toBe(4);
  });

  test("as long as its members are not known, a message has the count that came with it", () => {
    const readers = new Readers();
    readers.isGroup = true;
    readers.move(2, 9);
    expect(readers.unreadCount(message(5, { unreadCount: 7 }))).toBe(7);
  });

  test("who has never been here is waited for from when they come", () => {
    const readers = new Readers();
    readers.setMembers([member(1, 5), member(2, 5), member(3, 5, { isAwaited: true })]);
    expect(readers.unreadCount(message(6))).toBe(2);
    expect(readers.move(3, 6)).toBe(true);
    expect([6, 7].map((id) => readers.unreadCount(message(id)))).toEqual([2, 3]);
    expect(readers.members?.at(-1)).toMatchObject({ isAwaited: false, lastReadMessageId: 6 });
    // A list that was asked for before.
    readers.setMembers([member(1, 5), member(2, 5), member(3, 5, { isAwaited: true })]);
    expect(readers.unreadCount(message(7))).toBe(3);
  });

  test("who has come though nobody told is missed by the count of a message", () => {
    const readers = new Readers();
    readers.setMembers([member(1, 5), member(2, 5)]);
    expect(readers.lacks(message(6, { unreadCount: 3 }))).toBe(false);
    readers.setMembers([member(1, 5), member(2, 5), member(3, 5, { isAwaited: true })]);
    expect([2, 3].map((unreadCount) => readers.lacks(message(6, { unreadCount })))).toEqual([false, true]);
  });

  test("members are the same array until something changes", () => {
    const readers = new Readers();
    expect(readers.members).toBeUndefined();
    readers.setMembers(members({ 1: 5, 2: 5 }));
    const { members: before } = readers;
    expect(readers.members).toBe(before);
    readers.move(2, 5);
    readers.move(2, 7);
    expect(readers.members).not.toBe(before);
    expect(readers.members?.map(({ lastReadMessageId }) => lastReadMessageId)).toEqual([5, 7]);
    expect(readers.members?.[0]).toBe(before?.[0]);
  });

  test("readers are as many as the count says, without who joined later or was never here", () => {
    const readers = new Readers();
    readers.setMembers([
      ...members({ 1: 6, 2: 7, 3: null, 4: 5 }),
      member(5, 6, { joinedAt: "2026-01-02T03:04:06.000Z" }),
      member(6, 9, { isAwaited: true }),
    ]);
    const told = readers.readersOf(message(6));
    expect([ids(told?.readBy), ids(told?.notReadBy)]).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(readers.unreadCount(message(6))).toBe(2);
    expect(readers.readersOf(message(6, { type: "SYSTEM_LEAVE" }))).toBeUndefined();
    expect(new Readers().readersOf(message(6))).toBeUndefined();
  });

  test("the move of someone who is no member counts nothing", () => {
    const readers = new Readers();
    readers.setMembers(members({ 1: 5, 2: null }));
    readers.move(9, 5);
    expect(readers.unreadCount(message(5))).toBe(1);
  });
});

test.each(["SYSTEM_INVITE", "SYSTEM_LEAVE", "SYSTEM_KICK", "SYSTEM_RENAME"] as const)(
  "%s is not to be read, whatever the service says",
  (type) => {
    const readers = new Readers();
    expect(readers.unreadCount(message(5, { type, unreadCount: 3 }))).toBe(0);
    readers.setMembers(members({ 1: null, 2: null }));
    expect(readers.unreadCount(message(5, { type, unreadCount: 3 }))).toBe(0);
  },
);

test("several moves may come as one", () => {
  const move = { userId: 2, lastReadMessageId: 9, lastReadSeq: 5 };
  expect(movesOf(move)).toEqual([move]);
  expect(movesOf({ reads: [move, move] })).toEqual([move, move]);
});
