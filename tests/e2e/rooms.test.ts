import { createConnection } from "mysql2/promise";
import { describe, expect, inject, test } from "vitest";
import {
  call,
  connect,
  type HttpAnswer,
  history,
  type Json,
  makeRoom,
  newUsers,
  tokenFor,
  until,
} from "../support/client.js";

type Ids = [number, number, number];
const NO_ROOM = 9_000_000_000;
const UNSAFE = "9007199254740993";

function expectProblem(answer: HttpAnswer, status: number, code: string, field?: string): void {
  expect(answer).toMatchObject({
    status,
    body: { type: "about:blank", title: code, status, code, detail: expect.stringMatching(/./) },
  });
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  if (field !== undefined) expect(answer.body.field).toBe(field);
}

/** One statement on the stack's database. */
async function sql(statement: string, values: unknown[]): Promise<void> {
  const connection = await createConnection(inject("stack").mysql);
  try {
    await connection.query(statement, values);
  } finally {
    await connection.end();
  }
}

/** Sends messages one after the other, and waits until they are stored; answers the history. */
async function write(roomId: number, sender: number, contents: readonly string[]): Promise<Json[]> {
  const connected = await connect(sender);
  for (const content of contents) await connected.say(roomId, content);
  await connected.close();
  let messages: Json[] = [];
  await until(async () => {
    messages = await history(roomId, sender);
    // What the service says itself may stand behind them.
    return messages.findLast(({ type }) => !type.startsWith("SYSTEM_"))?.content === contents.at(-1);
  }, "the messages are stored");
  return messages;
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index + 1}`);

/** A room as it stands in a user's list. */
async function listed(roomId: number, user: number): Promise<Json> {
  return (await call("GET", "/rooms?limit=100", user)).body.rooms.find(
    (room: Json) => room.roomId === roomId,
  );
}

describe("every call on a room", () => {
  type Call = [name: string, method: string, path: (room: number | string) => string, body?: object];
  const groupCalls: Call[] = [
    ["renaming", "PATCH", (room) => `/group-rooms/${room}`, { name: "x" }],
    ["listing members", "GET", (room) => `/group-rooms/${room}/members`],
    ["inviting", "POST", (room) => `/group-rooms/${room}/invite`, { userIds: [1] }],
    ["removing a member", "DELETE", (room) => `/group-rooms/${room}/members/1`],
  ];
  const roomCalls: Call[] = [
    ["leaving", "DELETE", (room) => `/rooms/${room}`],
    ["the history", "GET", (room) => `/rooms/${room}/messages`],
    ["deleting a message", "DELETE", (room) => `/rooms/${room}/messages/1`],
    ["reading", "PATCH", (room) => `/rooms/${room}/read?messageId=1`],
  ];

  test.each([...groupCalls, ...roomCalls])(
    "%s: 401 without a token, 403 for a stranger, 404 without such a room",
    async (_name, method, path, body) => {
      const [ann, ben, eve] = newUsers(3) as Ids;
      const roomId = await makeRoom([ann, ben]);
      const nobody = await call(method, path(roomId), undefined, body);
      expectProblem(nobody, 401, "UNAUTHORIZED");
      expect(nobody.headers.get("www-authenticate")).toBe("Bearer");
      const late = await call(method, path(roomId), await tokenFor(ann, { expiresIn: -60 }), body);
      expectProblem(late, 401, "UNAUTHORIZED");
      expectProblem(await call(method, path(roomId), eve, body), 403, "NOT_A_MEMBER");
      expectProblem(await call(method, path(NO_ROOM), ann, body), 404, "ROOM_NOT_FOUND");
    },
  );

  const wrongIds: [what: string, ids: string[]][] = [
    ["that is none", ["abc", "0", "-1", "1.5", UNSAFE, "NaN", "%20", "null"]],
    ["that is not written in digits alone", ["0x10", "1e3", "+1", "%201", "1%20"]],
  ];
  test.each(
    [...groupCalls, ...roomCalls].flatMap(([name, method, path, body]) =>
      wrongIds.map(([what, ids]) => [name, what, { method, path, body, ids }] as const),
    ),
  )("%s: a roomId %s is refused by its name", async (_name, _what, { method, path, body, ids }) => {
    const [ann] = newUsers(1) as [number];
    for (const wrong of ids) {
      const answer = await call(method, path(wrong), ann, body);
      expect({ wrong, status: answer.status }).toEqual({ wrong, status: 400 });
      expectProblem(answer, 400, "INVALID_REQUEST", "roomId");
    }
  });

  test.each(groupCalls)("%s is for groups: 404 for a one-to-one room", async (_name, method, path, body) => {
    const [ann, ben, eve] = newUsers(3) as Ids;
    const { roomId } = (await call("POST", "/rooms", ann, { targetUserId: ben })).body;
    for (const caller of [ann, eve])
      expectProblem(await call(method, path(roomId), caller, body), 404, "ROOM_NOT_FOUND");
  });
});

test.each([
  ["POST", "/negotiate", undefined],
  ["GET", "/rooms", undefined],
  ["POST", "/rooms", { targetUserId: 1 }],
  ["POST", "/group-rooms", { roomName: "x", userIds: [] }],
])("%s %s answers 401 without a token", async (method, path, body) => {
  expectProblem(await call(method, path, undefined, body), 401, "UNAUTHORIZED");
});

describe("a body", () => {
  const surrogate = "a\ud800b";
  const ids = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
  const wrongNames: [what: string, value: unknown][] = [
    ["missing", undefined],
    ["null", null],
    ["a number", 5],
    ["a list", ["x"]],
    ["empty", ""],
    ["white space", " \t\n"],
    ["of 101 characters", "x".repeat(101)],
    ["of 101 emoji", "🙂".repeat(101)],
    ["half a surrogate pair", surrogate],
  ];
  const wrongIds: [what: string, value: unknown][] = [
    ["missing", undefined],
    ["null", null],
    ["text", "2"],
    ["0", 0],
    ["negative", -1],
    ["a fraction", 1.5],
    ["unsafe", 2 ** 53],
    ["a list", [1]],
    ["an object", {}],
    ["true", true],
  ];
  const wrongLists: [what: string, value: unknown, field?: string][] = [
    ["missing", undefined],
    ["null", null],
    ["a number", 1],
    ["text", "1,2"],
    ["an object", { 0: 1 }],
    ["501 users", ids(501)],
    ...wrongIds
      .filter(([, value]) => value !== undefined)
      .map(([what, value]): [string, unknown, string] => [
        `with an id that is ${what}`,
        [1, value],
        "userIds.1",
      ]),
  ];
  type Case = [
    what: string,
    method: string,
    path: "direct" | "group" | "rename" | "invite",
    body: object,
    field: string,
  ];
  const cases: Case[] = [
    ...wrongIds.map(
      ([what, targetUserId]): Case => [
        `targetUserId ${what}`,
        "POST",
        "direct",
        { targetUserId },
        "targetUserId",
      ],
    ),
    ...wrongNames.map(
      ([what, roomName]): Case => [
        `roomName ${what}`,
        "POST",
        "group",
        { roomName, userIds: [] },
        "roomName",
      ],
    ),
    ...wrongLists.map(
      ([what, userIds, field]): Case => [
        `userIds ${what}`,
        "POST",
        "group",
        { roomName: "x", userIds },
        field ?? "userIds",
      ],
    ),
    ...wrongNames.map(([what, name]): Case => [`name ${what}`, "PATCH", "rename", { name }, "name"]),
    ...wrongLists.map(
      ([what, userIds, field]): Case => [
        `userIds ${what}`,
        "POST",
        "invite",
        { userIds },
        field ?? "userIds",
      ],
    ),
    ["userIds empty", "POST", "invite", { userIds: [] }, "userIds"],
  ];
  const pathOf = (path: Case[2], roomId: number): string =>
    ({
      direct: "/rooms",
      group: "/group-rooms",
      rename: `/group-rooms/${roomId}`,
      invite: `/group-rooms/${roomId}/invite`,
    })[path];

  test.each(cases)("%s is refused: %s, %s", async (_what, method, path, body, field) => {
    const [ann] = newUsers(1) as [number];
    const roomId = await makeRoom([ann]);
    expectProblem(await call(method, pathOf(path, roomId), ann, body), 400, "INVALID_REQUEST", field);
  });

  test.each([
    ["POST", "direct"],
    ["POST", "group"],
    ["PATCH", "rename"],
    ["POST", "invite"],
  ] as const)("%s %s: that is no JSON, no object or too big is refused", async (method, path) => {
    const [ann] = newUsers(1) as [number];
    const roomId = await makeRoom([ann]);
    const send = (body: unknown): Promise<HttpAnswer> => call(method, pathOf(path, roomId), ann, body);
    for (const text of ["", "{", "{'roomName':1}", "null", "[]", "5", '"text"', "\ufeff\ufeff{}"])
      expectProblem(await send(text), 400, "INVALID_REQUEST");
    expectProblem(await send(`{"x":"${"x".repeat(64 * 1024)}"}`), 413, "MESSAGE_TOO_LARGE");
    expect((await listed(roomId, ann)).name).toBe("room");
  });

  test("may have fields that nobody knows, names of 100 characters of any kind, and 500 users with repeats", async () => {
    const users = newUsers(501);
    const roomName = "🙂".repeat(100);
    const made = await call("POST", "/group-rooms", users[0]!, {
      roomName,
      userIds: users.slice(1),
      more: { x: 1 },
    });
    expect(made.status).toBe(201);
    expect(await listed(made.body.roomId, users[0]!)).toMatchObject({ name: roomName, memberCount: 501 });
    const named = await call("PATCH", `/group-rooms/${made.body.roomId}`, users[1]!, {
      name: "  한\n국 ",
      more: 1,
    });
    expect(named).toMatchObject({ status: 200, body: { roomId: made.body.roomId, name: "한\n국" } });
    const [ann, ben] = newUsers(2) as [number, number];
    const same = await call("POST", "/group-rooms", ann, { roomName: "x", userIds: Array(500).fill(ben) });
    expect((await listed(same.body.roomId, ann)).memberCount).toBe(2);
  });
});

describe("POST /rooms", () => {
  test("makes one room of the two, whichever of them asks, and how often", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const first = await call("POST", "/rooms", ann, { targetUserId: ben });
    expect(first).toMatchObject({ status: 201, body: { roomId: expect.any(Number) } });
    for (const [caller, targetUserId] of [
      [ann, ben],
      [ben, ann],
    ] as const)
      expect(await call("POST", "/rooms", caller, { targetUserId })).toMatchObject({
        status: 200,
        body: first.body,
      });
    for (const [caller, other] of [
      [ann, ben],
      [ben, ann],
    ] as const)
      expect(await listed(first.body.roomId, caller)).toMatchObject({
        type: "ONE_TO_ONE",
        name: `User ${other}`,
        memberCount: 2,
        unreadCount: 0,
        lastMessage: null,
      });
  });

  test.each([[0], [1]])(
    "at once from both sides makes one room and one 201 (%i begins)",
    async (beginner) => {
      for (let round = 0; round < 8; round += 1) {
        const pair = newUsers(2) as [number, number];
        const [first, second] = [pair[beginner]!, pair[1 - beginner]!];
        const answers = await Promise.all(
          [first, second, first, second].map((caller) =>
            call("POST", "/rooms", caller, { targetUserId: caller === first ? second : first }),
          ),
        );
        expect(new Set(answers.map(({ body }) => body.roomId)).size).toBe(1);
        expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
        for (const user of pair)
          expect((await call("GET", "/rooms", user)).body.rooms).toMatchObject([{ memberCount: 2 }]);
      }
    },
  );

  test("with oneself is refused", async () => {
    const [ann] = newUsers(1) as [number];
    const answer = await call("POST", "/rooms", ann, { targetUserId: ann });
    expectProblem(answer, 400, "INVALID_REQUEST", "targetUserId");
  });
});

describe("PATCH /group-rooms/{roomId}", () => {
  test("is for any member, and seen by all; the same name again is fine", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const roomId = await makeRoom([ann, ben]);
    for (let times = 0; times < 2; times += 1)
      expect(await call("PATCH", `/group-rooms/${roomId}`, ben, { name: "새 이름" })).toMatchObject({
        status: 200,
        body: { roomId, name: "새 이름" },
      });
    for (const user of [ann, ben]) expect((await listed(roomId, user)).name).toBe("새 이름");
    await until(async () => (await history(roomId, ann)).length > 0, "the announcement");
    expect(await history(roomId, ann)).toMatchObject([
      {
        type: "SYSTEM_RENAME",
        senderId: ben,
        content: `User ${ben} renamed the group to 새 이름`,
        roomName: "새 이름",
        unreadCount: 0,
      },
    ]);
  });

  test("at once by two: both succeed, and the room has one of the names", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const roomId = await makeRoom([ann, ben]);
    const answers = await Promise.all(
      [ann, ben, ann, ben].map((user, index) =>
        call("PATCH", `/group-rooms/${roomId}`, user, { name: `name ${index}` }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const { name } = await listed(roomId, ann);
    expect(name).toMatch(/^name [0-3]$/);
    expect((await listed(roomId, ben)).name).toBe(name);
  });

  describe("with a picture", () => {
    const URL_CHARACTERS = 2_048;
    const long = (characters: number) => `https://example.com/${"x".repeat(characters)}`.slice(0, characters);
    const change = (roomId: number, user: number, body: object) =>
      call("PATCH", `/group-rooms/${roomId}`, user, body);

    test("is for any member, and seen by all; it is no message; null takes it away", async () => {
      const [ann, ben] = newUsers(2) as [number, number];
      const roomId = await makeRoom([ann, ben]);
      const imageUrl = "https://example.com/a.png?size=2";
      for (let times = 0; times < 2; times += 1)
        expect(await change(roomId, ben, { imageUrl })).toMatchObject({
          status: 200,
          body: { roomId, name: "room", imageUrl },
        });
      for (const user of [ann, ben]) expect(await listed(roomId, user)).toMatchObject({ imageUrl });
      expect((await change(roomId, ann, { name: "Team" })).body).toEqual({ roomId, name: "Team", imageUrl });
      expect((await change(roomId, ann, { imageUrl: null })).body).toEqual({
        roomId,
        name: "Team",
        imageUrl: null,
      });
      expect(await listed(roomId, ben)).toMatchObject({ name: "Team", imageUrl: null });
      await until(async () => (await history(roomId, ann)).length > 0, "the announcement of the name");
      expect((await history(roomId, ann)).map(({ type }) => type)).toEqual(["SYSTEM_RENAME"]);
    });

    test("and a name at once changes both, or none where one is wrong", async () => {
      const [ann] = newUsers(1) as [number];
      const roomId = await makeRoom([ann]);
      const imageUrl = "https://example.com/a.png";
      expectProblem(await change(roomId, ann, { name: "", imageUrl }), 400, "INVALID_REQUEST", "name");
      expectProblem(
        await change(roomId, ann, { name: "x", imageUrl: "a" }),
        400,
        "INVALID_REQUEST",
        "imageUrl",
      );
      expect(await listed(roomId, ann)).toMatchObject({ name: "room", imageUrl: null });
      expect((await change(roomId, ann, { name: "Team", imageUrl })).body).toEqual({
        roomId,
        name: "Team",
        imageUrl,
      });
      expect(await listed(roomId, ann)).toMatchObject({ name: "Team", imageUrl });
    });

    test.each([
      ["of all the characters that it may have", long(URL_CHARACTERS), long(URL_CHARACTERS)],
      [
        "of other letters is kept in ASCII",
        "https://bücher.example/ä.png",
        "https://xn--bcher-kva.example/%C3%A4.png",
      ],
      ["that differs in case alone is another one", "https://example.com/A.png", "https://example.com/A.png"],
      ["without a path has one", "HTTPS://example.com", "https://example.com/"],
    ])("%s", async (_what, given, kept) => {
      const [ann] = newUsers(1) as [number];
      const roomId = await makeRoom([ann]);
      await change(roomId, ann, { imageUrl: "https://example.com/a.png" });
      const answer = await change(roomId, ann, { imageUrl: given });
      expect(answer).toMatchObject({ status: 200, body: { imageUrl: kept } });
      expect((await listed(roomId, ann)).imageUrl).toBe(kept);
    });

    test.each<[string, object, string]>([
      ["nothing", {}, "name"],
      ["nothing that is known", { picture: "https://example.com/a.png" }, "name"],
      ["a name that is null", { name: null }, "name"],
      ["http", { imageUrl: "http://example.com/a.png" }, "imageUrl"],
      ["code", { imageUrl: "javascript:alert(1)" }, "imageUrl"],
      ["data", { imageUrl: "data:image/png;base64,AA" }, "imageUrl"],
      ["no URL", { imageUrl: "a.png" }, "imageUrl"],
      ["no host", { imageUrl: "https://" }, "imageUrl"],
      ["a space", { imageUrl: "https://example.com/a b.png" }, "imageUrl"],
      ["an empty text", { imageUrl: "" }, "imageUrl"],
      ["a number", { imageUrl: 1 }, "imageUrl"],
      ["characters that can't be seen", { imageUrl: "https://example.com/\u202e.png" }, "imageUrl"],
      ["one character too many", { imageUrl: long(URL_CHARACTERS + 1) }, "imageUrl"],
      ["too many once they are ASCII", { imageUrl: `https://example.com/${"ä".repeat(1_000)}` }, "imageUrl"],
    ])("%s is refused", async (_what, body, field) => {
      const [ann] = newUsers(1) as [number];
      const roomId = await makeRoom([ann]);
      expectProblem(await change(roomId, ann, body), 400, "INVALID_REQUEST", field);
      expect(await listed(roomId, ann)).toMatchObject({ name: "room", imageUrl: null });
    });

    test("of a room of two is the other one's own: there is no group to give one to", async () => {
      const [ann, ben, eve] = newUsers(3) as Ids;
      const imageUrl = "https://example.com/a.png";
      const { roomId } = (await call("POST", "/rooms", ann, { targetUserId: ben })).body;
      expectProblem(await change(roomId, ann, { imageUrl }), 404, "ROOM_NOT_FOUND");
      expectProblem(await change(await makeRoom([ann]), eve, { imageUrl }), 403, "NOT_A_MEMBER");
    });
  });
});

describe("GET /rooms", () => {
  test("pages through rooms of the same activity without leaving one out or repeating one", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const rooms: number[] = [];
    for (let index = 0; index < 9; index += 1) rooms.push(await makeRoom([ann, ben]));
    await sql("UPDATE rooms SET last_activity_at = '2020-01-02 03:04:05.678' WHERE room_id IN (?)", [
      rooms.slice(1, 8),
    ]);
    const expected = [rooms[8], rooms[0], ...rooms.slice(1, 8).toReversed()];
    for (const limit of [1, 2, 3, 4, 8, 9]) {
      const seen: number[] = [];
      let cursor: string | null = "";
      for (let pages = 0; cursor !== null && pages < 10; pages += 1) {
        const query: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
        const { body } = await call("GET", `/rooms?limit=${limit}${query}`, ann);
        seen.push(...body.rooms.map(({ roomId }: Json) => roomId));
        cursor = body.cursor;
      }
      expect(seen).toEqual(expected);
    }
    expect((await call("GET", "/rooms?limit=9", ann)).body.cursor).toBeNull();
    expect((await call("GET", "/rooms?limit=8", ann)).body.cursor).not.toBeNull();
  });

  test("puts the room of the latest message first, system messages included", async () => {
    const [ann, ben, cho] = newUsers(3) as Ids;
    const [first, second, third] = [await makeRoom([ann]), await makeRoom([ann]), await makeRoom([ann, ben])];
    const order = async (): Promise<number[]> =>
      (await call("GET", "/rooms", ann)).body.rooms.map(({ roomId }: Json) => roomId);
    expect(await order()).toEqual([third, second, first]);
    await write(first, ann, ["up"]);
    expect(await order()).toEqual([first, third, second]);
    await call("POST", `/group-rooms/${second}/invite`, ann, { userIds: [cho] });
    await until(async () => (await order())[0] === second, "the announcement moves its room up");
    expect(await order()).toEqual([second, first, third]);
  });

  test("answers an empty page to a user without rooms", async () => {
    const answer = await call("GET", "/rooms", newUsers(1)[0]!);
    expect(answer).toMatchObject({ status: 200, body: { rooms: [], cursor: null } });
  });

  const cursor = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  test.each([
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=-1", "limit"],
    ["limit=1.5", "limit"],
    ["limit=x", "limit"],
    ["limit=", "limit"],
    ["limit=0x10", "limit"],
    ["limit=1e1", "limit"],
    ["cursor=abc", "cursor"],
    ["cursor=", "cursor"],
    [`cursor=${"x".repeat(201)}`, "cursor"],
    [`cursor=${cursor([1])}`, "cursor"],
    [`cursor=${cursor([-1, 1])}`, "cursor"],
    [`cursor=${cursor([1, 0])}`, "cursor"],
    [`cursor=${cursor([1e300, 1])}`, "cursor"],
    [`cursor=${cursor(["1", "1"])}`, "cursor"],
    [`cursor=${cursor({ at: 1 })}`, "cursor"],
  ])("refuses ?%s", async (query, field) => {
    expectProblem(await call("GET", `/rooms?${query}`, newUsers(1)[0]!), 400, "INVALID_REQUEST", field);
  });
});

describe("GET /rooms/{roomId}/messages", () => {
  test("gives pages up to the borders of before, after and limit", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const roomId = await makeRoom([ann, ben]);
    await write(roomId, ann, numbered(10));
    const seqs = async (query: string): Promise<number[]> =>
      (await call("GET", `/rooms/${roomId}/messages${query}`, ben)).body.messages.map(({ seq }: Json) => seq);
    const down = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1];
    const up = down.toReversed();
    const pages: [query: string, seqs: number[]][] = [
      ["", down],
      ["?", down],
      ["?limit=1", [10]],
      ["?limit=10", down],
      ["?limit=100", down],
      ["?before=1", []],
      ["?before=2", [1]],
      ["?before=10&limit=2", [9, 8]],
      ["?before=11&limit=2", [10, 9]],
      [`?before=${Number.MAX_SAFE_INTEGER}`, down],
      ["?after=0", up],
      ["?after=0&limit=3", [1, 2, 3]],
      ["?after=9", [10]],
      ["?after=10", []],
      [`?after=${Number.MAX_SAFE_INTEGER}`, []],
      ["?nobody=knows&limit=2", [10, 9]],
    ];
    for (const [query, expected] of pages) expect([query, await seqs(query)]).toEqual([query, expected]);
  });

  test("gives more than a page of a hundred in several", async () => {
    const [ann] = newUsers(1) as [number];
    const roomId = await makeRoom([ann]);
    const messages = await write(roomId, ann, numbered(101));
    expect(messages.map(({ content }) => content)).toEqual(numbered(101));
    const newest = (await call("GET", `/rooms/${roomId}/messages?limit=100`, ann)).body.messages;
    expect(newest.map(({ seq }: Json) => seq)).toEqual(
      Array.from({ length: 100 }, (_, index) => 101 - index),
    );
    expect((await call("GET", `/rooms/${roomId}/messages`, ann)).body.messages).toHaveLength(50);
  });

  test.each([
    ["before=0", "before"],
    ["before=-1", "before"],
    ["before=x", "before"],
    ["before=1.5", "before"],
    ["before=", "before"],
    [`before=${UNSAFE}`, "before"],
    ["before=0x10", "before"],
    ["after=-1", "after"],
    ["after=x", "after"],
    ["after=1.5", "after"],
    ["after=", "after"],
    ["after=%20", "after"],
    [`after=${UNSAFE}`, "after"],
    ["after=1e1", "after"],
    ["before=5&after=1", "after"],
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=x", "limit"],
    ["limit=", "limit"],
  ])("refuses ?%s", async (query, field) => {
    const [ann] = newUsers(1) as [number];
    const roomId = await makeRoom([ann]);
    expectProblem(
      await call("GET", `/rooms/${roomId}/messages?${query}`, ann),
      400,
      "INVALID_REQUEST",
      field,
    );
  });
});

describe("DELETE /rooms/{roomId}/messages/{messageId}", () => {
  const remove = (roomId: number, messageId: number | string, user: number): Promise<HttpAnswer> =>
    call("DELETE", `/rooms/${roomId}/messages/${messageId}`, user);

  test("hides messages from the deleter's history both ways, without short pages, and from nobody else's", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const roomId = await makeRoom([ann, ben]);
    const messages = await write(roomId, ann, numbered(12));
    for (const seq of [2, 3, 7, 8, 9, 12]) {
      const { messageId } = messages[seq - 1];
      expect(await remove(roomId, messageId, ben)).toMatchObject({
        status: 200,
        body: { roomId, messageId },
      });
    }
    const seqs = async (query: string, user: number): Promise<number[]> =>
      (await call("GET", `/rooms/${roomId}/messages?${query}`, user)).body.messages.map(
        ({ seq }: Json) => seq,
      );
    expect(await seqs("limit=3", ben)).toEqual([11, 10, 6]);
    expect(await seqs("limit=3&before=6", ben)).toEqual([5, 4, 1]);
    expect(await seqs("limit=3&before=1", ben)).toEqual([]);
    expect(await seqs("limit=3&after=0", ben)).toEqual([1, 4, 5]);
    expect(await seqs("limit=3&after=5", ben)).toEqual([6, 10, 11]);
    expect(await seqs("limit=3&after=11", ben)).toEqual([]);
    expect(await seqs("limit=12", ann)).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);

    // What is deleted isn't unread to the deleter; everybody's counts of the messages stay.
    expect((await listed(roomId, ben)).unreadCount).toBe(6);
    expect((await history(roomId, ann)).map(({ unreadCount }) => unreadCount)).toEqual(Array(12).fill(1));

    const b = await connect(ben);
    const replayed = await b.subscribe(`/sub/chat/room/${roomId}`, { "last-seq": "0" });
    await until(() => replayed.length >= 6, "the replay");
    await b.say(roomId, "end");
    await until(() => replayed.at(-1).content === "end", "the end");
    expect(replayed.map(({ seq }) => seq)).toEqual([1, 4, 5, 6, 10, 11, 13]);
    await b.close();
  });

  test("hides the last message from the deleter's preview, and all of them when all are deleted", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const roomId = await makeRoom([ann, ben]);
    const messages = await write(roomId, ann, numbered(3));
    for (const [index, preview, unreadCount] of [
      [2, "m2", 2],
      [0, "m2", 1],
      [1, undefined, 0],
    ] as const) {
      await remove(roomId, messages[index].messageId, ben);
      expect((await listed(roomId, ben)).lastMessage?.content).toBe(preview);
      expect(await listed(roomId, ben)).toMatchObject({ unreadCount, memberCount: 2 });
      expect((await listed(roomId, ann)).lastMessage.content).toBe("m3");
    }
    expect((await listed(roomId, ben)).lastMessage).toBeNull();
    expect(await history(roomId, ben)).toEqual([]);
    await write(roomId, ann, ["m4"]);
    expect((await listed(roomId, ben)).lastMessage).toMatchObject({ content: "m4", seq: 4 });
  });

  test("again, or at once, is the same; in a one-to-one room, too", async () => {
    const [ann, ben] = newUsers(2) as [number, number];
    const { roomId } = (await call("POST", "/rooms", ann, { targetUserId: ben })).body;
    const [first, second] = await write(roomId, ann, numbered(2));
    const answers = await Promise.all(
      [ann, ben, ann, ben, ann, ben].map((user) => remove(roomId, first.messageId, user)),
    );
    answers.push(await remove(roomId, first.messageId, ann));
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 200, body: { roomId, messageId: first.messageId } });
    for (const user of [ann, ben])
      expect((await history(roomId, user)).map(({ seq }) => seq)).toEqual([second.seq]);
  });

  test("of a message that the caller can't see answers 404", async () => {
    const [ann, ben, cho] = newUsers(3) as Ids;
    const [roomId, otherId] = [await makeRoom([ann, ben]), await makeRoom([ann, ben])];
    const [[older], [foreign]] = [
      await write(roomId, ann, ["older"]),
      await write(otherId, ann, ["foreign"]),
    ];
    await call("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [cho] });
    expectProblem(await remove(roomId, older.messageId, cho), 404, "MESSAGE_NOT_FOUND");
    expectProblem(await remove(roomId, foreign.messageId, ann), 404, "MESSAGE_NOT_FOUND");
    expectProblem(await remove(roomId, Number.MAX_SAFE_INTEGER, ann), 404, "MESSAGE_NOT_FOUND");
    expect((await history(otherId, ann)).length).toBe(1);
  });

  test.each(["abc", "0", "-1", "1.5", UNSAFE, "0x10", "1e1", "%20"])(
    "refuses the messageId %s",
    async (messageId) => {
      const [ann] = newUsers(1) as [number];
      const roomId = await makeRoom([ann]);
      expectProblem(await remove(roomId, messageId, ann), 400, "INVALID_REQUEST", "messageId");
    },
  );
});

describe("POST /negotiate", () => {
  test("needs no body, and ignores one", async () => {
    const [ann] = newUsers(1) as [number];
    for (const body of [undefined, {}, "not JSON"])
      expect(await call("POST", "/negotiate", ann, body)).toMatchObject({
        status: 200,
        body: { url: expect.stringMatching(/^wss?:\/\//), protocol: "v12.stomp" },
      });
  });
});
