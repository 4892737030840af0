import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startStack } from "../../local/stack.js";
import { type Connected, connect, history, makeRoom, newUsers, until } from "../support/client.js";
import type { Addresses } from "../support/stack.js";

type Stack = Awaited<ReturnType<typeof startStack>>;

let data: string;
let stack: Stack;

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), "nonstop-outages-"));
  stack = await startStack({ data, ports: "auto", quiet: true });
});
afterAll(async () => {
  await stack.close();
  rmSync(data, { recursive: true, force: true });
});

const addresses = (): Addresses => stack.addresses as unknown as Addresses;

/** Sends numbered messages until told to stop, and notes which are accepted: each again with the same id until its RECEIPT is there, over as many connections as it takes. */
async function sendUntilReceipts(
  user: number,
  roomId: number,
  accepted: string[],
  stopped: () => boolean,
): Promise<void> {
  let connection: Connected | undefined;
  for (let number = 0; !stopped(); ) {
    const content = `${user} ${number}`;
    try {
      connection ??= await connect(user, { stack: addresses() });
      await connection.say(roomId, content, { clientMessageId: content });
      accepted.push(content);
      number += 1;
    } catch {
      await connection?.close().catch(() => {});
      connection = undefined;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  await connection?.close();
}

/** Waits for a second and a half, and until each sender has got some more messages accepted. */
async function someMore(accepted: readonly (readonly string[])[]): Promise<void> {
  const before = accepted.map(({ length }) => length);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await until(
    () => accepted.every(({ length }, index) => length >= before[index]! + 3),
    "each sender is heard",
  );
}

test.each(["functionsHost", "webPubSub", "eventHubs", "mysql", "redis", "storage"] as const)(
  "%s killed under load, twice: what had its RECEIPT is stored once, in each sender's order, without a gap",
  async (name) => {
    const users = newUsers(4);
    const roomId = await makeRoom(users, addresses());
    let stopped = false;
    const accepted = users.map((): string[] => []);
    const senders = users.map((user, index) =>
      sendUntilReceipts(user, roomId, accepted[index]!, () => stopped),
    );
    for (let times = 0; times < 2; times += 1) {
      await someMore(accepted);
      stack.kill(name, "SIGKILL");
    }
    await someMore(accepted);
    stopped = true;
    await Promise.all(senders);

    let stored = await history(roomId, users[0]!, addresses()).catch(() => []);
    await until(async () => {
      stored = await history(roomId, users[0]!, addresses()).catch(() => []);
      return accepted.flat().every((content) => stored.some((message) => message.content === content));
    }, "every accepted message is stored");
    expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, index) => index + 1));
    for (const [index, user] of users.entries()) {
      const own = stored.filter(({ senderId }) => senderId === user).map(({ content }) => content);
      // One whose RECEIPT was lost may stand behind them, once.
      expect(own.slice(0, accepted[index]!.length)).toEqual(accepted[index]);
      expect(own.length - accepted[index]!.length).toBeLessThanOrEqual(1);
    }
    const after = await connect(users[0]!, { stack: addresses() });
    const seen = await after.subscribe(`/sub/chat/room/${roomId}`, { "last-seq": String(stored.length) });
    await after.say(roomId, "and on");
    await until(() => seen.some(({ content }) => content === "and on"), "messages are shown again");
    await after.close();
  },
);
