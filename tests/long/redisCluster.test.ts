import calculateSlot from "cluster-key-slot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Connected, call, connect, history, makeRoom, newUsers, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";
import { ownStack } from "../support/ownStack.js";
import { open, openConnected, type RawSocket } from "../support/rawSocket.js";
import { type RedisCluster, startRedisCluster } from "../support/redisCluster.js";

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: 1 });
});
afterAll(() => cluster.close());

const stack = ownStack(() => ({
  REDIS_URL: cluster.urls.join(","),
  REDIS_CLUSTER: "true",
  RATE_LIMIT_PER_MINUTE: "5",
}));
unlessLimitsAreOpen(() => stack.receiver.url);
const addresses = () => stack.addresses;

/** A new user with keys on this one of the three primaries. */
function userOn(node: number): number {
  for (;;) {
    const [user] = newUsers(1) as [number];
    if (Math.floor(calculateSlot(`{user:${user}}`) / Math.ceil(16_384 / 3)) === node) return user;
  }
}

/** How many of `messages` messages pass. All others must be refused. */
async function accepted(client: Connected, roomId: number, messages: number): Promise<number> {
  const refused = await client.subscribe("/user/queue/errors");
  let taken = 0;
  for (let index = 0; index < messages; index += 1)
    void client.say(roomId, `${index}`).then(
      () => (taken += 1),
      () => {},
    );
  await until(() => taken + refused.length === messages, "each is answered");
  expect(refused.every(({ code }) => code === "RATE_LIMIT_EXCEEDED")).toBe(true);
  return taken;
}

async function sockets(user: number, count: number): Promise<RawSocket[]> {
  const opened = [];
  for (let index = 0; index < count; index += 1)
    opened.push(await openConnected(user, "1.2", undefined, "", addresses().webPubSub));
  return opened;
}

/**
 * Whether a user's fourth session ends the first, and no other: it is asked for something when the fourth has
 * its place.
 */
async function isLimited(user: number): Promise<boolean> {
  const opened = await sockets(user, 4);
  const served = [];
  for (const socket of opened.toReversed()) served.unshift(await isServed(socket));
  for (const socket of opened) await socket.close();
  return String(served) === "false,true,true,true";
}

/** Whether a frame of the connection is answered; else it is told that it has ended. */
async function isServed(socket: RawSocket): Promise<boolean> {
  if (!socket.isOpen) return false;
  socket.send("UNSUBSCRIBE\nid:none\nreceipt:served\n\n\0");
  return (await socket.next().catch(() => "")).includes("receipt-id:served");
}

test("sessions, limits and memberships are right for users of every node", UNLESS_LATE, async () => {
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

test("of a hundred handshakes at once three remain on a cluster, too", UNLESS_LATE, async () => {
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
  // A busy node may have been late once.
  await until(() => isLimited(userOn(1)), "limits hold for users of another");
  await client.close();
  await until(() => isLimited(userOn(0)), "limits are back for users of the dead primary");
  await until(async () => (await history(roomId, of1, addresses())).length >= 10, "all are stored");
});
