import { Client, type StompConfig } from "@stomp/stompjs";
import { expect, inject, test } from "vitest";
import WebSocket from "ws";
import { call, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";
import { open, openConnected, type RawSocket } from "../support/rawSocket.js";

const { retry } = UNLESS_LATE;
unlessLimitsAreOpen();

const SESSION_QUEUE = "SUBSCRIBE\nid:mine\ndestination:/user/queue/session\nreceipt:listening\n\n\0";

const body = (frame: string): unknown => JSON.parse(frame.slice(frame.indexOf("\n\n") + 2, -1));

/** The frames of what has arrived, each up to its NUL. */
const framesOf = (socket: RawSocket): string[] => socket.arrived.join("").match(/[^\0]+\0/g) ?? [];

async function listening(userId: number, query = ""): Promise<RawSocket> {
  const socket = await openConnected(userId, "1.2", undefined, query);
  socket.send(SESSION_QUEUE);
  expect(await socket.next()).toContain("receipt-id:listening");
  return socket;
}

/** Whether the connection is served: it asks for a receipt and gets it. */
async function isServed(socket: RawSocket): Promise<boolean> {
  if (!socket.isOpen) return false;
  socket.send("UNSUBSCRIBE\nid:none\nreceipt:served\n\n\0");
  return (await socket.next().catch(() => "")).includes("receipt-id:served");
}

test("a fourth session ends the oldest: it hears SESSION_CLOSED, then ERROR, and is closed", {
  retry,
}, async () => {
  const [user] = newUsers(1) as [number];
  const [first, second, third] = [await listening(user), await listening(user), await listening(user)];
  const before = Date.now();
  const fourth = await listening(user);
  await first.closed;
  const [told, error, ...more] = framesOf(first);
  expect(more).toEqual([]);
  expect(told).toMatch(/^MESSAGE\n/);
  expect(told).toContain("\ndestination:/user/queue/session\n");
  expect(told).toContain("\nsubscription:mine\n");
  const said = body(told!) as { timestamp: number };
  expect(said).toEqual({ type: "SESSION_CLOSED", reason: "SESSION_LIMIT", timestamp: said.timestamp });
  expect(said.timestamp).toBeGreaterThanOrEqual(before);
  expect(error).toMatch(/^ERROR\n/);
  expect(body(error!)).toMatchObject({ type: "ERROR", code: "SESSION_CLOSED" });
  for (const socket of [second, third, fourth]) {
    expect(await isServed(socket)).toBe(true);
    await socket.close();
  }
});

test("whoever doesn't listen on the queue hears the ERROR alone", { retry }, async () => {
  const [user] = newUsers(1) as [number];
  const sockets = [];
  for (let index = 0; index < 4; index += 1) sockets.push(await openConnected(user));
  await sockets[0]!.closed;
  expect(framesOf(sockets[0]!).map((frame) => frame.split("\n")[0])).toEqual(["ERROR"]);
  for (const socket of sockets.slice(1)) await socket.close();
});

test("a place that was left is free at once", { retry }, async () => {
  const [user] = newUsers(1) as [number];
  const [first, second] = [await openConnected(user), await openConnected(user)];
  for (let turn = 0; turn < 5; turn += 1) {
    const third = await openConnected(user);
    third.send("DISCONNECT\nreceipt:bye\n\n\0");
    expect(await third.next()).toContain("receipt-id:bye");
    await third.closed;
  }
  for (const socket of [first, second]) {
    expect(await isServed(socket)).toBe(true);
    await socket.close();
  }
});

test("a new session of a device takes the place of its old one, and of no other", { retry }, async () => {
  const [user] = newUsers(1) as [number];
  const phone = await listening(user, "&deviceId=phone");
  const desktop = await listening(user, `&deviceId=${encodeURIComponent("책상 위")}`);
  const phoneAgain = await listening(user, "&deviceId=phone");
  await phone.closed;
  const [told, error] = framesOf(phone);
  expect(body(told!)).toMatchObject({ type: "SESSION_CLOSED", reason: "DEVICE_RECONNECTED" });
  expect(body(error!)).toMatchObject({ code: "SESSION_CLOSED" });
  for (const socket of [desktop, phoneAgain]) {
    expect(await isServed(socket)).toBe(true);
    await socket.close();
  }
});

test.each([
  ["empty", ""],
  ["longer than 64 characters", "x".repeat(65)],
  ["of control characters", "%00"],
  ["of two lines", "a%0Ab"],
])("a deviceId that is %s refuses the handshake with 400", async (_what, deviceId) => {
  const [user] = newUsers(1) as [number];
  await expect(open(user, ["v12.stomp"], `&deviceId=${deviceId}`)).rejects.toThrow("400");
});

test("of a hundred handshakes of one user at the same moment three remain, and ninety-seven are told", {
  retry,
}, async () => {
  const [user] = newUsers(1) as [number];
  const sockets = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const socket = await open(user);
      socket.send(`CONNECT\naccept-version:1.2\nhost:chat\n\n\0${SESSION_QUEUE}`);
      return socket;
    }),
  );
  await until(() => sockets.filter(({ isOpen }) => !isOpen).length >= 97, "ninety-seven closed");
  const live = sockets.filter(({ isOpen }) => isOpen);
  expect(live).toHaveLength(3);
  for (const socket of sockets.filter((one) => !live.includes(one))) {
    // An answer that was on its way when the session ended may come behind it.
    const told = framesOf(socket).find((frame) => frame.startsWith("ERROR\n")) ?? "";
    expect(body(told)).toMatchObject({ code: "SESSION_CLOSED" });
  }
  for (const socket of live) {
    await until(() => framesOf(socket).length >= 2, "the receipt of subscribing");
    expect(framesOf(socket).filter((frame) => frame.startsWith("ERROR"))).toEqual([]);
    await socket.close();
  }
});

test("of a hundred that count as CONNECT by their handshake three remain, too", { retry }, async () => {
  const [user] = newUsers(1) as [number];
  const sockets = await Promise.all(
    Array.from({ length: 100 }, () => open(user, ["v12.stomp"], "&connect=implicit")),
  );
  await until(() => sockets.filter(({ isOpen }) => !isOpen).length >= 97, "ninety-seven closed");
  const live = sockets.filter(({ isOpen }) => isOpen);
  expect(live).toHaveLength(3);
  for (const socket of live) {
    await until(() => framesOf(socket).length === 1, "CONNECTED");
    expect(framesOf(socket)[0]).toMatch(/^CONNECTED\n/);
    await socket.close();
  }
});

test("what was sent before one lost one's place is not lost, and nothing is sent after it", {
  retry,
}, async () => {
  const [user, other] = newUsers(2) as [number, number];
  const roomId = await makeRoom([user, other]);
  const first = await openConnected(user);
  first.send(
    `SEND\ndestination:/pub/chat/message\nreceipt:1\n\n${JSON.stringify({ roomId, content: "before" })}\0`,
  );
  expect(await first.next()).toContain("receipt-id:1");
  const rest = [await openConnected(user), await openConnected(user), await openConnected(user)];
  await first.closed;
  const page = await call("GET", `/rooms/${roomId}/messages`, user);
  await until(async () => page.body.messages.length <= 1, "no more than one");
  for (const socket of rest) await socket.close();
});

test("logging out closes all sessions of the caller, and nobody else's", { retry }, async () => {
  const [user, other] = newUsers(2) as [number, number];
  const mine = [await listening(user), await listening(user, "&deviceId=phone")];
  const theirs = await listening(other);
  const answer = await call("POST", "/sessions/logout", user);
  expect(answer).toMatchObject({ status: 200, body: { userId: user, deviceId: null } });
  for (const socket of mine) {
    await socket.closed;
    const frames = framesOf(socket);
    expect(body(frames[0]!)).toMatchObject({ type: "SESSION_CLOSED", reason: "LOGGED_OUT" });
    expect(body(frames.at(-1)!)).toMatchObject({ code: "SESSION_CLOSED" });
  }
  expect(await isServed(theirs)).toBe(true);
  await theirs.close();
  const again = await listening(user);
  expect(await isServed(again)).toBe(true);
  await again.close();
});

test("logging a device out closes that one alone", { retry }, async () => {
  const [user] = newUsers(1) as [number];
  const phone = await listening(user, "&deviceId=phone");
  const desktop = await listening(user, "&deviceId=desktop");
  const answer = await call("POST", "/sessions/logout", user, { deviceId: "phone" });
  expect(answer).toMatchObject({ status: 200, body: { userId: user, deviceId: "phone" } });
  await phone.closed;
  expect(body(framesOf(phone)[0]!)).toMatchObject({ type: "SESSION_CLOSED", reason: "LOGGED_OUT" });
  expect(await isServed(desktop)).toBe(true);
  await desktop.close();
});

test.each([[{ deviceId: "" }], [{ deviceId: 5 }], [{ deviceId: "x".repeat(65) }], ["{"]])(
  "a logout with %j is refused and says why",
  async (wrong) => {
    const [user] = newUsers(1) as [number];
    expect(await call("POST", "/sessions/logout", user, wrong)).toMatchObject({
      status: 400,
      body: { code: "INVALID_REQUEST" },
    });
  },
);

test("four stock clients of a user that all come back by themselves settle down: three stay, one is told", {
  retry,
}, async () => {
  const [ann] = newUsers(1) as [number];
  const token = await tokenFor(ann);
  const changes: string[] = [];
  const refused: string[] = [];
  const clients = Array.from({ length: 4 }, (_, index) => {
    const webSocketFactory = () =>
      new WebSocket(`${inject("stack").webPubSub}?token=${token}`, ["v12.stomp"]);
    const client = new Client({ webSocketFactory, reconnectDelay: 1_500 } as StompConfig);
    const note = (what: string) => () => void changes.push(`${what} ${index}`);
    client.onConnect = note("connected");
    client.onStompError = ({ body }) => void refused.push(JSON.parse(body).code);
    return client;
  });
  for (const client of clients) {
    client.activate();
    await until(() => client.connected, "it is connected");
  }
  await until(() => !clients[0]!.connected, "the first is ended by the fourth");
  const before = changes.length;
  await until(() => refused.length > 3, "it has come back again and again");
  expect(changes.slice(before)).toEqual([]);
  expect(clients.map(({ connected }) => connected)).toEqual([false, true, true, true]);
  expect(new Set(refused)).toEqual(new Set(["SESSION_CLOSED"]));
  // Where there is room again it is taken in.
  await clients[1]!.deactivate();
  await until(() => clients[0]!.connected, "it has the place that has become free");
  await Promise.all(clients.map((client) => client.deactivate()));
});
