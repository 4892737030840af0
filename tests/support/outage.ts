import { expect } from "vitest";
import { type Connected, call, connect, history, makeRoom, newUsers, until } from "./client.js";
import type { Addresses } from "./stack.js";

/** A stack of which this may kill a server. */
export interface Killable {
  readonly addresses: Addresses;
  /** Kills the server that is to go. */
  kill(): void;
  /** Which process is that server now; another one when it has been started again. */
  pid(): number | undefined;
}

/** The users who write, and what of it was accepted so far, in the order of each. */
interface Load {
  readonly roomId: number;
  readonly users: readonly number[];
  readonly accepted: readonly (readonly string[])[];
  stop(): Promise<void>;
}

const SENDERS = 4;
/** As many messages of each sender are accepted before a server is killed, and after it. */
const SOME = 3;

/**
 * Kills a server twice while four users write. What had its RECEIPT must be stored once, in each sender's
 * order and without a gap, and afterwards messages must be shown again.
 */
export async function loseNothing(stack: Killable): Promise<void> {
  const load = await beginLoad(stack.addresses);
  await someMore(load);
  for (let times = 0; times < 2; times += 1) await killAndGoOn(stack, load);
  await load.stop();
  const stored = await storedOf(stack.addresses, load);
  expectNothingLost(load, stored);
  await showsAgain(stack.addresses, load, stored.length);
}

async function beginLoad(addresses: Addresses): Promise<Load> {
  const users = newUsers(SENDERS);
  const roomId = await makeRoom(users, addresses);
  const accepted = users.map((): string[] => []);
  let stopped = false;
  const sending = users.map((user, index) =>
    sendUntilReceipts(addresses, user, roomId, accepted[index]!, () => stopped),
  );
  const stop = async (): Promise<void> => {
    stopped = true;
    await Promise.all(sending);
  };
  return { roomId, users, accepted, stop };
}

/**
 * Sends numbered messages: each again with the same id until its RECEIPT is there, over new connections where
 * it must.
 */
async function sendUntilReceipts(
  addresses: Addresses,
  user: number,
  roomId: number,
  accepted: string[],
  stopped: () => boolean,
): Promise<void> {
  let connection: Connected | undefined;
  while (!stopped()) {
    const content = `${user} ${accepted.length}`;
    try {
      connection ??= await connect(user, { stack: addresses });
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

async function someMore({ accepted }: Load): Promise<void> {
  const before = accepted.map(({ length }) => length);
  await until(
    () => accepted.every(({ length }, index) => length >= before[index]! + SOME),
    "each sender is heard",
  );
}

/** Returns when the server runs again, each sender is heard, and something sent since is stored. */
async function killAndGoOn(stack: Killable, load: Load): Promise<void> {
  const killed = stack.pid();
  stack.kill();
  await until(() => stack.pid() !== killed, "it is started again");
  await someMore(load);
  const before = new Map(load.users.map((user, index) => [user, load.accepted[index]!.length]));
  await until(async () => {
    const newest = await newestOf(stack.addresses, load).catch(() => undefined);
    const [user, number] = (newest ?? "").split(" ").map(Number) as [number, number?];
    return number !== undefined && number >= before.get(user)!;
  }, "what is sent now is stored");
}

async function newestOf(addresses: Addresses, { roomId, users }: Load): Promise<string | undefined> {
  const page = await call("GET", `/rooms/${roomId}/messages?limit=1`, users[0], undefined, addresses);
  return page.body.messages?.[0]?.content;
}

interface Stored {
  readonly seq: number;
  readonly senderId: number;
  readonly content: string;
}

/** The history, once it has every accepted message. */
async function storedOf(addresses: Addresses, { roomId, users, accepted }: Load): Promise<readonly Stored[]> {
  let stored: readonly Stored[] = [];
  await until(async () => {
    stored = await history(roomId, users[0]!, addresses).catch(() => []);
    const contents = new Set(stored.map(({ content }) => content));
    return accepted.flat().every((content) => contents.has(content));
  }, "every accepted message is stored");
  return stored;
}

function expectNothingLost({ users, accepted }: Load, stored: readonly Stored[]): void {
  expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, index) => index + 1));
  for (const [index, user] of users.entries()) {
    const own = stored.filter(({ senderId }) => senderId === user).map(({ content }) => content);
    const due = accepted[index]!;
    expect(due.length).toBeGreaterThanOrEqual(3 * SOME);
    expect(own.slice(0, due.length)).toEqual(due);
    // A message with a lost RECEIPT may stand behind them, once.
    expect(own.length - due.length).toBeLessThanOrEqual(1);
  }
}

async function showsAgain(addresses: Addresses, { roomId, users }: Load, last: number): Promise<void> {
  const reader = await connect(users[0]!, { stack: addresses });
  const seen = await reader.subscribe(`/sub/chat/room/${roomId}`, { "last-seq": String(last) });
  await reader.say(roomId, "and on");
  await until(() => seen.some(({ content }) => content === "and on"), "messages are shown again");
  await reader.close();
}
