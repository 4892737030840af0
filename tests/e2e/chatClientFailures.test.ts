import { memoryOutbox, type OutboxEntry } from "@nonstop/chat-client";
import { expect, test } from "vitest";
import { asHistory, chaosProxy, chatClient, connected, opened } from "../support/chat.js";
import { connect, history, makeRoom, newUsers, until } from "../support/client.js";

const two = () => newUsers(2) as [number, number];
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("what came during a reconnect is shown, though the first call for it fails", async () => {
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
  await writer.close();
  await until(async () => (await history(roomId, ben)).length === 2, "it is stored");
  await client.connect();
  client.open(await makeRoom([ben, ann]));
  await until(() => proxy.held === 2, "the other room's page is asked for, behind its subscription");
  let failed = 0;
  proxy.release();
  proxy.mood = {
    answer: (path) => {
      if (failed > 0 || !path.includes(`/rooms/${roomId}/`)) return undefined;
      failed += 1;
      return 503;
    },
  };
  await until(() => room.messages.length === 2, "both are shown");
  expect(failed).toBe(1);
  expect(asHistory(room)).toEqual(await history(roomId, ben));
});

test.each([404, 403, 401, 500])(
  "a %s of something on the way is no word of the service on the room: it is asked again",
  async (status) => {
    const [ann, ben] = two();
    const roomId = await makeRoom([ann, ben]);
    const proxy = await chaosProxy();
    const client = await connected(ben, { url: proxy.url });
    let answered = 0;
    proxy.mood = {
      answer: (path) => {
        if (answered === 2 || !path.includes("/messages")) return undefined;
        answered += 1;
        return status;
      },
    };
    const room = await opened(client, roomId);
    expect([room.status, answered]).toEqual(["ready", 2]);
  },
);

test("a room that one is no member of is gone, and asks no more", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann]);
  const client = await connected(ben);
  const room = client.open(roomId);
  await expect(room.ready).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
  expect(room.status).toBe("gone");
});

test("who is kicked and invited again before the list is loaded goes on hearing the room", async () => {
  const [ann, ben] = two();
  const proxy = await chaosProxy();
  const [clientA, clientB] = [await connected(ann), await connected(ben, { url: proxy.url })];
  const roomId = await clientA.createGroup("room", [ben]);
  await clientB.rooms();
  const heard: string[] = [];
  clientB.on("message", ({ content }) => heard.push(content));
  const room = await opened(clientA, roomId);
  await room.send("first");
  await until(() => heard.includes("first"), "the room is heard");
  proxy.mood = { hold: /\/rooms\?/ };
  await clientA.kick(roomId, ben);
  await until(() => proxy.held > 0, "the list is on its way");
  await clientA.invite(roomId, [ben]);
  // The hints of both have come.
  await wait(1_000);
  proxy.release();
  await until(async () => {
    await room.send("again");
    return heard.includes("again");
  }, "the room is heard again");
  await until(() => clientB.roomList?.[0]?.lastMessage?.content === "again", "the list shows it");
});

test("what an earlier run sent and the history shows already is not shown as waiting, too", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const writer = await connect(ann);
  await writer.say(roomId, "once", { clientMessageId: "kept" });
  await writer.close();
  await until(async () => (await history(roomId, ann)).length === 1, "it is stored");
  const outbox = memoryOutbox();
  const kept = {
    state: "sending",
    userId: ann,
    roomId,
    clientMessageId: "kept",
    type: "TEXT",
    content: "once",
  };
  await outbox.put({ ...kept, createdAt: new Date().toISOString() } as OutboxEntry);
  let isRead = () => {};
  const read = new Promise<void>((resolve) => {
    isRead = resolve;
  });
  const load = async (userId: number) => {
    await read;
    return outbox.load(userId);
  };
  const client = await connected(ann, { userId: ann, outbox: { ...outbox, load } });
  const room = await opened(client, roomId);
  const shown: number[] = [];
  room.on("change", () => shown.push(room.messages.length));
  isRead();
  await until(async () => (await outbox.load(ann)).length === 0, "it is known to be stored");
  expect(new Set([...shown, room.messages.length])).toEqual(new Set([1]));
  expect((await history(roomId, ann)).length).toBe(1);
});

test("logging out says before what was read last", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const writer = await opened(await connected(ann), roomId);
  const client = await connected(ben);
  const room = await opened(client, roomId);
  for (const text of ["one", "two"]) {
    const { seq } = await writer.send(text);
    await until(() => room.messages.length === seq, "it is shown");
    room.markRead();
  }
  await client.logOut();
  await until(
    async () => (await history(roomId, ann)).every(({ unreadCount }) => unreadCount === 0),
    "both are read",
  );
});

test("who disconnects on hearing that it connects can connect again, and the outbox is read", async () => {
  const [ann] = two();
  const outbox = memoryOutbox();
  let loads = 0;
  const load = (userId: number) => {
    loads += 1;
    return outbox.load(userId);
  };
  const client = chatClient(ann, { outbox: { ...outbox, load } });
  const off = client.on("connection", ({ status }) => {
    if (status === "connecting") void client.disconnect();
  });
  await expect(client.connect()).rejects.toMatchObject({ code: "ABORTED" });
  off();
  await client.connect();
  await until(() => loads === 1, "the outbox is read");
});

test("disconnecting, connecting and disconnecting at once ends without a connection", async () => {
  const [ann] = two();
  const client = await connected(ann);
  void client.disconnect();
  const connecting = client.connect();
  await client.disconnect();
  await connecting.catch(() => {});
  expect(client.connection.status).toBe("idle");
});
