import { describe, expect, test } from "vitest";
import { call, connect, history, type Json, makeRoom, newUsers, tokenFor, until } from "../support/client.js";

/** Users who have never been here, and users who are withdrawn by a trusted service. */

const members = async (roomId: number, caller: number): Promise<Json[]> =>
  (await call("GET", `/group-rooms/${roomId}/members`, caller)).body.members;
const listed = async (roomId: number, user: number): Promise<Json> =>
  (await call("GET", "/rooms?limit=100", user)).body.rooms.find((room: Json) => room.roomId === roomId);

describe("a user who has never been here", () => {
  test.each<[string, (user: number) => Promise<unknown>]>([
    ["a call", (user) => call("GET", "/rooms", user)],
    ["a call that is refused", (user) => call("GET", "/rooms/1234567890123/messages", user)],
    ["POST /negotiate", (user) => call("POST", "/negotiate", user)],
    ["a handshake", async (user) => (await connect(user)).close()],
  ])("keeps no message unread, and is counted from %s on", async (_what, comes) => {
    const [ann, ben, eve] = newUsers(3) as [number, number, number];
    const roomId = await makeRoom([ann, ben]);
    const a = await connect(ann);
    const [shown, moves] = [
      await a.subscribe(`/sub/chat/room/${roomId}`),
      await a.subscribe(`/sub/chat/room/${roomId}/read`),
    ];
    await call("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [eve] });
    await a.say(roomId, "before");
    await until(() => shown.length === 2, "both messages");
    expect(shown.map(({ unreadCount }) => unreadCount)).toEqual([0, 1]);
    expect(await members(roomId, ann)).toMatchObject([
      { userId: ann, isAwaited: false },
      { userId: ben, isAwaited: false },
      { userId: eve, isAwaited: true, lastReadMessageId: shown[1].messageId },
    ]);

    await comes(eve);
    await until(() => moves.length === 1, "Eve has come");
    expect(moves[0]).toMatchObject({
      userId: eve,
      lastReadMessageId: shown[1].messageId,
      lastReadSeq: 2,
      previousLastReadSeq: 2,
    });
    expect((await members(roomId, ann)).at(-1)).toMatchObject({ userId: eve, isAwaited: false });
    await a.say(roomId, "after");
    await until(() => shown.length === 3, "the next message");
    expect(shown[2].unreadCount).toBe(2);
    expect((await history(roomId, ann)).map(({ unreadCount }) => unreadCount)).toEqual([0, 1, 2]);
    expect((await listed(roomId, eve)).unreadCount).toBe(1);
    await a.close();
  });

  test("has nothing to read in a one-to-one room, until they come", async () => {
    const [ann, eve] = newUsers(2) as [number, number];
    const { roomId } = (await call("POST", "/rooms", ann, { targetUserId: eve })).body;
    const a = await connect(ann);
    const shown = await a.subscribe(`/sub/chat/room/${roomId}`);
    await a.say(roomId, "hello");
    await until(() => shown.length === 1, "the message");
    expect(shown[0].unreadCount).toBe(0);
    expect(await listed(roomId, eve)).toMatchObject({ unreadCount: 0, lastMessage: { content: "hello" } });
    await a.say(roomId, "there you are");
    await until(() => shown.length === 2, "the next message");
    expect(shown[1].unreadCount).toBe(1);
    await a.close();
  });

  test("does not come with a token that is not good", async () => {
    const [ann, eve] = newUsers(2) as [number, number];
    const roomId = await makeRoom([ann]);
    await call("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [eve] });
    expect((await call("GET", "/rooms", await tokenFor(eve, { issuer: "somebody else" }))).status).toBe(401);
    expect((await members(roomId, ann)).at(-1)).toMatchObject({ userId: eve, isAwaited: true });
  });
});

describe("DELETE /users/{userId}/rooms", () => {
  const admin = (subject = "account-service", scope = "openid chat.admin") => tokenFor(0, { subject, scope });

  test("by a trusted service has the user leave all rooms, and their sessions stop receiving", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const rooms = [await makeRoom([ann, ben]), await makeRoom([ben, ann])];
    const { roomId: direct } = (await call("POST", "/rooms", ann, { targetUserId: ben })).body;
    const [a, b] = [await connect(ann), await connect(ben)];
    const received = await a.subscribe(`/sub/chat/room/${rooms[1]}`);
    const answer = await call("DELETE", `/users/${ann}/rooms`, await admin());
    expect(answer).toMatchObject({ status: 200, body: { userId: ann, rooms: 3 } });
    expect((await call("GET", "/rooms", ann)).body.rooms).toEqual([]);
    for (const roomId of rooms) {
      await until(async () => (await history(roomId, ben)).length > 0, "the announcement");
      expect(await history(roomId, ben)).toMatchObject([
        { type: "SYSTEM_LEAVE", senderId: ann, target: { userId: ann }, unreadCount: 0 },
      ]);
      expect(await members(roomId, ben)).toMatchObject([{ userId: ben, isCreator: true }]);
    }
    expect(await listed(direct, ben)).toMatchObject({ memberCount: 1 });
    const shown = await b.subscribe(`/sub/chat/room/${rooms[1]}`);
    await b.say(rooms[1]!, "alone");
    await until(() => shown.length > 0, "the message");
    expect(received).toEqual([]);
    expect(await call("DELETE", `/users/${ann}/rooms`, await admin())).toMatchObject({
      status: 200,
      body: { userId: ann, rooms: 0 },
    });
    await Promise.all([a.close(), b.close()]);
  });

  test("is refused without the scope, to whomever, and without a token", async () => {
    const [ann] = newUsers(1) as [number];
    const roomId = await makeRoom([ann]);
    for (const token of [
      await tokenFor(ann),
      await admin("service", "openid chat.administrator"),
      await admin("service", "CHAT.ADMIN"),
      await tokenFor(ann, { scope: "chat" }),
    ])
      expect(await call("DELETE", `/users/${ann}/rooms`, token)).toMatchObject({
        status: 403,
        body: { code: "FORBIDDEN" },
      });
    expect((await call("DELETE", `/users/${ann}/rooms`, undefined)).status).toBe(401);
    const foreign = await tokenFor(0, { subject: "s", scope: "chat.admin", audience: "another service" });
    expect((await call("DELETE", `/users/${ann}/rooms`, foreign)).status).toBe(401);
    expect((await call("DELETE", "/users/x/rooms", await admin())).body).toMatchObject({ field: "userId" });
    expect((await listed(roomId, ann)).memberCount).toBe(1);
  });

  test("gives a service no other call", async () => {
    expect((await call("GET", "/rooms", await admin())).status).toBe(401);
  });
});
