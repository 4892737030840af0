import { setTimeout as pause } from "node:timers/promises";
import { expect, inject, test } from "vitest";
import { openDatabase } from "../../shared/store/database.js";
import { holdRoom } from "../../shared/store/rooms.js";
import { listSubscriptionIds } from "../../shared/store/subscriptionIds.js";
import { inTransaction } from "../../shared/store/transaction.js";
import { call, connect, makeRoom, newUsers, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";
import { openConnected } from "../support/rawSocket.js";

const { retry } = UNLESS_LATE;
unlessLimitsAreOpen();

test("three clients with different subscription ids in one room each get their own id back", async () => {
  const users = newUsers(3);
  const roomId = await makeRoom(users);
  const ids = ["sub-0", `/sub/chat/room/${roomId}`, "id with spaces: colon \\ 한"];
  const sockets = await Promise.all(users.map((user) => openConnected(user)));
  const wires = ids.map((id) => id.replaceAll("\\", "\\\\").replaceAll(":", "\\c"));
  for (const [index, socket] of sockets.entries()) {
    socket.send(`SUBSCRIBE\nid:${wires[index]}\ndestination:/sub/chat/room/${roomId}\nreceipt:ok\n\n\0`);
    expect(await socket.next()).toContain("receipt-id:ok");
  }
  sockets[0]!.send(
    `SEND\ndestination:/pub/chat/message\n\n${JSON.stringify({ roomId, content: "to all" })}\0`,
  );
  for (const [index, socket] of sockets.entries()) {
    const frame = await socket.next();
    expect(frame).toContain(`\nsubscription:${wires[index]}\n`);
    expect(frame).toContain('"content":"to all"');
  }
  await Promise.all(sockets.map((socket) => socket.close()));
});

test("two subscriptions of one connection to one room both get the message; after UNSUBSCRIBE only the other does", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const a = await connect(ann);
  const first = await a.subscribe(`/sub/chat/room/${roomId}`, { id: "one" });
  const second = await a.subscribe(`/sub/chat/room/${roomId}`, { id: "two" });
  await a.say(roomId, "both");
  await until(() => first.length === 1 && second.length === 1, "the message at both");
  const gone = new Promise<void>((resolve) => a.client.watchForReceipt("gone", () => resolve()));
  a.client.unsubscribe("one", { receipt: "gone" });
  await gone;
  await a.say(roomId, "one only");
  await until(() => second.length === 2, "the second message");
  expect(first).toHaveLength(1);
  await a.close();
});

test("the same id and destination again changes nothing; the same id with another destination is an ERROR", async () => {
  const [ann] = newUsers(1) as [number];
  const [roomId, otherId] = [await makeRoom([ann]), await makeRoom([ann])];
  const socket = await openConnected(ann);
  for (const receipt of ["1", "2"]) {
    socket.send(`SUBSCRIBE\nid:a\ndestination:/sub/chat/room/${roomId}\nreceipt:${receipt}\n\n\0`);
    expect(await socket.next()).toBe(`RECEIPT\nreceipt-id:${receipt}\n\n\0`);
  }
  socket.send(`SUBSCRIBE\nid:a\ndestination:/sub/chat/room/${otherId}\nreceipt:3\n\n\0`);
  expect(await socket.next()).toMatch(/^ERROR\n[\s\S]*receipt-id:3\n/);
  await socket.closed;
});

test("last-seq brings what was missed first, then what comes", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const a = await connect(ann);
  const before = await connect(ben);
  const seen = await before.subscribe(`/sub/chat/room/${roomId}`);
  for (let index = 1; index <= 3; index += 1) await a.say(roomId, `m${index}`);
  await until(() => seen.length === 3, "three messages");
  await before.close();
  for (let index = 4; index <= 8; index += 1) await a.say(roomId, `m${index}`);
  await until(
    async () => (await call("GET", `/rooms/${roomId}/messages?limit=1`, ann)).body.messages[0].seq === 8,
    "8 stored",
  );
  const after = await connect(ben);
  const again = await after.subscribe(`/sub/chat/room/${roomId}`, { "last-seq": "3" });
  await a.say(roomId, "m9");
  await until(() => again.length === 6, "the missed and the new");
  expect(again.map(({ seq, content }) => [seq, content])).toEqual(
    [4, 5, 6, 7, 8, 9].map((seq) => [seq, `m${seq}`]),
  );
  expect(again.map(({ unreadCount }) => unreadCount)).toEqual([1, 1, 1, 1, 1, 1]);
  await Promise.all([a.close(), after.close()]);
});

test("more than 200 missed: the newest 200, with gap on the first", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const a = await connect(ann);
  await Promise.all(
    Array.from({ length: 230 }, (_, index) => a.say(roomId, `${index} ${"한".repeat(3_000)}`)),
  );
  await until(
    async () => (await call("GET", `/rooms/${roomId}/messages?limit=1`, ann)).body.messages[0]?.seq === 230,
    "230 stored",
  );
  const frames: { seq: number; gap: string | undefined }[] = [];
  const done = new Promise<void>((resolve) => a.client.watchForReceipt("subscribed", () => resolve()));
  a.client.subscribe(
    `/sub/chat/room/${roomId}`,
    ({ body, headers }) => frames.push({ seq: JSON.parse(body).seq, gap: headers["gap"] }),
    { "last-seq": "5", receipt: "subscribed" },
  );
  await done;
  expect(frames.map(({ seq }) => seq)).toEqual(Array.from({ length: 200 }, (_, index) => index + 31));
  expect(frames.map(({ gap }) => gap)).toEqual(["true", ...Array.from({ length: 199 }, () => undefined)]);
  await a.close();
});

test("a reader that comes back again and again under load misses nothing", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const a = await connect(ann);
  const seen = new Set<number>();
  let last = 0;
  let sending = true;
  const sender = (async () => {
    for (let index = 0; index < 300; index += 1) await a.say(roomId, `m${index}`);
    sending = false;
  })();
  while (sending || seen.size < 300) {
    const b = await connect(ben);
    const messages = await b.subscribe(`/sub/chat/room/${roomId}`, { "last-seq": String(last) });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await b.close();
    let newest = last;
    for (const { seq } of messages) {
      // A repeat may come, but nothing ahead of its place.
      expect(seq, `after ${newest}`).toBeLessThanOrEqual(newest + 1);
      newest = Math.max(newest, seq);
      seen.add(seq);
    }
    while (seen.has(last + 1)) last += 1;
    expect(last, "a message was missed").toBe(Math.max(0, ...seen));
  }
  await sender;
  expect([...seen].sort((x, y) => x - y)).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
  await a.close();
});

test("a stranger's SUBSCRIBE and SEND are refused, and he hears nothing", async () => {
  const [ann, eve] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann]);
  const a = await connect(ann);
  const seen = await a.subscribe(`/sub/chat/room/${roomId}`);
  for (const frame of [
    `SUBSCRIBE\nid:x\ndestination:/sub/chat/room/${roomId}\nreceipt:r\n\n\0`,
    `SUBSCRIBE\nid:x\ndestination:/sub/chat/room/${roomId}/read\nreceipt:r\n\n\0`,
    `SEND\ndestination:/pub/chat/message\nreceipt:r\n\n${JSON.stringify({ roomId, content: "x" })}\0`,
  ]) {
    const socket = await openConnected(eve);
    socket.send(frame);
    const answer = await socket.next();
    expect(answer).toMatch(/^ERROR\n[\s\S]*receipt-id:r\n/);
    expect(answer).toContain('"code":"NOT_A_MEMBER"');
    expect(answer).toContain(`"roomId":${roomId}`);
    await socket.closed;
  }
  const listening = await connect(eve);
  const refusals = await listening.subscribe("/user/queue/errors");
  listening.client.publish({
    destination: "/pub/chat/message",
    body: JSON.stringify({ roomId, content: "x", clientMessageId: "c" }),
  });
  await until(() => refusals.length === 1, "the refusal");
  expect(refusals[0]).toMatchObject({ type: "ERROR", code: "NOT_A_MEMBER", roomId, clientMessageId: "c" });
  expect(listening.client.connected).toBe(true);
  await a.say(roomId, "for members");
  await until(() => seen.length === 1, "the member's message");
  expect(seen[0].content).toBe("for members");
  expect((await call("GET", `/rooms/${roomId}/messages`, eve)).status).toBe(403);
  await Promise.all([a.close(), listening.close()]);
});

test("a connection takes 100 subscriptions, and fewer where the ids are long", { retry }, async () => {
  const [ann] = newUsers(1) as [number];
  const rooms = await Promise.all(Array.from({ length: 51 }, () => makeRoom([ann])));
  const destinations = rooms.flatMap((roomId) => [
    `/sub/chat/room/${roomId}`,
    `/sub/chat/room/${roomId}/read`,
  ]);
  for (const [id, most] of [
    ["s", 100],
    ["x".repeat(250), 99],
  ] as const) {
    const socket = await openConnected(ann);
    let answer = "";
    let taken = 0;
    for (; taken <= 100; taken += 1) {
      socket.send(`SUBSCRIBE\nid:${id}${taken}\ndestination:${destinations[taken]}\nreceipt:r\n\n\0`);
      answer = await socket.next();
      if (!answer.startsWith("RECEIPT")) break;
    }
    expect(answer).toContain('"code":"TOO_MANY_SUBSCRIPTIONS"');
    expect(taken).toBeLessThanOrEqual(most);
    expect(taken).toBeGreaterThan(5);
    await socket.closed;
  }
});

test("a user takes few ids of a room, however they try, and keeps nobody else from it", {
  retry,
}, async () => {
  const [eve, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([eve, ben]);
  const destination = `/sub/chat/room/${roomId}`;
  const sockets = await Promise.all([1, 2, 3].map(() => openConnected(eve)));
  const answers: string[] = [];
  for (const [index, socket] of sockets.entries()) {
    socket.send("SUBSCRIBE\nid:errors\ndestination:/user/queue/errors\n\n\0");
    for (let tries = 0; tries < 30; tries += 1)
      socket.send(`SUBSCRIBE\nid:${index}-${tries}\ndestination:${destination}\nreceipt:r\n\n\0`);
    answers.push(...(await Promise.all(Array.from({ length: 30 }, () => socket.next()))));
    // The destination itself is always free.
    socket.send(`SUBSCRIBE\nid:${destination}\ndestination:${destination}\nreceipt:r\n\n\0`);
    expect(await socket.next()).toBe("RECEIPT\nreceipt-id:r\n\n\0");
  }
  expect(answers.filter((answer) => answer.startsWith("RECEIPT"))).toHaveLength(8);
  expect(answers.filter((answer) => answer.includes('"code":"TOO_MANY_SUBSCRIPTIONS"'))).toHaveLength(82);
  const database = openDatabase(inject("stack").mysql);
  try {
    const ids = await listSubscriptionIds(database, [`r${roomId}`]);
    expect(ids.get(`r${roomId}`)).toHaveLength(9);
  } finally {
    await database.end();
  }
  // What is given back can be taken again, also by another session.
  sockets[0]!.send("UNSUBSCRIBE\nid:0-3\nreceipt:u\n\n\0");
  expect(await sockets[0]!.next()).toMatch(/^RECEIPT/);
  sockets[2]!.send(`SUBSCRIBE\nid:one more\ndestination:${destination}\nreceipt:r\n\n\0`);
  expect(await sockets[2]!.next()).toMatch(/^RECEIPT/);
  const other = await connect(ben);
  const heard = await other.subscribe(destination);
  await other.say(roomId, "hello");
  await until(() => heard.length === 1, "the other one is served");
  await Promise.all([other.close(), ...sockets.map((socket) => socket.close())]);
});

test("a stranger's refused SUBSCRIBEs use up none of the ids that the user may take later", {
  retry,
}, async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann]);
  const socket = await openConnected(ben);
  socket.send("SUBSCRIBE\nid:errors\ndestination:/user/queue/errors\n\n\0");
  const subscribe = async (id: string): Promise<string> => {
    socket.send(`SUBSCRIBE\nid:${id}\ndestination:/sub/chat/room/${roomId}\nreceipt:r\n\n\0`);
    for (;;) {
      const answer = await socket.next();
      // The invitation is shown in the room meanwhile.
      if (!answer.includes('"SYSTEM_INVITE"')) return answer;
    }
  };
  const inTurn = async (ids: readonly number[], name: string): Promise<readonly string[]> => {
    const answers: string[] = [];
    for (const id of ids) answers.push(await subscribe(`${name}${id}`));
    return answers;
  };
  const eight = [1, 2, 3, 4, 5, 6, 7, 8];
  for (const answer of await inTurn(eight, "refused")) expect(answer).toContain('"code":"NOT_A_MEMBER"');
  expect((await call("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [ben] })).status).toBe(200);
  for (const answer of await inTurn(eight, "taken")) expect(answer).toMatch(/^RECEIPT/);
  await socket.close();
});

/** Two messages that are stored together: the room's partition is held up meanwhile. */
test("one frame a WebSocket message, unless the SUBSCRIBE asks for more", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const [one, several, sender] = await Promise.all([openConnected(ben), openConnected(ben), connect(ann)]);
  const subscribe = (more: string) =>
    `SUBSCRIBE\nid:1\ndestination:/sub/chat/room/${roomId}\nreceipt:r\n${more}\n\0`;
  for (const [socket, more] of [
    [one, ""],
    [several, "packed:true\n"],
  ] as const) {
    socket.send(subscribe(more));
    expect(await socket.next()).toMatch(/^RECEIPT/);
  }
  const database = openDatabase(inject("stack").mysql);
  try {
    await inTransaction(database, async (tx) => {
      await holdRoom(tx, roomId);
      await sender.say(roomId, "first");
      await pause(1_000);
      await Promise.all(Array.from({ length: 20 }, (_, index) => sender.say(roomId, `${index}`)));
    });
  } finally {
    await database.end();
  }
  const contents = (texts: readonly string[]) =>
    texts.flatMap((text) => [...text.matchAll(/"seq":(\d+)/g)].map(([, seq]) => Number(seq)));
  const wanted = Array.from({ length: 21 }, (_, index) => index + 1);
  await until(() => contents(one.arrived).length === 21, "all to the one");
  await until(() => contents(several.arrived).length === 21, "all to the other");
  expect(one.arrived.map((text) => text.split("\0").length - 1)).toEqual(wanted.map(() => 1));
  expect(several.arrived.length).toBeLessThan(21);
  for (const socket of [one, several]) expect(contents(socket.arrived)).toEqual(wanted);
  // What was missed comes the same way.
  for (const [more, messages] of [
    ["", 22],
    ["packed:true\n", 2],
  ] as const) {
    const socket = await openConnected(ben);
    socket.send(subscribe(`${more}last-seq:0\n`));
    const texts = [];
    while (!texts.at(-1)?.startsWith("RECEIPT")) texts.push(await socket.next());
    expect(contents(texts)).toEqual(wanted);
    expect(texts).toHaveLength(messages);
    await socket.close();
  }
  await Promise.all([one.close(), several.close(), sender.close()]);
});
