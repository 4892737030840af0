import { createConnection, type RowDataPacket } from "mysql2/promise";
import { afterEach, describe, expect, inject, test } from "vitest";
import { type Connected, call, connect, type Json, makeRoom, newUsers, until } from "../support/client.js";
import { openConnected, type RawSocket } from "../support/rawSocket.js";

/** What a user hears of their list of rooms on `/user/queue/rooms`. */

const QUEUE = "/user/queue/rooms";

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});
async function online(userId: number): Promise<Connected> {
  const one = await connect(userId);
  opened.push(one);
  return one;
}

/** A session of the user, and what it has heard so far. */
const listener = async (userId: number): Promise<Json[]> => (await online(userId)).subscribe(QUEUE);

const direct = async (by: number, targetUserId: number): Promise<{ status: number; roomId: number }> => {
  const { status, body } = await call("POST", "/rooms", by, { targetUserId });
  return { status, roomId: body.roomId };
};
const invite = (roomId: number, by: number, userIds: readonly number[]) =>
  call("POST", `/group-rooms/${roomId}/invite`, by, { userIds });
const kick = (roomId: number, by: number, userId: number) =>
  call("DELETE", `/group-rooms/${roomId}/members/${userId}`, by);
const leave = (roomId: number, by: number) => call("DELETE", `/rooms/${roomId}`, by);

/** Told of a room that `by` has made them a member of; a one-to-one room has no name. */
const added = (roomId: number, by: number, roomName: string | null = "room"): object => ({
  type: "ROOM_ADDED",
  roomId,
  roomName,
  by: { userId: by, nickname: `User ${by}` },
  timestamp: expect.any(Number),
});
const removed = (roomId: number): object => ({
  type: "ROOM_REMOVED",
  roomId,
  timestamp: expect.any(Number),
});
const renamed = (roomId: number, by: number, roomName: string): object => ({
  ...added(roomId, by, roomName),
  type: "ROOM_RENAMED",
});

const pictured = (roomId: number, by: number, imageUrl: string | null): object => ({
  type: "ROOM_IMAGE_CHANGED",
  roomId,
  imageUrl,
  by: { userId: by, nickname: `User ${by}` },
  timestamp: expect.any(Number),
});

/**
 * Makes a room for each of these users alone; when they hear of it, whatever was told before has come, too.
 */
async function heardAll(...lists: readonly (readonly [userId: number, heard: Json[]])[]): Promise<void> {
  for (const [userId, heard] of lists) {
    const roomId = await makeRoom([userId]);
    await until(() => heard.some((one) => one.roomId === roomId), "the mark");
    const mark = heard.findIndex((one) => one.roomId === roomId);
    expect(heard.splice(mark, 1)).toEqual([added(roomId, userId)]);
  }
}

test("a one-to-one room is told to both when it is made, to all of their sessions, and to nobody when it is there", async () => {
  const [ann, ben, eve] = newUsers(3) as [number, number, number];
  const [a, b, again, e] = await Promise.all([listener(ann), listener(ben), listener(ben), listener(eve)]);
  const before = Date.now();
  const { status, roomId } = await direct(ann, ben);
  expect(status).toBe(201);
  await heardAll([ann, a], [ben, b], [ben, again], [eve, e]);
  for (const heard of [a, b]) expect(heard.slice(0, 1)).toEqual([added(roomId, ann, null)]);
  expect(again[0]).toEqual(added(roomId, ann, null));
  expect(a[0].timestamp).toBeGreaterThanOrEqual(before);
  expect(a[0].timestamp).toBeLessThanOrEqual(Date.now());
  expect(e).toEqual([]);

  for (const heard of [a, b, again]) heard.length = 0;
  expect((await direct(ben, ann)).status).toBe(200);
  await heardAll([ann, a], [ben, b]);
  expect([a, b]).toEqual([[], []]);
});

test("a group is told to all of its members when it is made, its creator included, and to nobody else", async () => {
  const [ann, ben, cho, eve] = newUsers(4) as [number, number, number, number];
  const [a, b, c, e] = await Promise.all([listener(ann), listener(ben), listener(cho), listener(eve)]);
  const roomId = await makeRoom([ann, ben, cho]);
  await heardAll([ann, a], [ben, b], [cho, c], [eve, e]);
  expect([a, b, c, e]).toEqual([...Array(3).fill([added(roomId, ann)]), []]);
});

test("an invitation is told to those who were no members before, and not to those who were", async () => {
  const [ann, ben, cho, dan] = newUsers(4) as [number, number, number, number];
  const roomId = await makeRoom([ann, ben]);
  const [a, b, c, d] = await Promise.all([listener(ann), listener(ben), listener(cho), listener(dan)]);
  expect((await invite(roomId, ben, [ben, cho, dan, cho])).body.invited).toEqual([cho, dan]);
  await heardAll([ann, a], [ben, b], [cho, c], [dan, d]);
  expect([a, b]).toEqual([[], []]);
  expect([c, d]).toEqual([[added(roomId, ben)], [added(roomId, ben)]]);
});

test("500 invited users at once are told each", async () => {
  const [ann, ...others] = newUsers(501) as [number, ...number[]];
  const roomId = await makeRoom([ann]);
  const listening = [others[0]!, others[249]!, others[499]!];
  const lists = await Promise.all(listening.map(listener));
  expect((await invite(roomId, ann, others)).body.invited).toHaveLength(500);
  await until(() => lists.every((heard) => heard.length === 1), "all who listen have heard");
  for (const heard of lists) expect(heard).toEqual([added(roomId, ann)]);
});

describe("who is no member any more", () => {
  test("by a kick hears it in all sessions once these have stopped receiving; the others don't; invited again they hear that", async () => {
    const [ann, ben, cho] = newUsers(3) as [number, number, number];
    const roomId = await makeRoom([ann, ben, cho]);
    const [first, second] = [await online(ben), await online(ben)];
    const lists = [await first.subscribe(QUEUE), await second.subscribe(QUEUE)] as const;
    const messages = await first.subscribe(`/sub/chat/room/${roomId}`);
    const [a, c] = [await listener(ann), await listener(cho)];

    expect((await kick(roomId, ann, ben)).status).toBe(200);
    await heardAll([ann, a], [cho, c]);
    await until(() => lists.every((heard) => heard.length > 0), "both sessions have heard");
    expect(lists).toEqual([[removed(roomId)], [removed(roomId)]]);
    expect([a, c]).toEqual([[], []]);
    const { rooms } = (await call("GET", "/rooms", ben)).body;
    expect(rooms).toEqual([]);

    await invite(roomId, cho, [ben]);
    await until(() => lists.every((heard) => heard.length > 1), "both sessions have heard again");
    expect(lists[0]).toEqual([removed(roomId), added(roomId, cho)]);
    expect(lists[1]).toEqual(lists[0]);
    // Neither SYSTEM_KICK nor SYSTEM_INVITE: the session has to subscribe again.
    expect(messages).toEqual([]);
  });

  test("by leaving a group hears it; the heir and the others don't", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const roomId = await makeRoom([ann, ben]);
    const [a, elsewhere, b] = await Promise.all([listener(ann), listener(ann), listener(ben)]);
    expect((await leave(roomId, ann)).status).toBe(200);
    await until(() => a.length > 0 && elsewhere.length > 0, "both sessions have heard");
    await heardAll([ben, b]);
    expect([a, elsewhere, b]).toEqual([[removed(roomId)], [removed(roomId)], []]);
  });

  test("nothing is told of a call that is refused", async () => {
    const [ann, ben, eve] = newUsers(3) as [number, number, number];
    const roomId = await makeRoom([ann, ben]);
    const [a, b, e] = await Promise.all([listener(ann), listener(ben), listener(eve)]);
    expect((await kick(roomId, ben, ann)).status).toBe(403);
    expect((await kick(roomId, ann, eve)).status).toBe(404);
    expect((await leave(roomId, eve)).status).toBe(403);
    expect((await invite(roomId, eve, [eve])).status).toBe(403);
    await heardAll([ann, a], [ben, b], [eve, e]);
    expect([a, b, e]).toEqual([[], [], []]);
  });
});

test("a one-to-one room that was left is told when its leaver opens it again, or the other one writes", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const { roomId } = await direct(ann, ben);
  const writer = await online(ben);
  const [a, b] = [await listener(ann), await writer.subscribe(QUEUE)];
  await leave(roomId, ann);
  await until(() => a.length === 1, "Ann has left");
  expect(await direct(ann, ben)).toEqual({ status: 200, roomId });
  await until(() => a.length === 2, "Ann is back");
  await leave(roomId, ann);
  await until(() => a.length === 3, "Ann has left again");
  await writer.say(roomId, "are you there?");
  await writer.say(roomId, "hello?");
  await until(() => a.length === 4, "the room is back");
  await heardAll([ann, a], [ben, b]);
  const [gone, opened, written] = [removed(roomId), added(roomId, ann, null), added(roomId, ben, null)];
  expect(a).toEqual([gone, opened, gone, written]);
  expect(b).toEqual([]);
  const { rooms } = (await call("GET", "/rooms", ann)).body;
  expect(rooms.find((one: Json) => one.roomId === roomId)).toMatchObject({ unreadCount: 2 });
});

test("another name is told to every member, once; the name that it has already to nobody", async () => {
  const [ann, ben, cho, eve] = newUsers(4) as [number, number, number, number];
  const roomId = await makeRoom([ann, ben, cho]);
  const [a, b, c, e] = await Promise.all([listener(ann), listener(ben), listener(cho), listener(eve)]);
  for (const name of ["Team", "Team", " Team"])
    expect((await call("PATCH", `/group-rooms/${roomId}`, ben, { name })).body).toEqual({
      roomId,
      name: "Team",
      imageUrl: null,
    });
  await heardAll([ann, a], [ben, b], [cho, c], [eve, e]);
  expect([a, b, c, e]).toEqual([...Array(3).fill([renamed(roomId, ben, "Team")]), []]);
  await invite(roomId, ann, [eve]);
  await until(() => e.length > 0, "Eve has heard");
  expect(e).toEqual([added(roomId, ann, "Team")]);
});

test("another picture is told to every member, once, and no name with it; the picture that it has already to nobody", async () => {
  const [ann, ben, cho, eve] = newUsers(4) as [number, number, number, number];
  const roomId = await makeRoom([ann, ben, cho]);
  const imageUrl = "https://example.com/team.png";
  const lists = await Promise.all([listener(ann), listener(ben), listener(cho), listener(eve)]);
  const [a, b, c, e] = lists;
  const change = (body: object) => call("PATCH", `/group-rooms/${roomId}`, ben, body);
  for (const body of [{ imageUrl }, { imageUrl }, { imageUrl, name: "room" }])
    expect((await change(body)).body).toEqual({ roomId, name: "room", imageUrl });
  await heardAll([ann, a], [ben, b], [cho, c], [eve, e]);
  expect(lists).toEqual([...Array(3).fill([pictured(roomId, ben, imageUrl)]), []]);

  expect((await change({ imageUrl: null, name: "Team" })).body).toEqual({
    roomId,
    name: "Team",
    imageUrl: null,
  });
  await heardAll([ann, a], [ben, b], [cho, c], [eve, e]);
  for (const heard of [a, b, c]) {
    expect(heard.slice(1)).toHaveLength(2);
    expect(heard).toContainEqual(renamed(roomId, ben, "Team"));
    expect(heard).toContainEqual(pictured(roomId, ben, null));
  }
  expect(e).toEqual([]);
});

/** Sends a frame with a `receipt` and waits for the RECEIPT. */
async function accepted(socket: RawSocket, frame: string): Promise<void> {
  socket.send(frame.replace("\n", "\nreceipt:ok\n"));
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:ok\n\n\0");
}

describe("the subscription", () => {
  test.each([
    ["1.2", "sub-3"],
    ["1.2", "my\\cown id"],
    ["1.1", QUEUE],
    ["1.0", "a:b\\"],
  ])("in STOMP %s gets its own id %j back", async (version, id) => {
    const [ann] = newUsers(1) as [number];
    const socket = await openConnected(ann, version);
    opened.push(socket);
    await accepted(socket, `SUBSCRIBE\nid:${id}\ndestination:${QUEUE}\n\n\0`);
    const roomId = await makeRoom([ann]);
    const frame = await socket.next();
    const [, timestamp] = /"timestamp":(\d{13})\}/.exec(frame) ?? [];
    const body = `{"type":"ROOM_ADDED","roomId":${roomId},"roomName":"room","by":{"userId":${ann},"nickname":"User ${ann}"},"timestamp":${timestamp}}`;
    expect(frame).toBe(
      `MESSAGE\nsubscription:${id}\ndestination:${QUEUE}\nmessage-id:ROOM_ADDED-${roomId}-${timestamp}\n` +
        `content-type:application/json\ncontent-length:${body.length}\n\n${body}\0`,
    );
  });

  test("ends with UNSUBSCRIBE, and neither it nor one whose connection has gone stays noted", async () => {
    const [ann] = newUsers(1) as [number];
    const [socket, other] = [await openConnected(ann), await openConnected(ann)];
    opened.push(socket);
    await accepted(socket, `SUBSCRIBE\nid:first\ndestination:${QUEUE}\n\n\0`);
    await accepted(socket, `SUBSCRIBE\nid:second\ndestination:${QUEUE}\n\n\0`);
    await accepted(other, `SUBSCRIBE\nid:third\ndestination:${QUEUE}\n\n\0`);
    expect(await idsOf(ann)).toEqual(["first", "second", "third"]);
    await accepted(socket, "UNSUBSCRIBE\nid:first\n\n\0");
    await other.close();
    await until(async () => (await idsOf(ann)).length === 1, "the others are forgotten");
    expect(await idsOf(ann)).toEqual(["second"]);
    await makeRoom([ann]);
    expect(await socket.next()).toMatch(/^MESSAGE\nsubscription:second\n/);
    await accepted(socket, "UNSUBSCRIBE\nid:second\n\n\0");
    expect(await idsOf(ann)).toEqual([]);
    await makeRoom([ann]);
    // An answer to a later frame comes behind whatever was told before.
    await accepted(socket, "UNSUBSCRIBE\nid:none\n\n\0");
    expect(socket.arrived).toEqual([]);
  });
});

/** The subscription ids that are noted for a user's queue. */
async function idsOf(userId: number): Promise<string[]> {
  const connection = await createConnection(inject("stack").mysql);
  try {
    const [rows] = await connection.query<RowDataPacket[]>(
      "SELECT subscription_id FROM subscription_ids WHERE destination = ? ORDER BY subscription_id",
      [Buffer.from(`q${userId}`)],
    );
    return rows.map((row) => String(row["subscription_id"]));
  } finally {
    await connection.end();
  }
}
