import { describe, expect, inject, test } from "vitest";
import WebSocket from "ws";
import { call, connect, makeRoom, newUsers, tokenFor, until } from "../support/client.js";

describe("POST /negotiate", () => {
  test("answers a URL with which a client connects", async () => {
    const [ann] = newUsers(1) as [number];
    const { status, body } = await call("POST", "/negotiate", ann);
    expect(status).toBe(200);
    expect(body).toMatchObject({ protocol: "v12.stomp", expiresAt: expect.stringMatching(/Z$/) });
    const socket = new WebSocket(body.url, body.protocol);
    await new Promise((resolve, reject) => {
      socket.on("open", resolve);
      socket.on("error", reject);
    });
    socket.terminate();
  });

  test("answers a URL that ends with the token", async () => {
    const token = await tokenFor(newUsers(1)[0]!, { expiresIn: 90 });
    const { body } = await call("POST", "/negotiate", token);
    expect(new Date(body.expiresAt).getTime()).toBeLessThanOrEqual(Date.now() + 90_000);
  });
});

describe("rooms", () => {
  test("are listed with the latest activity first, their last message and what is unread, page by page", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const rooms = [await makeRoom([ann, ben]), await makeRoom([ann, ben]), await makeRoom([ben, ann])];
    const b = await connect(ben, { nickname: "Ben" });
    for (const roomId of [rooms[2]!, rooms[0]!, rooms[0]!]) await b.say(roomId, `in ${roomId}`);
    const direct = (await call("POST", "/rooms", ann, { targetUserId: ben })).body.roomId;
    await b.say(direct, "hello Ann");
    await until(
      async () => (await call("GET", "/rooms", ann)).body.rooms[0].lastMessage?.content === "hello Ann",
      "the last message",
    );
    const first = (await call("GET", "/rooms?limit=3", ann)).body;
    const second = (await call("GET", `/rooms?limit=3&cursor=${first.cursor}`, ann)).body;
    expect([...first.rooms, ...second.rooms].map(({ roomId }) => roomId)).toEqual([
      direct,
      rooms[0],
      rooms[2],
      rooms[1],
    ]);
    expect(second.cursor).toBeNull();
    expect(first.rooms[0]).toMatchObject({ type: "ONE_TO_ONE", name: "Ben", memberCount: 2, unreadCount: 1 });
    expect(first.rooms[1]).toMatchObject({
      type: "GROUP",
      name: "room",
      imageUrl: null,
      memberCount: 2,
      unreadCount: 2,
      lastMessage: { seq: 2, content: `in ${rooms[0]}`, type: "TEXT", senderId: ben },
    });
    expect(second.rooms[0]).toMatchObject({ unreadCount: 0, lastMessage: null });
    await b.close();
  });

  test("count a repeated member once", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const { body } = await call("POST", "/group-rooms", ann, {
      roomName: " 우리 방 ",
      userIds: [ben, ben, ann],
      more: 1,
    });
    const { rooms } = (await call("GET", "/rooms", ben)).body;
    expect(rooms).toMatchObject([{ roomId: body.roomId, name: "우리 방", memberCount: 2 }]);
  });

  test.each<[name: string, path: string, body: unknown, field: string]>([
    ["no JSON", "/group-rooms", "{", "JSON"],
    ["no name", "/group-rooms", { userIds: [] }, "roomName"],
    ["an empty name", "/group-rooms", { roomName: "  ", userIds: [] }, "roomName"],
    ["a name of 101 characters", "/group-rooms", { roomName: "x".repeat(101), userIds: [] }, "roomName"],
    ["no users", "/group-rooms", { roomName: "x" }, "userIds"],
    ["a user that is no id", "/group-rooms", { roomName: "x", userIds: [1, "2"] }, "userIds.1"],
    [
      "501 users",
      "/group-rooms",
      { roomName: "x", userIds: Array.from({ length: 501 }, (_, i) => i + 1) },
      "userIds",
    ],
    ["no target", "/rooms", {}, "targetUserId"],
    ["a negative target", "/rooms", { targetUserId: -1 }, "targetUserId"],
    ["a body over 64 KiB", "/rooms", { x: "x".repeat(70_000) }, "65536"],
  ])("with %s are refused with the field's name", async (_name, path, body, field) => {
    const answer = await call("POST", path, newUsers(1)[0]!, body);
    expect([400, 413]).toContain(answer.status);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body.detail).toContain(field);
  });

  test("with oneself do not exist", async () => {
    const [ann] = newUsers(1) as [number];
    expect((await call("POST", "/rooms", ann, { targetUserId: ann })).body).toMatchObject({
      field: "targetUserId",
    });
  });
});

describe("history", () => {
  test("pages by seq both ways, each message with how many have not read it", async () => {
    const [ann, ben, cho] = newUsers(3) as [number, number, number];
    const roomId = await makeRoom([ann, ben, cho]);
    const [a, b] = [await connect(ann), await connect(ben)];
    for (let index = 1; index <= 10; index += 1) await (index % 5 === 0 ? b : a).say(roomId, `m${index}`);
    const page = async (query: string) =>
      (await call("GET", `/rooms/${roomId}/messages?${query}`, cho)).body.messages.map(
        ({ seq, unreadCount }: { seq: number; unreadCount: number }) => [seq, unreadCount],
      );
    await until(async () => (await page("limit=1"))[0]?.[0] === 10, "ten messages");
    expect(await page("limit=3")).toEqual([
      [10, 2],
      [9, 1],
      [8, 1],
    ]);
    expect(await page("before=3")).toEqual([
      [2, 1],
      [1, 1],
    ]);
    expect(await page("after=8&limit=1")).toEqual([[9, 1]]);
    expect(await page("after=10")).toEqual([]);
    await Promise.all([a.close(), b.close()]);
  });

  test.each([
    ["rooms/999999999/messages", 404, "ROOM_NOT_FOUND"],
    ["rooms/abc/messages", 400, "INVALID_REQUEST"],
    ["rooms/0/messages", 400, "INVALID_REQUEST"],
    ["rooms/1/messages?limit=101", 400, "INVALID_REQUEST"],
    ["rooms/1/messages?limit=x", 400, "INVALID_REQUEST"],
    ["rooms/1/messages?before=2&after=1", 400, "INVALID_REQUEST"],
    ["rooms?cursor=abc", 400, "INVALID_REQUEST"],
    ["rooms?limit=0", 400, "INVALID_REQUEST"],
  ])("GET /%s answers %i %s", async (path, status, code) => {
    const answer = await call("GET", `/${path}`, newUsers(1)[0]!);
    expect(answer).toMatchObject({ status, body: { status, code } });
  });
});

test("GET /health needs no token and tells each dependency's state", async () => {
  const answer = await call("GET", "/health", undefined);
  expect(answer).toMatchObject({
    status: 200,
    body: { status: "up", dependencies: { mysql: "up", redis: "up", eventHubs: "up", webPubSub: "up" } },
  });
});

test("a path that isn't there answers 404", async () => {
  expect((await fetch(`${inject("stack").api}/api/v1/chat/nothing`)).status).toBe(404);
});
