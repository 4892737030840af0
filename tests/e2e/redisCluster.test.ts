import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import calculateSlot from "cluster-key-slot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startStack } from "../../local/stack.js";
import { type Connected, call, connect, history, makeRoom, newUsers, until } from "../support/client.js";
import { open, openConnected, type RawSocket } from "../support/rawSocket.js";
import { type RedisCluster, startRedisCluster } from "../support/redisCluster.js";
import type { Addresses } from "../support/stack.js";

let data: string;
let cluster: RedisCluster;
let stack: Awaited<ReturnType<typeof startStack>>;

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), "nonstop-cluster-"));
  cluster = await startRedisCluster({ replicas: 1 });
  const env = { REDIS_URL: cluster.urls.join(","), REDIS_CLUSTER: "true", RATE_LIMIT_PER_MINUTE: "5" };
  stack = await startStack({ data, ports: "auto", quiet: true, env });
});
afterAll(async () => {
  await stack.close();
  await cluster.close();
  rmSync(data, { recursive: true, force: true });
});

const addresses = (): Addresses => stack.addresses as unknown as Addresses;

/** A new user whose keys are on this one of the three primaries. */
function userOn(node: number): number {
  for (;;) {
    const [user] = newUsers(1) as [number];
    if (Math.floor(calculateSlot(`{user:${user}}`) / Math.ceil(16_384 / 3)) === node) return user;
  }
}

/** How many of so many messages pass. */
async function accepted(client: Connected, roomId: number, messages: number): Promise<number> {
  await client.subscribe("/user/queue/errors");
  const receipts = Array.from({ length: messages }, (_, index) => client.say(roomId, `${index}`));
  const late = new Promise<"late">((resolve) => setTimeout(() => resolve("late"), 2_000));
  const answers = await Promise.all(
    receipts.map((receipt) => Promise.race([receipt.catch(() => "late"), late])),
  );
  return answers.filter((answer) => answer !== "late").length;
}

async function sockets(user: number, count: number): Promise<RawSocket[]> {
  const opened = [];
  for (let index = 0; index < count; index += 1)
    opened.push(await openConnected(user, "1.2", undefined, "", addresses().webPubSub));
  return opened;
}

async function isLimited(user: number): Promise<boolean> {
  const opened = await sockets(user, 4);
  await until(() => !opened[0]!.isOpen, "the first is closed", 2_000).catch(() => {});
  const limited = !opened[0]!.isOpen && opened.slice(1).every(({ isOpen }) => isOpen);
  for (const socket of opened) await socket.close();
  return limited;
}

test("sessions, limits and memberships are right for users of every node", async () => {
  for (const node of [0, 1, 2]) {
    const user = userOn(node);
    expect(await isLimited(user)).toBe(true);
    const roomId = await makeRoom([user], addresses());
    const client = await connect(user, { stack: addresses() });
    expect(await accepted(client, roomId, 8)).toBe(5);
    await client.close();
    await until(async () => (await history(roomId, user, addresses())).length === 5, "five are stored");
    expect((await call("POST", "/sessions/logout", user, undefined, addresses())).status).toBe(200);
  }
});

test("of a hundred handshakes at once three remain on a cluster, too", async () => {
  const user = userOn(1);
  const opened = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const socket = await open(user, ["v12.stomp"], "", undefined, addresses().webPubSub);
      socket.send("CONNECT\naccept-version:1.2\nhost:chat\n\n\0");
      return socket;
    }),
  );
  await until(() => opened.filter(({ isOpen }) => isOpen).length <= 3, "ninety-seven closed");
  expect(opened.filter(({ isOpen }) => isOpen)).toHaveLength(3);
  for (const socket of opened) await socket.close();
});

test("a primary that is killed keeps nobody from sending; the others' limits hold, and its users' are back with its replica", async () => {
  const [of0, of1] = [userOn(0), userOn(1)];
  const roomId = await makeRoom([of0, of1], addresses());
  const client = await connect(of0, { stack: addresses() });
  cluster.nodes[0]!.kill("SIGKILL");
  for (let index = 0; index < 10; index += 1) await client.say(roomId, `${index}`);
  expect(await isLimited(of1)).toBe(true);
  await client.close();
  await until(() => isLimited(userOn(0)), "limits are back for users of the dead primary");
  await until(async () => (await history(roomId, of1, addresses())).length >= 10, "all are stored");
});
