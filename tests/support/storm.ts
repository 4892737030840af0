import type { ChatClient, Room, StoredMessage } from "@nonstop/chat-client";
import { expect } from "vitest";
import type { ChaosProxy, Mood } from "./chaosProxy.js";
import { afterTest, asHistory, chaosProxy, connected, opened, storedIn } from "./chat.js";
import { history, makeRoom, newUsers, positionOf, until } from "./client.js";
import { seededRandom } from "./seed.js";

const STORM: Mood = { delayMs: 20, repeat: 0.15, cut: 0.02, failCall: 0.1 };
/** How often somebody's connections are broken, besides those that break by themselves. */
const CUT_EVERY_MS = 700;

interface Member {
  readonly userId: number;
  readonly client: ChatClient;
  readonly proxy: ChaosProxy;
  readonly room: Room;
  /** What a look at the room at any moment must never show. */
  readonly wrong: string[];
}

interface Size {
  /** How many messages each of the three members writes. */
  readonly messages: number;
  /** The storm lasts until each member has connected more often than this. */
  readonly connections: number;
}

/**
 * Three members write into a room through networks that cut, delay and repeat, and read it now and then. Each
 * must see the history, without a gap, a repeat or a wrong order at any moment, and the history's counts in
 * the end.
 */
export async function weatherStorm({ messages, connections }: Size): Promise<void> {
  const users = newUsers(3) as [number, number, number];
  const roomId = await makeRoom(users);
  const members = await Promise.all(users.map((userId) => member(userId, roomId)));
  const endStorm = beginStorm(members);
  const written = members.map((one) => writeAll(one, messages, seededRandom()));
  await until(() => members.every(({ proxy }) => proxy.opened > connections), "each has come back often");
  endStorm();
  await Promise.all(written);
  const all = 3 * messages;
  expect(await history(roomId, users[0])).toHaveLength(all);
  for (const { room } of members) await until(() => storedIn(room).length === all, "all are shown");
  await seeTheSameCounts(members, roomId);
  for (const { room, wrong } of members) {
    expect(room.messages).toHaveLength(all);
    expect(wrong).toEqual([]);
  }
}

async function member(userId: number, roomId: number): Promise<Member> {
  const proxy = await chaosProxy();
  const client = await connected(userId, { url: proxy.url });
  const room = await opened(client, roomId);
  const wrong: string[] = [];
  room.on("change", () => wrong.push(...faults(room, userId)));
  return { userId, client, proxy, room, wrong };
}

/**
 * Gaps, repeats, a wrong order, one's own messages in another order than written, and one that is there
 * twice.
 */
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

/** Returns what ends the storm. */
function beginStorm(members: readonly Member[]): () => void {
  const random = seededRandom();
  for (const { proxy } of members) proxy.mood = STORM;
  const cutOne = (): void => members[Math.floor(random() * members.length)]!.proxy.cut();
  const cutting = setInterval(cutOne, CUT_EVERY_MS);
  afterTest(() => clearInterval(cutting));
  return () => {
    clearInterval(cutting);
    for (const { proxy } of members) proxy.mood = {};
  };
}

async function writeAll(one: Member, count: number, random: () => number): Promise<void> {
  const sent: Promise<StoredMessage>[] = [];
  for (let number = 1; number <= count; number += 1) {
    sent.push(one.room.send(`${one.userId} ${number}`));
    await new Promise((resolve) => setTimeout(resolve, 40 * random()));
    if (number % 7 === 0) one.room.markRead();
  }
  await Promise.all(sent);
}

/** The first two read all; the third has read only what it read on the way, up to its own last message. */
async function seeTheSameCounts(members: readonly Member[], roomId: number): Promise<void> {
  const [first, second] = members as [Member, Member];
  for (const { room } of [first, second]) room.markRead();
  const last = storedIn(first.room).at(-1)!.messageId;
  const counts = (messages: readonly { unreadCount: number }[]) =>
    messages.map(({ unreadCount }) => unreadCount);
  for (const { userId } of [first, second])
    await until(async () => (await positionOf(roomId, userId)) === last, "both have read");
  const now = await history(roomId, first.userId);
  for (const { room } of members) {
    await until(() => String(counts(storedIn(room))) === String(counts(now)), "the counts are the history's");
    expect(asHistory(room)).toEqual(now);
  }
}
