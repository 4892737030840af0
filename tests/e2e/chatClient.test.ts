import { isSystem, memoryOutbox, subjectsOf } from "@nonstop/chat-client";
import { expect, test } from "vitest";
import { asHistory, chaosProxy, chatClient, connected, opened, storedIn } from "../support/chat.js";
import { call, connect, history, introduce, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";
import { seededRandom } from "../support/seed.js";

unlessLimitsAreOpen();
const two = () => newUsers(2) as [number, number];

/** Nobody waits for members who have never been here. */
const come = async (...users: number[]): Promise<void> => {
  for (const user of users) await call("GET", "/rooms?limit=1", user);
};

/** The history as a client shows it: the service's own messages are not to be read. */
const shownHistory = async (roomId: number, user: number): Promise<object[]> =>
  (await history(roomId, user)).map((message) =>
    isSystem(message) ? { ...message, unreadCount: 0 } : message,
  );

test("two users talk, and the '1' vanishes when the other one has read", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const roomA = await opened(await connected(ann), roomId);
  const roomB = await opened(await connected(ben), roomId);
  const states = new Set<string>();
  roomA.on("change", () => states.add(roomA.messages.at(-1)?.state ?? ""));
  const sent = await roomA.send("Hello");
  expect(sent).toMatchObject({ content: "Hello", seq: 1, senderId: ann, state: "stored" });
  // It can be shown before its receipt is there.
  expect([...states].filter((state) => state !== "accepted")).toEqual(["sending", "stored"]);
  await until(() => roomB.messages.length === 1, "the message is there");
  expect(storedIn(roomA)[0]!.unreadCount).toBe(1);
  roomB.markRead();
  await until(() => storedIn(roomA)[0]!.unreadCount === 0, "it is read");
  expect(asHistory(roomA)).toEqual(await history(roomId, ann));
});

test("the list of rooms shows what is new, live", async () => {
  const [ann, ben] = two();
  const [clientA, clientB] = [await connected(ann), await connected(ben)];
  expect(await clientB.rooms()).toEqual([]);
  const roomId = await clientA.openWith(ben);
  const roomA = clientA.open(roomId);
  await roomA.send("One");
  await roomA.send("Two");
  await until(() => clientB.roomList?.[0]?.unreadCount === 2, "two are unread");
  expect(clientB.roomList).toMatchObject([
    { roomId, type: "ONE_TO_ONE", lastMessage: { content: "Two", seq: 2 } },
  ]);
  const roomB = await opened(clientB, roomId);
  expect(roomB.unreadFrom).toBe(1);
  roomB.markRead();
  await until(() => clientB.roomList?.[0]?.unreadCount === 0, "none is unread");
  await until(() => storedIn(roomA).every(({ unreadCount }) => unreadCount === 0), "the other one sees it");
});

test("the room with the latest message comes first, and what another device reads is read here too", async () => {
  const [ann, ben, cem] = newUsers(3) as [number, number, number];
  const [first, second] = [await makeRoom([ann, ben]), await makeRoom([ann, cem])];
  const [phone, desk] = [await connected(ann), await connected(ann)];
  const order = () => phone.roomList?.map(({ roomId, unreadCount }) => [roomId, unreadCount]);
  await phone.rooms();
  expect(order()).toEqual([
    [second, 0],
    [first, 0],
  ]);
  await (await opened(await connected(ben), first)).send("to the first");
  await until(() => phone.roomList?.[0]?.unreadCount === 1, "it is counted");
  expect(order()).toEqual([
    [first, 1],
    [second, 0],
  ]);
  (await opened(desk, first)).markRead();
  await until(() => phone.roomList?.[0]?.unreadCount === 0, "it is read");
});

test("a refused message is changed in its place, and survives the program as it was changed last", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const outbox = memoryOutbox();
  const client = await connected(ann, { userId: ann, outbox });
  const room = await opened(client, roomId);
  await expect(room.send("  ")).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
  const id = () => String(room.messages.find(({ state }) => state === "refused")?.clientMessageId);
  const first = id();
  await expect(room.edit(first, "\t")).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
  expect(room.messages.map(({ state, content }) => [state, content])).toEqual([["refused", "\t"]]);
  expect(id()).not.toBe(first);
  await client.disconnect();
  const edited = room.edit(id(), "said properly");
  await until(async () => (await outbox.load(ann)).length === 1, "it is kept");
  const next = await connected(ann, { userId: ann, outbox });
  await until(async () => (await history(roomId, ben)).length === 1, "it is stored");
  await next.disconnect();
  await client.connect();
  await expect(edited).resolves.toMatchObject({ seq: 1, content: "said properly", state: "stored" });
  await expect(room.edit(first, "too late")).rejects.toMatchObject({ code: "MESSAGE_NOT_FOUND" });
  expect((await history(roomId, ben)).map(({ content }) => content)).toEqual(["said properly"]);
});

test("what can't be stored is refused, and what follows it is sent", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const client = await connected(ann);
  const room = client.open(roomId);
  const blank = room.send("   ");
  const large = room.send("x".repeat(70_000));
  const fine = room.send("fine");
  await expect(blank).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
  await expect(large).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
  await expect(fine).resolves.toMatchObject({ content: "fine" });
  // What is stored is shown as such when the first page is there.
  await room.ready;
  expect(room.messages.map(({ state }) => state)).toEqual(["stored", "refused", "refused"]);
  const [, refused] = room.messages;
  room.discard(String(refused!.clientMessageId));
  expect(room.messages.map(({ state }) => state)).toEqual(["stored", "refused"]);
  await call("DELETE", `/rooms/${roomId}`, ann);
  await expect(room.send("gone")).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
  expect(client.connection.status).toBe("connected");
});

test("members who come, go and read are counted as the history counts them", async () => {
  const [ann, ben, cem, dan, eve] = newUsers(5) as [number, number, number, number, number];
  await come(ben, dan, eve);
  const clientA = await connected(ann);
  await introduce([ben, cem, dan]);
  const roomId = await clientA.createGroup("room", [ben, cem]);
  const clientC = await connected(cem);
  const roomC = await opened(clientC, roomId);
  const roomA = await opened(clientA, roomId);
  await roomA.send("for two");
  expect(await clientA.invite(roomId, [dan, ben, eve])).toEqual([dan, eve]);
  const invitations = () => storedIn(roomA).filter(isSystem);
  await until(() => invitations().flatMap(subjectsOf).length === 2, "both invitations are shown");
  await roomA.send("for four");
  await until(() => storedIn(roomC).at(-1)?.content === "for four", "all are shown");
  roomC.markRead();
  const counts = (messages: readonly { readonly unreadCount: number }[]) =>
    messages.map(({ unreadCount }) => unreadCount);
  const texts = () => storedIn(roomA).filter((message) => !isSystem(message));
  await until(() => String(counts(texts())) === "1,3", "one of two, and three of four, have not read");
  expect(counts(invitations()).every((count) => count === 0)).toBe(true);
  expect(asHistory(roomA)).toEqual(await shownHistory(roomId, ann));
  const ids = () => roomA.members?.map(({ userId }) => userId);
  expect(ids()).toEqual([ann, ben, cem, dan, eve]);
  const readers = roomA.readersOf(texts()[1]!.messageId);
  expect(readers?.readBy.map(({ userId }) => userId)).toEqual([ann, cem]);
  expect(readers?.notReadBy.map(({ userId }) => userId)).toEqual([ben, dan, eve]);
  expect(roomA.readersOf(texts()[0]!.messageId)).toMatchObject({
    readBy: [{ userId: ann }, { userId: cem }],
    notReadBy: [{ userId: ben }],
  });
  await clientA.kick(roomId, ben);
  await clientC.leave(roomId);
  expect(roomC).toMatchObject({ status: "gone", error: { code: "NOT_A_MEMBER" } });
  await until(() => ids()?.length === 3, "both are gone");
  await until(async () => {
    const now = await shownHistory(roomId, ann);
    return JSON.stringify(asHistory(roomA)) === JSON.stringify(now);
  }, "the counts are the history's");
  expect((await clientA.members(roomId)).map(({ userId }) => userId)).toEqual([ann, dan, eve]);
});

test("the members are read again after it failed, by themselves and when asked to", async () => {
  const [ann, ben] = two();
  const proxy = await chaosProxy();
  const client = await connected(ann, { url: proxy.url });
  const roomId = await client.createGroup("room", [ben]);
  await client.rooms();
  let isFailing = true;
  proxy.mood = { answer: (path) => (isFailing && path.endsWith("/members") ? 503 : undefined) };
  // What is written is shown all the same.
  const room = await opened(client, roomId);
  expect([room.status, room.members, room.membersError?.code]).toEqual(["ready", undefined, "UNAVAILABLE"]);
  await expect(room.reloadMembers()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  isFailing = false;
  const members = await room.reloadMembers();
  expect(members.map(({ userId }) => userId)).toEqual([ann, ben]);
  expect([room.members, room.membersError]).toEqual([members, undefined]);
  isFailing = true;
  await expect(room.reloadMembers()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(room.members).toBe(members);
  // A change of members has it read again, until it succeeds.
  const [cem] = newUsers(1) as [number];
  await client.invite(roomId, [cem]);
  await until(() => room.members?.length === 3, "the invitation is heard");
  isFailing = false;
  await until(() => room.membersError === undefined, "the list is read again");
  expect(room.members?.map(({ userId }) => userId)).toEqual([ann, ben, cem]);
  const withBen = await opened(client, await client.openWith(ben));
  expect([withBen.members, await withBen.reloadMembers()]).toEqual([undefined, []]);
});

test("a list of members that was overtaken by a change of members does not count", async () => {
  const [ann, ben, cem] = newUsers(3) as [number, number, number];
  await come(ben, cem);
  const proxy = await chaosProxy();
  const clientA = await connected(ann, { url: proxy.url });
  await introduce([ben, cem]);
  const roomId = await clientA.createGroup("room", [ben, cem]);
  const roomA = await opened(clientA, roomId);
  // The first answer, of a reload of the list, is slow, and tells of a member who is gone when it comes.
  proxy.mood = { hold: /\/members$/ };
  proxy.cut();
  await until(() => proxy.held === 1, "the list of three is on its way");
  proxy.mood = {};
  await call("DELETE", `/group-rooms/${roomId}/members/${cem}`, ann);
  await until(() => roomA.messages.length === 1, "the removal is shown");
  await new Promise((resolve) => setTimeout(resolve, 600));
  proxy.release();
  await roomA.send("for one");
  await new Promise((resolve) => setTimeout(resolve, 300));
  await expect.poll(() => asHistory(roomA)).toEqual(await shownHistory(roomId, ann));
});

test("who is invited sees the room appear, and who is kicked sees it vanish", async () => {
  const [ann, ben] = two();
  const [clientA, clientB] = [await connected(ann), await connected(ben)];
  await clientB.rooms();
  const roomId = await clientA.createGroup("room", [ben]);
  await until(() => clientB.roomList?.length === 1, "the room is there");
  const roomB = await opened(clientB, roomId);
  await clientA.renameGroup(roomId, "another name");
  await clientA.kick(roomId, ben);
  await until(() => roomB.status === "gone", "the room is gone");
  await until(() => clientB.roomList?.length === 0, "the list knows");
});

test("who is kicked and invited again at once goes on hearing the room", async () => {
  const [ann, ben] = two();
  const [clientA, clientB] = [await connected(ann), await connected(ben)];
  const roomId = await clientA.createGroup("room", [ben]);
  await clientB.rooms();
  const roomA = await opened(clientA, roomId);
  let roomB = await opened(clientB, roomId);
  for (let round = 0; round < 5; round += 1) {
    await clientA.kick(roomId, ben);
    await clientA.invite(roomId, [ben]);
    await roomA.send(`round ${round}`);
    const isShown = () => {
      // It may have seen that it was gone for a moment.
      if (roomB.status === "gone") roomB = clientB.open(roomId);
      return roomB.messages.at(-1)?.content === `round ${round}`;
    };
    await until(isShown, "the message is shown");
    await until(() => clientB.roomList?.[0]?.lastMessage?.content === `round ${round}`, "the list has it");
  }
});

// The last 200 come with the subscription, up to 200 before them from the history; of more only the newest
// page.
test.each([
  { missed: 30, shown: 40 },
  { missed: 250, shown: 260 },
  { missed: 420, shown: 50 },
])("$missed messages missed without a connection are there when it comes back", async ({ missed, shown }) => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ben, { url: proxy.url });
  const room = await opened(client, roomId);
  const writer = await connect(ann);
  const say = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, index) => writer.say(roomId, `${index}`)));
  await say(10);
  await until(() => room.messages.length === 10, "the first are there");
  proxy.mood = { failCall: 1 };
  proxy.cut();
  await until(() => client.connection.status === "waiting", "it is away");
  await say(missed);
  await writer.close();
  await until(async () => (await history(roomId, ann)).length === missed + 10, "all are stored");
  proxy.mood = {};
  await client.connect();
  await until(() => room.messages.length === shown, "what was missed is there");
  const all = await history(roomId, ben);
  expect(asHistory(room)).toEqual(all.slice(-shown));
  while (room.hasOlder) await room.loadOlder();
  expect(asHistory(room)).toEqual(all);
});

test("what is unread begins before the first page, and can be loaded at once", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const writer = await connect(ann);
  await Promise.all(Array.from({ length: 300 }, (_, index) => writer.say(roomId, `${index + 1}`)));
  await writer.close();
  await until(async () => (await history(roomId, ann)).length === 300, "all are stored");
  const all = await history(roomId, ben);
  const client = await connected(ben);
  await client.rooms();
  const room = await opened(client, roomId);
  room.close();
  expect([room.unreadFrom, room.messages.length]).toEqual([1, 50]);
  const { status } = await call("PATCH", `/rooms/${roomId}/read?messageId=${all[99].messageId}`, ben);
  expect(status).toBe(202);
  await until(() => client.roomList?.[0]?.unreadCount === 200, "a third is read");
  const again = await opened(client, roomId);
  expect([again.unreadFrom, again.messages.length]).toEqual([101, 50]);
  await again.loadOlder(again.unreadFrom);
  expect(again.messages.length).toBeGreaterThanOrEqual(200);
  expect(again.messages.length).toBeLessThan(300);
  expect(asHistory(again)).toEqual((await history(roomId, ben)).slice(-again.messages.length));
  await again.loadOlder(again.unreadFrom);
  const { length } = again.messages;
  await again.loadOlder(1);
  expect(again.messages.length).toBeGreaterThan(length);
  expect(asHistory(again)).toEqual(await history(roomId, ben));
});

test("a connection that breaks while a room is opened leaves nothing out", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ben, { url: proxy.url });
  const writer = await connect(ann);
  const random = seededRandom();
  for (let round = 0; round < 12; round += 1) {
    proxy.mood = { delayMs: 120 };
    const room = client.open(roomId);
    const cutting = setTimeout(() => proxy.cut(), 400 * random());
    for (let count = 0; count < 4; count += 1) {
      await new Promise((resolve) => setTimeout(resolve, 120 * random()));
      await writer.say(roomId, `${round} ${count}`);
    }
    clearTimeout(cutting);
    proxy.mood = {};
    // It has broken so often by now that it would wait for long.
    await client.connect();
    // Nobody writes any more, so nothing else can tell what is missing.
    await until(async () => (await history(roomId, ben)).length === 4 * (round + 1), "all are stored");
    const now = await history(roomId, ben);
    await until(
      () => JSON.stringify(asHistory(room).slice(-40)) === JSON.stringify(now.slice(-40)),
      "all is there",
    );
    room.close();
  }
  await writer.close();
});

test("a page that was asked for before a reconnect does not stand for what came until then", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ben, { url: proxy.url });
  const writer = await connect(ann);
  await writer.say(roomId, "before");
  await until(async () => (await history(roomId, ben)).length === 1, "it is stored");
  proxy.mood = { hold: /\/messages/ };
  const room = client.open(roomId);
  await until(() => proxy.held === 1, "the page is on its way");
  proxy.cut();
  await until(() => client.connection.status === "waiting", "it is away");
  await writer.say(roomId, "meanwhile");
  await until(async () => (await history(roomId, ben)).length === 2, "it is stored");
  await client.connect();
  // Its subscriptions are made one after the other: behind this one the room's is there.
  const other = client.open(await makeRoom([ben, ann]));
  await until(() => proxy.held === 2, "the other room's page is asked for, behind its subscription");
  proxy.release();
  await until(() => room.messages.length === 2, "what came meanwhile is there");
  expect(asHistory(room)).toEqual(await history(roomId, ben));
  other.close();
  await writer.close();
});

test("a read reaches the service, though the room is closed at once or there is no connection", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ben, { url: proxy.url });
  const writer = await connect(ann);
  const read = async () => (await history(roomId, ann)).map(({ unreadCount }) => unreadCount).join();
  const room = await opened(client, roomId);
  for (const text of ["one", "two"]) {
    await writer.say(roomId, text);
    await until(
      () => room.messages.at(-1)?.state === "stored" && room.messages.at(-1)?.content === text,
      text,
    );
    room.markRead();
  }
  room.close();
  await until(async () => (await read()) === "0,0", "both are read");
  const again = await opened(client, roomId);
  await writer.say(roomId, "three");
  await until(() => again.messages.length === 3, "the third is there");
  await writer.close();
  proxy.mood = { failCall: 1 };
  proxy.cut();
  await until(() => client.connection.status !== "connected", "it is away");
  again.markRead();
  again.close();
  expect(await read()).toBe("0,0,1");
  proxy.mood = {};
  await client.connect();
  await until(async () => (await read()) === "0,0,0", "all are read");
});

test("a message that this user deleted leaves no gap that is waited for", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ben, { url: proxy.url });
  const room = await opened(client, roomId);
  const roomA = await opened(await connected(ann), roomId);
  await roomA.send("1");
  await until(() => room.messages.length === 1, "the first is there");
  proxy.mood = { failCall: 1 };
  proxy.cut();
  const second = await roomA.send("2");
  await roomA.send("3");
  await call("DELETE", `/rooms/${roomId}/messages/${second.messageId}`, ben);
  proxy.mood = {};
  await client.connect();
  await until(() => room.messages.at(-1)?.content === "3", "the last is there");
  expect(asHistory(room)).toEqual(await history(roomId, ben));
  const [first] = storedIn(room);
  await room.deleteForMe(first!.messageId);
  expect(asHistory(room)).toEqual(await history(roomId, ben));
});

test("what was written without a connection is sent by whoever runs next", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const outbox = memoryOutbox();
  const before = await connected(ann, { url: proxy.url, outbox });
  const room = await opened(before, roomId);
  proxy.mood = { failCall: 1 };
  proxy.cut();
  await until(() => before.connection.status !== "connected", "it is away");
  const texts = ["one", "two", "three"];
  for (const text of texts) room.send(text).catch(() => {});
  expect(room.messages.map(({ state }) => state)).toEqual(["sending", "sending", "sending"]);
  await until(async () => (await outbox.load(ann)).length === 3, "all are kept");
  await before.disconnect();
  const next = await connected(ann, { outbox });
  await until(async () => (await history(roomId, ann)).length === 3, "all are stored");
  expect((await history(roomId, ann)).map(({ content }) => content)).toEqual(texts);
  await until(async () => (await outbox.load(ann)).length === 0, "none is kept");
  expect((await opened(next, roomId)).messages.map(({ state }) => state)).toEqual([
    "stored",
    "stored",
    "stored",
  ]);
});

test("a message that was stored by an earlier run is found, not sent again", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const outbox = memoryOutbox();
  const clientMessageId = "kept-1";
  const stomp = await connect(ann);
  await stomp.say(roomId, "once", { clientMessageId });
  await stomp.close();
  await until(async () => (await history(roomId, ann)).length === 1, "it is stored");
  const createdAt = new Date().toISOString();
  await outbox.put({
    state: "accepted",
    userId: ann,
    roomId,
    clientMessageId,
    type: "TEXT",
    content: "once",
    createdAt,
  });
  await outbox.put({
    state: "sending",
    userId: ann,
    roomId,
    clientMessageId: "kept-2",
    type: "TEXT",
    content: "more",
    createdAt,
  });
  await connected(ann, { outbox });
  await until(async () => (await outbox.load(ann)).length === 0, "both are through");
  expect((await history(roomId, ann)).map(({ content }) => content)).toEqual(["once", "more"]);
});

test("the fourth device ends the first, which does not come back by itself", UNLESS_LATE, async () => {
  const [ann] = two();
  const clients = [];
  for (let device = 0; device < 3; device += 1)
    clients.push(await connected(ann, { deviceId: `device-${device}` }));
  clients.push(await connected(ann, { deviceId: "device-3" }));
  const [first, ...others] = clients;
  await until(() => first!.connection.status === "closed", "the first is closed");
  expect(first!.connection).toMatchObject({ error: { code: "SESSION_CLOSED", reason: "SESSION_LIMIT" } });
  expect(others.map(({ connection }) => connection.status)).toEqual(["connected", "connected", "connected"]);
  // Only when asked to, and then another one has to go.
  await first!.connect();
  await until(() => others[0]!.connection.status === "closed", "the second is closed");
});

test("a logout ends all sessions", async () => {
  const [ann] = two();
  const [first, second] = [await connected(ann), await connected(ann)];
  await first.logOut();
  expect(first.connection.status).toBe("idle");
  await until(() => second.connection.status === "closed", "the other one is closed");
  expect(second.connection).toMatchObject({ error: { code: "SESSION_CLOSED", reason: "LOGGED_OUT" } });
});

test.each([
  ["that nobody signed", () => tokenFor(1, { secret: "another secret of at least 32 bytes!" })],
  ["that is none", async () => "no token"],
])("a token %s is refused for good", async (_, token) => {
  const client = chatClient(1, { token });
  await expect(client.connect()).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  expect(client.connection).toMatchObject({ status: "closed", error: { code: "UNAUTHORIZED" } });
});

test("a token source that fails for a while is asked again", async () => {
  const [ann] = two();
  let asked = 0;
  const token = async () => {
    asked += 1;
    if (asked < 3) throw new Error("no identity provider");
    return tokenFor(ann);
  };
  const client = await connected(ann, { token });
  expect(client.userId).toBe(ann);
  expect(asked).toBe(3);
});

test("what is written before the first token is there is sent with it", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const outbox = memoryOutbox();
  let isAway = true;
  const token = async () => {
    if (isAway) throw new Error("no identity provider");
    return tokenFor(ann);
  };
  const client = chatClient(ann, { token, outbox });
  client.connect().catch(() => {});
  const room = client.open(roomId);
  const sent = room.send("early");
  expect(room.messages).toMatchObject([{ state: "sending", content: "early" }]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  isAway = false;
  await expect(sent).resolves.toMatchObject({ content: "early", senderId: ann });
  await until(async () => (await outbox.load(ann)).length === 0, "nothing is kept");
});

test("a read of the last moment is said before disconnecting, also of what one has deleted", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const client = await connected(ben);
  const room = await opened(client, roomId);
  const writer = await opened(await connected(ann), roomId);
  await writer.send("one");
  await until(() => room.messages.length === 1, "the first is there");
  room.markRead();
  const { messageId } = await writer.send("two");
  await until(() => room.messages.length === 2, "the second is there");
  await room.deleteForMe(messageId);
  room.markRead();
  await client.disconnect();
  const counts = async () => (await history(roomId, ann)).map(({ unreadCount }) => unreadCount).join();
  await until(async () => (await counts()) === "0,0", "both are read");
});
