import type { ChatClient, Room, StoredMessage } from "@nonstop/chat-client";
import { expect, test } from "vitest";
import type { ChaosProxy, Mood } from "../support/chaosProxy.js";
import { afterTest, asHistory, chaosProxy, connected, opened, storedIn } from "../support/chat.js";
import { history, makeRoom, newUsers, until } from "../support/client.js";

const STORM: Mood = { delayMs: 20, repeat: 0.15, cut: 0.02, failCall: 0.1 };

interface Member {
  readonly userId: number;
  readonly client: ChatClient;
  readonly proxy: ChaosProxy;
  readonly room: Room;
  /** What a look at the room at any moment must never show. */
  readonly wrong: string[];
}

async function member(userId: number, roomId: number): Promise<Member> {
  const proxy = await chaosProxy();
  const client = await connected(userId, { url: proxy.url });
  const room = await opened(client, roomId);
  const wrong: string[] = [];
  room.on("change", () => wrong.push(...faults(room, userId)));
  return { userId, client, proxy, room, wrong };
}

/** Gaps, repeats, a wrong order, one's own messages in another order than written, and one that is there twice. */
function faults(room: Room, userId: number): string[] {
  const found: string[] = [];
  const stored = storedIn(room);
  stored.forEach((message, index) => {
    const before = stored[index - 1];
    if (before && message.seq !== before.seq + 1) found.push(`${message.seq} behind ${before.seq}`);
  });
  const own = room.messages.filter((message) => message.state !== "stored" || message.senderId === userId);
  const numbers = own.map(({ content }) => Number(content.split(" ")[1]));
  numbers.forEach((number, index) => {
    if (index > 0 && number <= numbers[index - 1]!) found.push(`own ${number} behind ${numbers[index - 1]}`);
  });
  return found;
}

async function writeAll(one: Member, count: number): Promise<void> {
  const sent: Promise<StoredMessage>[] = [];
  for (let number = 1; number <= count; number += 1) {
    sent.push(one.room.send(`${one.userId} ${number}`));
    await new Promise((resolve) => setTimeout(resolve, 40 * Math.random()));
    if (number % 7 === 0) one.room.markRead();
  }
  await Promise.all(sent);
}

test("through a storm of cuts, delays and repeats each member sees the history, at every moment", async () => {
  const users = newUsers(3) as [number, number, number];
  const roomId = await makeRoom(users);
  const members = await Promise.all(users.map((userId) => member(userId, roomId)));
  for (const { proxy } of members) proxy.mood = STORM;
  const cutting = setInterval(() => members[Math.floor(Math.random() * 3)]!.proxy.cut(), 700);
  afterTest(() => clearInterval(cutting));
  const written = members.map((one) => writeAll(one, 60));
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  await until(() => members.every(({ proxy }) => proxy.opened > 3), "each has come back again and again");
  clearInterval(cutting);
  for (const { proxy } of members) proxy.mood = {};
  await Promise.all(written);
  const all = await history(roomId, users[0]);
  expect(all.length).toBe(180);
  const [first, second] = members as [Member, Member, Member];
  for (const { room } of members) await until(() => storedIn(room).length === 180, "all are shown");
  // The third one reads only what they read on the way.
  for (const { room } of [first, second]) room.markRead();
  const counts = (messages: readonly { unreadCount: number }[]) =>
    messages.map(({ unreadCount }) => unreadCount);
  await until(
    async () => (await history(roomId, users[0])).every(({ unreadCount }) => unreadCount <= 1),
    "both have read",
  );
  const now = await history(roomId, users[0]);
  for (const { room, wrong } of members) {
    await until(() => String(counts(storedIn(room))) === String(counts(now)), "the counts are the history's");
    expect(asHistory(room)).toEqual(now);
    expect(room.messages.length).toBe(180);
    expect(wrong).toEqual([]);
  }
});
