import { SignJWT } from "jose";
import { createConnection } from "mysql2/promise";
import { describe, expect, inject, test } from "vitest";
import settings from "../../local.settings.example.json" with { type: "json" };
import {
  call,
  connect,
  type HttpAnswer,
  history,
  introduce,
  type Json,
  makeRoom,
  newUsers,
  tokenFor,
  until,
} from "../support/client.js";

type Two = [number, number];
type Three = [number, number, number];
type Four = [number, number, number, number];

function expectProblem(answer: HttpAnswer, status: number, code: string, field?: string): void {
  expect(answer).toMatchObject({ status, body: { status, code } });
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  if (field !== undefined) expect(answer.body.field).toBe(field);
}

const invite = (roomId: number, caller: number, userIds: readonly number[]): Promise<HttpAnswer> =>
  call("POST", `/group-rooms/${roomId}/invite`, caller, { userIds });
const kick = (roomId: number, caller: number, userId: number | string): Promise<HttpAnswer> =>
  call("DELETE", `/group-rooms/${roomId}/members/${userId}`, caller);
const leave = (roomId: number, caller: number): Promise<HttpAnswer> =>
  call("DELETE", `/rooms/${roomId}`, caller);
const openDirect = (caller: number, targetUserId: number): Promise<HttpAnswer> =>
  call("POST", "/rooms", caller, { targetUserId });

async function members(roomId: number, caller: number): Promise<Json[]> {
  return (await call("GET", `/group-rooms/${roomId}/members`, caller)).body.members;
}

async function memberIds(roomId: number, caller: number): Promise<number[]> {
  return (await members(roomId, caller)).map(({ userId }) => userId);
}

async function creatorOf(roomId: number, caller: number): Promise<number[]> {
  return (await members(roomId, caller)).filter(({ isCreator }) => isCreator).map(({ userId }) => userId);
}

/** A room as it stands in a user's list, if it does. */
async function listed(roomId: number, user: number): Promise<Json> {
  return (await call("GET", "/rooms?limit=100", user)).body.rooms.find(
    (room: Json) => room.roomId === roomId,
  );
}

/** The history once it has `count` messages. */
async function historyOf(roomId: number, user: number, count: number): Promise<Json[]> {
  let messages: Json[] = [];
  await until(async () => {
    messages = await history(roomId, user);
    return messages.length >= count;
  }, `${count} messages`);
  return messages;
}

/** A message sent, and stored: it stands in the history of the room. */
async function write(roomId: number, sender: number, content: string): Promise<Json> {
  const connected = await connect(sender);
  await connected.say(roomId, content);
  await connected.close();
  let found: Json;
  await until(async () => {
    found = (await history(roomId, sender)).find((message) => message.content === content);
    return found !== undefined;
  }, `${content} is stored`);
  return found;
}

/** What system messages say: type, who caused it, whom it is about. */
const changes = (messages: readonly Json[]): [string, number, number][] =>
  messages
    .filter(({ type }) => type.startsWith("SYSTEM_"))
    .flatMap(({ type, senderId, target, targets = [target] }) =>
      targets.map(({ userId }: Json) => [type, senderId, userId]),
    );

/** Waits until nothing of a room is left to be announced: a message written now stands behind all of it. */
async function settledHistory(roomId: number, member: number): Promise<Json[]> {
  await write(roomId, member, "settled");
  return (await history(roomId, member)).filter(({ content }) => content !== "settled");
}

async function sql(statement: string, values: unknown[]): Promise<Json[]> {
  const connection = await createConnection(inject("stack").mysql);
  try {
    return (await connection.query(statement, values))[0] as Json[];
  } finally {
    await connection.end();
  }
}

describe("GET /group-rooms/{roomId}/members", () => {
  test("lists the longest-standing first, with what is known of each", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ben, ann]);
    await write(roomId, ben, "hello");
    await invite(roomId, ben, [cho]);
    const [, announcement] = await historyOf(roomId, ben, 2);
    // Who has never been here is where the room is, and begins there.
    expect((await members(roomId, ben)).at(-1)).toMatchObject({
      userId: cho,
      isAwaited: true,
      lastReadMessageId: announcement.messageId,
    });
    const list = await members(roomId, cho);
    expect(list).toMatchObject([
      {
        userId: ann,
        nickname: `User ${ann}`,
        profileImageUrl: null,
        isCreator: false,
        lastReadMessageId: null,
      },
      { userId: ben, isCreator: true, lastReadMessageId: announcement.messageId },
      { userId: cho, isCreator: false, isAwaited: false, lastReadMessageId: announcement.messageId },
    ]);
    const joined = list.map(({ joinedAt }) => joinedAt);
    expect(joined[0]).toBe(joined[1]);
    expect(joined).toEqual([...joined].sort());
  });
});

describe("POST /group-rooms/{roomId}/invite", () => {
  test("by any member takes users in: they are announced together, counted, and sees what comes from now on", async () => {
    const [ann, ben, cho, dan] = newUsers(4) as Four;
    const roomId = await makeRoom([ann, ben]);
    await introduce([cho, dan]);
    const older = await write(roomId, ann, "older");
    expect(await invite(roomId, ben, [dan, cho])).toMatchObject({
      status: 200,
      body: { roomId, invited: [dan, cho] },
    });
    const messages = await historyOf(roomId, ann, 2);
    const [first, second] = [dan, cho].map((userId) => ({ userId, nickname: `User ${userId}` }));
    expect(messages[1]).toMatchObject({
      seq: 2,
      type: "SYSTEM_INVITE",
      senderId: ben,
      senderNickname: `User ${ben}`,
      clientMessageId: null,
      content: `User ${ben} invited User ${dan} and User ${cho}`,
      target: first,
      targets: [first, second],
      unreadCount: 0,
    });
    // Who came later counts for nothing that is older.
    expect(messages[0]).toMatchObject({ messageId: older.messageId, unreadCount: 0 });
    for (const user of [cho, dan]) {
      expect((await history(roomId, user)).map(({ seq }) => seq)).toEqual([2]);
      expect(await listed(roomId, user)).toMatchObject({
        memberCount: 4,
        unreadCount: 0,
        lastMessage: {
          seq: 2,
          type: "SYSTEM_INVITE",
          senderId: ben,
          senderNickname: `User ${ben}`,
          target: first,
          targets: [first, second],
        },
      });
    }
    expect(await listed(roomId, ben)).toMatchObject({ memberCount: 4, unreadCount: 0 });
    expect(await listed(roomId, ann)).toMatchObject({ memberCount: 4, unreadCount: 0 });
    const [c, a] = [await connect(cho), await connect(ann)];
    const seen = await c.subscribe(`/sub/chat/room/${roomId}`);
    await a.say(roomId, "welcome");
    await until(() => seen.length === 1, "the message at the new member");
    await Promise.all([a.close(), c.close()]);
  });

  test("of members, oneself or somebody twice changes nothing for those", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben]);
    expect((await invite(roomId, ann, [ann, ben])).body).toEqual({ roomId, invited: [] });
    expect((await invite(roomId, ann, [cho, ben, cho, cho])).body).toEqual({ roomId, invited: [cho] });
    expect((await invite(roomId, ann, [cho])).body).toEqual({ roomId, invited: [] });
    expect(changes(await settledHistory(roomId, ann))).toEqual([["SYSTEM_INVITE", ann, cho]]);
    expect((await listed(roomId, ann)).memberCount).toBe(3);
  });

  test("of one user at once by several members makes one member and one SYSTEM_INVITE", async () => {
    for (let round = 0; round < 4; round += 1) {
      const [ann, ben, cho] = newUsers(3) as Three;
      const roomId = await makeRoom([ann, ben]);
      const answers = await Promise.all([ann, ben, ann, ben].map((caller) => invite(roomId, caller, [cho])));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(answers.flatMap(({ body }) => body.invited)).toEqual([cho]);
      expect((await settledHistory(roomId, ann)).map(({ type }) => type)).toEqual(["SYSTEM_INVITE"]);
      expect((await listed(roomId, cho)).memberCount).toBe(3);
    }
  });

  test("of 500 users in one call is one message with all of them, in their order", async () => {
    const [ann, ...others] = newUsers(501) as [number, ...number[]];
    const roomId = await makeRoom([ann]);
    expect((await invite(roomId, ann, others)).body.invited).toEqual(others);
    const messages = await settledHistory(roomId, ann);
    expect(messages).toHaveLength(1);
    expect(messages[0].content).toMatch(/ and 497 others$/);
    expect(changes(messages)).toEqual(others.map((userId) => ["SYSTEM_INVITE", ann, userId]));
    const room = await listed(roomId, ann);
    expect(room).toMatchObject({ memberCount: 501, unreadCount: 0 });
    expect(await listed(roomId, others[250]!)).toMatchObject({ memberCount: 501, unreadCount: 0 });
  });

  test("takes a room to 10,000 members and no further, by two at once neither", async () => {
    const [ann, ben, ...others] = newUsers(10_003) as [number, number, ...number[]];
    const roomId = await makeRoom([ann, ben]);
    for (let first = 0; first < 9_996; first += 2_499)
      await sql("INSERT INTO room_members (room_id, user_id, joined_at) VALUES ?", [
        others.slice(first, first + 2_499).map((userId) => [roomId, userId, new Date()]),
      ]);
    await sql("UPDATE rooms SET member_count = 9998 WHERE room_id = ?", [roomId]);
    const outside = others.slice(9_996);
    expectProblem(await invite(roomId, ann, outside.slice(0, 3)), 400, "INVALID_REQUEST", "userIds");
    expect((await listed(roomId, ann)).memberCount).toBe(9_998);

    const atOnce = await Promise.all([
      invite(roomId, ann, outside.slice(0, 2)),
      invite(roomId, ben, outside.slice(2, 4)),
    ]);
    expect(atOnce.map(({ status }) => status).sort()).toEqual([200, 400]);
    expectProblem(await invite(roomId, ann, outside.slice(4)), 400, "INVALID_REQUEST", "userIds");
    // Who is a member already needs no place.
    expect((await invite(roomId, ann, others.slice(0, 500))).body.invited).toEqual([]);
    const list = await members(roomId, ann);
    expect(list).toHaveLength(10_000);
    expect(changes(await settledHistory(roomId, ann))).toHaveLength(2);
    expect((await listed(roomId, ann)).memberCount).toBe(10_000);
    await leave(roomId, ben);
    expect((await invite(roomId, ann, outside.slice(4, 5))).body.invited).toEqual(outside.slice(4, 5));
  });
});

describe("DELETE /group-rooms/{roomId}/members/{userId}", () => {
  test("by the creator removes and announces; what the removed one had not read is unread to them no more", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben, cho]);
    const { messageId } = await write(roomId, ann, "hello");
    expect(await kick(roomId, ann, cho)).toMatchObject({ status: 200, body: { roomId, userId: cho } });
    const messages = await historyOf(roomId, ben, 2);
    expect(messages).toMatchObject([
      { messageId, unreadCount: 1 },
      {
        seq: 2,
        type: "SYSTEM_KICK",
        senderId: ann,
        content: `User ${ann} removed User ${cho}`,
        target: { userId: cho, nickname: `User ${cho}` },
        unreadCount: 0,
      },
    ]);
    expect(await listed(roomId, ben)).toMatchObject({ memberCount: 2, unreadCount: 1 });
    expect(await listed(roomId, ann)).toMatchObject({ memberCount: 2, unreadCount: 0 });
    expect(await listed(roomId, cho)).toBeUndefined();
    expect(await memberIds(roomId, ann)).toEqual([ann, ben]);
    expectProblem(await call("GET", `/rooms/${roomId}/messages`, cho), 403, "NOT_A_MEMBER");
  });

  test("is refused to all but the creator, for oneself, and for who is no member", async () => {
    const [ann, ben, cho, eve] = newUsers(4) as Four;
    const roomId = await makeRoom([ann, ben, cho]);
    expectProblem(await kick(roomId, ben, cho), 403, "FORBIDDEN");
    expectProblem(await kick(roomId, ben, ben), 403, "FORBIDDEN");
    expectProblem(await kick(roomId, ben, eve), 403, "FORBIDDEN");
    expectProblem(await kick(roomId, ann, ann), 400, "INVALID_REQUEST", "userId");
    expectProblem(await kick(roomId, ann, eve), 404, "MEMBER_NOT_FOUND");
    expect((await kick(roomId, ann, cho)).status).toBe(200);
    expectProblem(await kick(roomId, ann, cho), 404, "MEMBER_NOT_FOUND");
    expectProblem(await kick(roomId, cho, ben), 403, "NOT_A_MEMBER");
    expect(changes(await settledHistory(roomId, ann))).toEqual([["SYSTEM_KICK", ann, cho]]);
  });

  test.each(["abc", "0", "-1", "1.5", "9007199254740993", "%20", "0x10", "1e3", "+1"])(
    "refuses the userId %s",
    async (wrong) => {
      const [ann] = newUsers(1) as [number];
      expectProblem(await kick(await makeRoom([ann]), ann, wrong), 400, "INVALID_REQUEST", "userId");
    },
  );

  test("stops the removed one's sessions before it answers", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const [roomId, otherId] = [await makeRoom([ann, ben, cho]), await makeRoom([ann, cho])];
    const [a, b, c] = [await connect(ann), await connect(ben), await connect(cho)];
    const seenByCho = await c.subscribe(`/sub/chat/room/${roomId}`);
    const readsSeenByCho = await c.subscribe(`/sub/chat/room/${roomId}/read`);
    const elsewhere = await c.subscribe(`/sub/chat/room/${otherId}`);
    const seenByBen = await b.subscribe(`/sub/chat/room/${roomId}`);
    await a.say(roomId, "before");
    await until(() => seenByCho.length === 1 && seenByBen.length === 1, "the message at both");
    expect((await kick(roomId, ann, cho)).status).toBe(200);
    await a.say(roomId, "after");
    await until(
      () => seenByBen.some(({ content }) => content === "after"),
      "the message at the one who stays",
    );
    await a.say(otherId, "elsewhere");
    await until(() => elsewhere.length === 1, "another room's message at the removed one");
    expect(seenByCho.map(({ content }) => content)).toEqual(["before"]);
    expect(readsSeenByCho.filter(({ lastReadSeq }) => lastReadSeq > 1)).toEqual([]);
    expect(seenByBen.map(({ type }) => type)).toEqual(["TEXT", "SYSTEM_KICK", "TEXT"]);
    await Promise.all([a.close(), b.close(), c.close()]);
  });

  test("of one member twice at once removes and announces once", async () => {
    for (let round = 0; round < 4; round += 1) {
      const [ann, ben] = newUsers(2) as Two;
      const roomId = await makeRoom([ann, ben]);
      const answers = await Promise.all([
        kick(roomId, ann, ben),
        kick(roomId, ann, ben),
        kick(roomId, ann, ben),
      ]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 404, 404]);
      expect(changes(await settledHistory(roomId, ann))).toEqual([["SYSTEM_KICK", ann, ben]]);
      expect((await listed(roomId, ann)).memberCount).toBe(1);
    }
  });
});

describe("DELETE /rooms/{roomId} of a group", () => {
  test("leaves and announces it to those who stay", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben, cho]);
    const { messageId } = await write(roomId, ann, "hello");
    const c = await connect(cho);
    const seen = await c.subscribe(`/sub/chat/room/${roomId}`);
    expect(await leave(roomId, cho)).toMatchObject({ status: 200, body: { roomId, userId: cho } });
    const messages = await historyOf(roomId, ann, 2);
    expect(messages).toMatchObject([
      { messageId, unreadCount: 1 },
      {
        type: "SYSTEM_LEAVE",
        senderId: cho,
        content: `User ${cho} left`,
        target: { userId: cho },
        unreadCount: 0,
      },
    ]);
    expectProblem(await leave(roomId, cho), 403, "NOT_A_MEMBER");
    expect(await listed(roomId, ann)).toMatchObject({ memberCount: 2, unreadCount: 0 });
    expect(await listed(roomId, ben)).toMatchObject({ memberCount: 2, unreadCount: 1 });
    expect(await listed(roomId, cho)).toBeUndefined();
    const own = await makeRoom([cho]);
    const elsewhere = await c.subscribe(`/sub/chat/room/${own}`);
    await c.say(own, "elsewhere");
    await until(() => elsewhere.length === 1, "a message of another room");
    expect(seen).toEqual([]);
    await c.close();
  });

  test("hands a creator's room to the longest-standing member, then to the next, until nobody is left", async () => {
    const [ann, ben, cho, dan] = newUsers(4) as Four;
    // Those of the beginning joined at once: of them the lowest id is next.
    const roomId = await makeRoom([cho, ben, ann]);
    await invite(roomId, ann, [dan]);
    for (const [creator, heir] of [
      [cho, ann],
      [ann, ben],
      [ben, dan],
    ] as const) {
      expect(await creatorOf(roomId, creator)).toEqual([creator]);
      expect((await leave(roomId, creator)).status).toBe(200);
      expect(await creatorOf(roomId, heir)).toEqual([heir]);
      expectProblem(await kick(roomId, heir, creator), 404, "MEMBER_NOT_FOUND");
    }
    expect((await leave(roomId, dan)).status).toBe(200);
    for (const user of [ann, ben, cho, dan]) {
      expectProblem(await call("GET", `/rooms/${roomId}/messages`, user), 403, "NOT_A_MEMBER");
      expectProblem(await invite(roomId, user, [ann]), 403, "NOT_A_MEMBER");
      expect(await listed(roomId, user)).toBeUndefined();
    }
    expect(await sql("SELECT member_count FROM rooms WHERE room_id = ?", [roomId])).toEqual([
      { member_count: 0 },
    ]);
  });

  test("a creator who comes back is a member like any other", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben, cho]);
    await leave(roomId, ann);
    await invite(roomId, cho, [ann]);
    expect(await creatorOf(roomId, ann)).toEqual([ben]);
    expectProblem(await kick(roomId, ann, cho), 403, "FORBIDDEN");
    expect(await memberIds(roomId, ann)).toEqual([ben, cho, ann]);
    expect((await kick(roomId, ben, ann)).status).toBe(200);
  });

  test.each(["kicked", "left"] as const)(
    "a member who was invited again after they %s begins anew",
    async (how) => {
      const [ann, ben] = newUsers(2) as Two;
      const roomId = await makeRoom([ann, ben]);
      const first = await write(roomId, ann, "first");
      expect((await history(roomId, ben)).length).toBe(1);
      expect((await (how === "kicked" ? kick(roomId, ann, ben) : leave(roomId, ben))).status).toBe(200);
      await historyOf(roomId, ann, 2);
      await write(roomId, ann, "meanwhile");
      expect((await invite(roomId, ann, [ben])).body.invited).toEqual([ben]);
      const messages = await historyOf(roomId, ben, 1);
      expect(messages).toMatchObject([
        { seq: 4, type: "SYSTEM_INVITE", target: { userId: ben }, unreadCount: 0 },
      ]);
      expect(await listed(roomId, ben)).toMatchObject({
        memberCount: 2,
        unreadCount: 0,
        lastMessage: { seq: 4 },
      });
      for (const query of ["?after=0", "?after=1", "?before=4", "?before=5", "?limit=100"]) {
        const page = (await call("GET", `/rooms/${roomId}/messages${query}`, ben)).body.messages;
        expect(page.every(({ seq }: Json) => seq === 4)).toBe(true);
      }
      expectProblem(
        await call("DELETE", `/rooms/${roomId}/messages/${first.messageId}`, ben),
        404,
        "MESSAGE_NOT_FOUND",
      );
      const b = await connect(ben);
      const seen = await b.subscribe(`/sub/chat/room/${roomId}`, { "last-seq": "0" });
      await b.say(roomId, "back");
      await until(() => seen.at(-1)?.content === "back", "one's own message");
      expect(seen.map(({ seq }) => seq)).toEqual([4, 5]);
      await b.close();
      expect((await history(roomId, ann)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    },
  );

  test("an empty group's member who deleted all sees no preview of what was before the invitation", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const roomId = await makeRoom([ann]);
    await write(roomId, ann, "secret");
    await invite(roomId, ann, [ben]);
    const [announcement] = await historyOf(roomId, ben, 1);
    await call("DELETE", `/rooms/${roomId}/messages/${announcement.messageId}`, ben);
    expect((await listed(roomId, ben)).lastMessage).toBeNull();
  });
});

describe("changes of members at once", () => {
  const rounds = [1, 2, 3, 4];

  /** What must hold after any of them: the list, the count and the announcements agree. */
  async function expectConsistent(roomId: number, member: number): Promise<void> {
    const list = await members(roomId, member);
    expect((await listed(roomId, member)).memberCount).toBe(list.length);
    expect(list.filter(({ isCreator }) => isCreator)).toHaveLength(1);
    const messages = await history(roomId, member);
    expect(messages.map(({ seq }) => seq)).toEqual(messages.map((_, index) => index + messages[0].seq));
  }

  test.each(rounds)("invite against kick: whoever comes second decides (%i)", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben, cho]);
    const [kicked, invited] = await Promise.all([kick(roomId, ann, cho), invite(roomId, ben, [cho])]);
    expect([kicked.status, invited.status]).toEqual([200, 200]);
    const isBack = invited.body.invited.length === 1;
    const messages = await settledHistory(roomId, ann);
    expect(changes(messages)).toEqual([
      ["SYSTEM_KICK", ann, cho],
      ...(isBack ? [["SYSTEM_INVITE", ben, cho]] : []),
    ]);
    expect((await memberIds(roomId, ann)).includes(cho)).toBe(isBack);
    expect((await call("GET", `/rooms/${roomId}/messages`, cho)).status).toBe(isBack ? 200 : 403);
    await expectConsistent(roomId, ann);
  });

  test.each(rounds)("invite against kick of one who is no member yet (%i)", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben]);
    const [invited, kicked] = await Promise.all([invite(roomId, ben, [cho]), kick(roomId, ann, cho)]);
    expect(invited.body.invited).toEqual([cho]);
    const messages = await settledHistory(roomId, ann);
    expect([200, 404]).toContain(kicked.status);
    expect(changes(messages)).toEqual([
      ["SYSTEM_INVITE", ben, cho],
      ...(kicked.status === 200 ? [["SYSTEM_KICK", ann, cho]] : []),
    ]);
    expect((await memberIds(roomId, ann)).includes(cho)).toBe(kicked.status === 404);
    await expectConsistent(roomId, ann);
  });

  test.each(rounds)("two leaves of one member: one succeeds, and one announcement (%i)", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const roomId = await makeRoom([ann, ben]);
    const answers = await Promise.all([leave(roomId, ben), leave(roomId, ben), leave(roomId, ben)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 403, 403]);
    expect(changes(await settledHistory(roomId, ann))).toEqual([["SYSTEM_LEAVE", ben, ben]]);
    await expectConsistent(roomId, ann);
  });

  test.each(rounds)("kick against leave of the same member: one of them succeeds (%i)", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const roomId = await makeRoom([ann, ben]);
    const [kicked, left] = await Promise.all([kick(roomId, ann, ben), leave(roomId, ben)]);
    expect([
      [200, 403],
      [404, 200],
    ]).toContainEqual([kicked.status, left.status]);
    const announced = kicked.status === 200 ? ["SYSTEM_KICK", ann, ben] : ["SYSTEM_LEAVE", ben, ben];
    expect(changes(await settledHistory(roomId, ann))).toEqual([announced]);
    await expectConsistent(roomId, ann);
  });

  test.each(rounds)("a creator who leaves against their own kick of another (%i)", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben, cho]);
    const [left, kicked] = await Promise.all([leave(roomId, ann), kick(roomId, ann, ben)]);
    expect(left.status).toBe(200);
    expect([
      [200, undefined],
      [403, "NOT_A_MEMBER"],
    ]).toContainEqual([kicked.status, kicked.body?.code]);
    const messages = await settledHistory(roomId, cho);
    expect(changes(messages)).toEqual([
      ...(kicked.status === 200 ? [["SYSTEM_KICK", ann, ben]] : []),
      ["SYSTEM_LEAVE", ann, ann],
    ]);
    const heir = kicked.status === 200 ? cho : ben;
    expect(await creatorOf(roomId, cho)).toEqual([heir]);
    await expectConsistent(roomId, cho);
  });

  test.each(rounds)(
    "a creator and the heir who leave together: the room is handed to who stays (%i)",
    async () => {
      const [ann, ben, cho] = newUsers(3) as Three;
      const roomId = await makeRoom([ann, ben, cho]);
      const answers = await Promise.all([leave(roomId, ann), leave(roomId, ben)]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      expect(await creatorOf(roomId, cho)).toEqual([cho]);
      expect(changes(await settledHistory(roomId, cho)).map(([type]) => type)).toEqual([
        "SYSTEM_LEAVE",
        "SYSTEM_LEAVE",
      ]);
      await expectConsistent(roomId, cho);
    },
  );

  test("a storm of them: the announcements, in their order, tell who is a member in the end", async () => {
    const [ann, ...others] = newUsers(9) as [number, ...number[]];
    const roomId = await makeRoom([ann, ...others]);
    const [a, statuses] = [await connect(ann), new Set<number>()];
    const storm = async (index: number): Promise<void> => {
      for (let step = 0; step < 12; step += 1) {
        const target = others[(index * 5 + step * 3) % others.length]!;
        const caller = others[(index + step) % others.length]!;
        const act = [
          () => invite(roomId, ann, [target, caller]),
          () => kick(roomId, ann, target),
          () => leave(roomId, caller),
          () => invite(roomId, caller, others),
        ][(index + step) % 4]!;
        statuses.add((await act()).status);
        if (step % 4 === 0) await a.say(roomId, `message ${index} ${step}`);
      }
    };
    await Promise.all([0, 1, 2, 3, 4].map(storm));
    expect([...statuses].filter((status) => ![200, 403, 404].includes(status))).toEqual([]);
    const messages = await settledHistory(roomId, ann);
    const present = new Set([ann, ...others]);
    for (const [type, , target] of changes(messages)) {
      // Nobody is invited who is there, and nobody goes who is not.
      expect(present.has(target)).toBe(type !== "SYSTEM_INVITE");
      if (type === "SYSTEM_INVITE") present.add(target);
      else present.delete(target);
    }
    expect((await memberIds(roomId, ann)).sort()).toEqual([...present].sort());
    await expectConsistent(roomId, ann);
    for (const user of others)
      expect((await call("GET", `/rooms/${roomId}/messages`, user)).status).toBe(
        present.has(user) ? 200 : 403,
      );
    await a.close();
  });

  test("all leave: nobody is left, and each leaving was announced once", async () => {
    const users = newUsers(12);
    const roomId = await makeRoom(users);
    const answers = await Promise.all(users.map((user) => leave(roomId, user)));
    expect(answers.map(({ status }) => status)).toEqual(users.map(() => 200));
    const announced = async (): Promise<Json[]> =>
      sql("SELECT sender_id, type FROM messages WHERE room_id = ? ORDER BY seq", [roomId]);
    await until(async () => (await announced()).length >= users.length, "all announcements");
    expect((await announced()).map(({ sender_id }) => sender_id).sort()).toEqual(users);
    expect(await sql("SELECT member_count FROM rooms WHERE room_id = ?", [roomId])).toEqual([
      { member_count: 0 },
    ]);
  });
});

describe("DELETE /rooms/{roomId} of a one-to-one room", () => {
  test("is silent; the other one's next message brings the leaver back, with the whole history", async () => {
    const [ann, ben] = newUsers(2) as Two;
    await call("POST", "/negotiate", await tokenFor(ann, { nickname: "Ann" }));
    const { roomId } = (await openDirect(ann, ben)).body;
    await write(roomId, ann, "first");
    await write(roomId, ben, "second");
    expect(await leave(roomId, ann)).toMatchObject({ status: 200, body: { roomId, userId: ann } });
    expectProblem(await leave(roomId, ann), 403, "NOT_A_MEMBER");
    expectProblem(await call("GET", `/rooms/${roomId}/messages`, ann), 403, "NOT_A_MEMBER");
    expect(await listed(roomId, ann)).toBeUndefined();
    expect(await listed(roomId, ben)).toMatchObject({ name: "Ann", memberCount: 1, unreadCount: 0 });
    expect((await history(roomId, ben)).map(({ type, unreadCount }) => [type, unreadCount])).toEqual([
      ["TEXT", 0],
      ["TEXT", 0],
    ]);
    // That the one who stays opens the room changes nothing.
    expect(await openDirect(ben, ann)).toMatchObject({ status: 200, body: { roomId } });
    expect(await listed(roomId, ann)).toBeUndefined();

    expect((await write(roomId, ben, "third")).unreadCount).toBe(1);
    expect(await listed(roomId, ann)).toMatchObject({
      name: `User ${ben}`,
      memberCount: 2,
      unreadCount: 1,
      lastMessage: { content: "third" },
    });
    expect(await listed(roomId, ben)).toMatchObject({ name: "Ann", memberCount: 2, unreadCount: 0 });
    expect((await history(roomId, ann)).map(({ content }) => content)).toEqual(["first", "second", "third"]);
    const a = await connect(ann);
    const seen = await a.subscribe(`/sub/chat/room/${roomId}`);
    await a.say(roomId, "fourth");
    await until(() => seen.length === 1, "the leaver takes part again");
    expect(seen[0]).toMatchObject({ content: "fourth", unreadCount: 1 });
    await a.close();
  });

  test("POST /rooms brings the leaver back at once, all of it read, what they deleted still deleted", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const { roomId } = (await openDirect(ann, ben)).body;
    const first = await write(roomId, ben, "first");
    await call("DELETE", `/rooms/${roomId}/messages/${first.messageId}`, ann);
    await write(roomId, ben, "second");
    await leave(roomId, ann);
    expect(await openDirect(ann, ben)).toMatchObject({ status: 200, body: { roomId } });
    expect(await listed(roomId, ann)).toMatchObject({ memberCount: 2, unreadCount: 0 });
    expect((await history(roomId, ann)).map(({ content }) => content)).toEqual(["second"]);
    expect((await history(roomId, ben)).map(({ content, unreadCount }) => [content, unreadCount])).toEqual([
      ["first", 0],
      ["second", 0],
    ]);
    expect((await write(roomId, ann, "third")).unreadCount).toBe(1);
  });

  test("stops the leaver's sessions", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const { roomId } = (await openDirect(ann, ben)).body;
    const own = await makeRoom([ann]);
    const [a, b] = [await connect(ann), await connect(ben)];
    const seen = await a.subscribe(`/sub/chat/room/${roomId}`);
    const elsewhere = await a.subscribe(`/sub/chat/room/${own}`);
    const seenByBen = await b.subscribe(`/sub/chat/room/${roomId}`);
    await leave(roomId, ann);
    await b.say(roomId, "are you there?");
    await until(() => seenByBen.length === 1, "the message at the one who stays");
    await a.say(own, "elsewhere");
    await until(() => elsewhere.length === 1, "a message of another room");
    expect(seen).toEqual([]);
    await Promise.all([a.close(), b.close()]);
  });

  test("by both leaves it empty; who opens it finds it as it was, and writing brings the other one back", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const { roomId } = (await openDirect(ann, ben)).body;
    await write(roomId, ann, "first");
    const answers = await Promise.all([leave(roomId, ann), leave(roomId, ben)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await openDirect(ben, ann)).toMatchObject({ status: 200, body: { roomId } });
    expect(await listed(roomId, ben)).toMatchObject({ memberCount: 1, unreadCount: 0 });
    expect(await listed(roomId, ann)).toBeUndefined();
    await write(roomId, ben, "second");
    expect(await listed(roomId, ann)).toMatchObject({ memberCount: 2, unreadCount: 1 });
    expect((await history(roomId, ann)).map(({ content }) => content)).toEqual(["first", "second"]);
  });

  test("both leave, and both open it at once: two members, one room", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const { roomId } = (await openDirect(ann, ben)).body;
    await Promise.all([leave(roomId, ann), leave(roomId, ben)]);
    const answers = await Promise.all([
      openDirect(ann, ben),
      openDirect(ben, ann),
      openDirect(ann, ben),
      openDirect(ben, ann),
    ]);
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { roomId } });
    for (const user of [ann, ben]) expect(await listed(roomId, user)).toMatchObject({ memberCount: 2 });
  });

  test("the other one's message and the leaver's opening at once bring them back once", async () => {
    for (let round = 0; round < 4; round += 1) {
      const [ann, ben] = newUsers(2) as Two;
      const { roomId } = (await openDirect(ann, ben)).body;
      await leave(roomId, ann);
      await Promise.all([openDirect(ann, ben), openDirect(ann, ben), write(roomId, ben, "hello")]);
      const room = await listed(roomId, ann);
      expect(room.memberCount).toBe(2);
      expect(room.lastMessage.content).toBe("hello");
      const [message] = await history(roomId, ann);
      expect(message.unreadCount).toBe(room.unreadCount);
    }
  });
});

describe("a user's nickname and picture", () => {
  const { AUTH_JWT_SECRET, AUTH_ISSUER, AUTH_AUDIENCE } = settings.Values;
  const tokenWith = (userId: number, claims: Record<string, string>): Promise<string> =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(String(userId))
      .setIssuer(AUTH_ISSUER)
      .setAudience(AUTH_AUDIENCE)
      .setExpirationTime("1h")
      .sign(new TextEncoder().encode(AUTH_JWT_SECRET));

  test("are those of the latest token that they negotiated or connected with", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const roomId = await makeRoom([ann, ben]);
    const direct = (await openDirect(ben, ann)).body.roomId;
    const shown = async (): Promise<unknown[]> => {
      const [first] = await members(roomId, ben);
      const room = await listed(direct, ben);
      expect([room.name, room.imageUrl]).toEqual([first.nickname, first.profileImageUrl]);
      return [first.nickname, first.profileImageUrl];
    };
    expect(await shown()).toEqual([`User ${ann}`, null]);
    const picture = "https://example.com/ann.png";
    await call("POST", "/negotiate", await tokenWith(ann, { nickname: "앤", picture }));
    expect(await shown()).toEqual(["앤", picture]);
    // A token without a picture takes the picture away, one without a nickname leaves the nickname.
    await (await connect(ann, { nickname: "Anna" })).close();
    expect(await shown()).toEqual(["Anna", null]);
    await call("POST", "/negotiate", await tokenWith(ann, { picture }));
    expect(await shown()).toEqual(["Anna", picture]);
    await call("POST", "/negotiate", ann);
    expect(await shown()).toEqual(["Anna", null]);
    await (await connect(ann)).close();
    expect(await shown()).toEqual(["Anna", null]);
    await call("POST", "/negotiate", await tokenWith(ann, { nickname: "x".repeat(150), picture }));
    expect(await shown()).toEqual(["x".repeat(100), picture]);
  });

  test("stand in announcements, of who caused them and whom they are about", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const roomId = await makeRoom([ann]);
    await call("POST", "/negotiate", await tokenFor(ann, { nickname: "Ann" }));
    await call("POST", "/negotiate", await tokenFor(ben, { nickname: "Ben" }));
    await invite(roomId, ann, [ben]);
    await leave(roomId, ben);
    expect(await historyOf(roomId, ann, 2)).toMatchObject([
      { senderNickname: "Ann", content: "Ann invited Ben", target: { userId: ben, nickname: "Ben" } },
      { senderNickname: "Ben", content: "Ben left", target: { userId: ben, nickname: "Ben" } },
    ]);
  });
});
