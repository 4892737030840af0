import { expect, test } from "vitest";
import WebSocket from "ws";
import { call, newUsers, tokenFor, until } from "../support/client.js";
import { ownStack } from "../support/ownStack.js";
import { open, openConnected, type RawSocket } from "../support/rawSocket.js";

const stack = ownStack();

const connected = (user: number, query = ""): Promise<RawSocket> =>
  openConnected(user, "1.2", undefined, query, stack.addresses.webPubSub);

let receipts = 0;

/** Whether a frame of the connection is answered, and not with the connection's end. */
async function isServed(socket: RawSocket): Promise<boolean> {
  const id = `r${++receipts}`;
  if (socket.isOpen) socket.send(`UNSUBSCRIBE\nid:none\nreceipt:${id}\n\n\0`);
  const isAnswered = () => socket.arrived.join("").includes(`receipt-id:${id}\n`);
  await until(() => !socket.isOpen || isAnswered(), "it is answered");
  return isAnswered();
}

/**
 * The functions answer again after their host was killed, and the socket service knows that it takes events.
 */
async function hostIsBack(): Promise<void> {
  const answers = (): Promise<boolean> =>
    fetch(`${stack.addresses.api}/api/v1/chat/openapi.json`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(answers, "the host is back");
  const [other] = newUsers(1) as [number];
  const connects = async (): Promise<boolean> => {
    const socket = await connected(other).catch(() => undefined);
    await socket?.close();
    return socket !== undefined;
  };
  await until(connects, "somebody else can connect");
}

/** How many events the socket service has delivered or given up. */
async function eventsDone(): Promise<number> {
  const stats = await fetch(new URL("/stats", stack.addresses.webPubSub.replace("ws:", "http:")));
  return ((await stats.json()) as { upstreamCalls: number }).upstreamCalls;
}

/** Whether Redis answers the functions: a user's fourth session ends the first. */
async function limitsAreBack(): Promise<boolean> {
  const [user] = newUsers(1) as [number];
  const sockets: RawSocket[] = [];
  for (let index = 0; index < 4; index += 1) sockets.push(await connected(user));
  // What the fourth asks is answered when it has its place.
  await isServed(sockets[3]!);
  const enforced = !(await isServed(sockets[0]!));
  for (const socket of sockets) await socket.close();
  return enforced;
}

test("of a hundred handshakes with Redis killed half way three remain once it is back, and the others are told", async () => {
  const [user] = newUsers(1) as [number];
  const handshake = async (): Promise<RawSocket> => {
    const socket = await open(user, ["v12.stomp"], "", undefined, stack.addresses.webPubSub);
    socket.send("CONNECT\naccept-version:1.2\nhost:chat\n\n\0");
    return socket;
  };
  const first = Array.from({ length: 50 }, handshake);
  await Promise.race(first);
  stack.kill("redis", "SIGKILL");
  const sockets = await Promise.all([...first, ...Array.from({ length: 50 }, handshake)]);
  await until(limitsAreBack, "limits are enforced again");
  // They are counted at their next frame.
  await until(
    async () => (await Promise.all(sockets.map(isServed))).filter(Boolean).length <= 3,
    "no more than three are served",
  );
  const live = sockets.filter(({ isOpen }) => isOpen);
  expect(live).toHaveLength(3);
  expect(await Promise.all(live.map(isServed))).toEqual([true, true, true]);
  for (const socket of sockets.filter((one) => !live.includes(one)))
    expect(socket.arrived.join("")).toContain('"code":"SESSION_CLOSED"');
  for (const socket of live) await socket.close();
});

test("sessions whose end nobody saw don't use up places: the one that lives keeps its own", async () => {
  const [user] = newUsers(1) as [number];
  const living = await connected(user);
  const dying = [await connected(user), await connected(user)];
  const before = await eventsDone();
  stack.kill("functionsHost", "SIGKILL");
  for (const socket of dying) await socket.close();
  await until(async () => {
    // Again and again, so that no try of the socket service reaches it.
    stack.kill("functionsHost", "SIGKILL");
    return (await eventsDone()) >= before + dying.length;
  }, "the socket service has given up to tell of them");
  await hostIsBack();
  expect(await isServed(living)).toBe(true);
  const after = [await connected(user), await connected(user)];
  expect(await isServed(living)).toBe(true);
  for (const socket of after) expect(await isServed(socket)).toBe(true);
  const fourth = await connected(user);
  await living.closed;
  for (const socket of [...after, fourth]) await socket.close();
});

test("with Redis away messages, handshakes and calls go on, and everything is enforced again on its return", async () => {
  const [user] = newUsers(1) as [number];
  stack.kill("redis", "SIGSTOP");
  const sockets: RawSocket[] = [];
  for (let index = 0; index < 5; index += 1) sockets.push(await connected(user));
  for (const socket of sockets) expect(await isServed(socket)).toBe(true);
  stack.kill("redis", "SIGCONT");
  await until(limitsAreBack, "limits are enforced again");
  await until(
    async () => (await Promise.all(sockets.map(isServed))).filter(Boolean).length === 3,
    "three are served",
  );
  for (const socket of sockets) if (socket.isOpen) await socket.close();
});

test("handshakes that are given up cost no living session its place", async () => {
  const [user] = newUsers(1) as [number];
  const living = [await connected(user), await connected(user)];
  stack.kill("functionsHost", "SIGKILL");
  const token = await tokenFor(user);
  for (let attempt = 0; attempt < 4; attempt += 1) {
    const socket = new WebSocket(`${stack.addresses.webPubSub}?token=${token}`, ["v12.stomp"]);
    socket.on("error", () => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
    socket.terminate();
  }
  await hostIsBack();
  const again = await connected(user);
  for (const socket of [...living, again]) expect(await isServed(socket)).toBe(true);
  for (const socket of [...living, again]) await socket.close();
});

test("a session that came while Redis was stopped is older than those that came after, whoever speaks first", async () => {
  const [user] = newUsers(1) as [number];
  stack.kill("redis", "SIGSTOP");
  const old = await connected(user, "&deviceId=phone");
  // From an age of a second on (LATE_MS) its age counts, and not when it is first heard of.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  stack.kill("redis", "SIGCONT");
  await until(limitsAreBack, "limits are enforced again");
  const phone = await connected(user, "&deviceId=phone");
  await until(async () => !(await isServed(old)), "the old one has lost its place");
  await old.closed;
  expect(old.arrived.join("")).toContain('"code":"SESSION_CLOSED"');
  expect(await isServed(phone)).toBe(true);
  await phone.close();
});

test("a device that can't be closed now is not said to be logged out, and is closed by trying again", async () => {
  const [user] = newUsers(1) as [number];
  const phone = await connected(user, "&deviceId=phone");
  const other = await connected(user);
  const logOut = () => call("POST", "/sessions/logout", user, { deviceId: "phone" }, stack.addresses);
  stack.kill("webPubSub", "SIGSTOP");
  expect(await logOut()).toMatchObject({ status: 503, body: { code: "UNAVAILABLE" } });
  stack.kill("webPubSub", "SIGCONT");
  await until(async () => (await logOut()).status === 200, "it is logged out");
  await phone.closed;
  expect(phone.arrived.join("")).toContain('"code":"SESSION_CLOSED"');
  expect(await isServed(other)).toBe(true);
  await other.close();
});
