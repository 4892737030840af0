import { expect } from "vitest";
import { type Connected, call, connect, history, makeRoom, newUsers, until } from "./client.js";
import type { Addresses } from "./stack.js";

/** A stack whose addresses may be others after a later start. */
export interface Running {
  readonly addresses: Addresses;
}

/** Four users who write into a room, and what of it was accepted so far, in the order of each. */
export interface Load {
  readonly stack: Running;
  readonly roomId: number;
  readonly users: readonly number[];
  readonly accepted: readonly (readonly string[])[];
  stop(): Promise<void>;
}

export interface Stored {
  readonly seq: number;
  readonly senderId: number;
  readonly content: string;
}

const SENDERS = 4;
/** As many messages of each sender are accepted each time that more is waited for. */
export const SOME = 3;

/** Goes on until it is stopped, whatever becomes of the stack meanwhile. */
export async function beginLoad(stack: Running): Promise<Load> {
  const users = newUsers(SENDERS);
  const roomId = await makeRoom(users, stack.addresses);
  const accepted = users.map((): string[] => []);
  let stopped = false;
  const sending = users.map((user, index) =>
    sendUntilReceipts(stack, user, roomId, accepted[index]!, () => stopped),
  );
  const stop = async (): Promise<void> => {
    stopped = true;
    await Promise.all(sending);
  };
  return { stack, roomId, users, accepted, stop };
}

/**
 * Sends numbered messages: each again with the same id until its RECEIPT is there, over new connections where
 * it must.
 */
async function sendUntilReceipts(
  stack: Running,
  user: number,
  roomId: number,
  accepted: string[],
  stopped: () => boolean,
): Promise<void> {
  let connection: Connected | undefined;
  while (!stopped()) {
    const content = `${user} ${accepted.length}`;
    try {
      connection ??= await connect(user, { stack: stack.addresses });
      await connection.say(roomId, content, { clientMessageId: content });
      accepted.push(content);
    } catch {
      await connection?.close().catch(() => {});
      connection = undefined;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  await connection?.close();
}

/** Returns when some more messages of each sender are accepted. */
export async function someMore({ accepted }: Load): Promise<void> {
  const before = accepted.map(({ length }) => length);
  await until(
    () => accepted.every(({ length }, index) => length >= before[index]! + SOME),
    "each sender is heard",
  );
}

/** Returns when a message that was sent later than this call is stored. */
export async function storesAgain(load: Load): Promise<void> {
  const before = new Map(load.users.map((user, index) => [user, load.accepted[index]!.length]));
  await until(async () => {
    const newest = await newestOf(load).catch(() => undefined);
    const [user, number] = (newest ?? "").split(" ").map(Number) as [number, number?];
    return number !== undefined && number >= before.get(user)!;
  }, "what is sent now is stored");
}

async function newestOf({ stack, roomId, users }: Load): Promise<string | undefined> {
  const page = await call("GET", `/rooms/${roomId}/messages?limit=1`, users[0], undefined, stack.addresses);
  return page.body.messages?.[0]?.content;
}

/** The history, once it has every message that was accepted before this call: the senders may go on. */
export async function storedOf({ stack, roomId, users, accepted }: Load): Promise<readonly Stored[]> {
  let stored: readonly Stored[] = [];
  const wanted = accepted.flat();
  await until(async () => {
    stored = await history(roomId, users[0]!, stack.addresses).catch(() => []);
    const contents = new Set(stored.map(({ content }) => content));
    return wanted.every((content) => contents.has(content));
  }, "every accepted message is stored");
  return stored;
}

/** Every accepted message must be stored once, in each sender's order, and the room's numbers have no gap. */
export function expectNothingLost({ users, accepted }: Load, stored: readonly Stored[]): void {
  expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, index) => index + 1));
  for (const [index, user] of users.entries()) {
    const own = stored.filter(({ senderId }) => senderId === user).map(({ content }) => content);
    const due = accepted[index]!;
    expect(own.slice(0, due.length)).toEqual(due);
    // A message with a lost RECEIPT may stand behind them, once.
    expect(own.length - due.length).toBeLessThanOrEqual(1);
    expect(new Set(own).size).toBe(own.length);
  }
}

/** A message that is sent now must be shown. */
export async function showsAgain({ stack, roomId, users }: Load, last: number): Promise<void> {
  const reader = await connect(users[0]!, { stack: stack.addresses });
  const seen = await reader.subscribe(`/sub/chat/room/${roomId}`, { "last-seq": String(last) });
  await reader.say(roomId, "and on");
  await until(() => seen.some(({ content }) => content === "and on"), "messages are shown again");
  await reader.close();
}
