import { describe, expect, test } from "vitest";
import {
  type Connected,
  call,
  connect,
  type HttpAnswer,
  history,
  introduce,
  type Json,
  makeRoom,
  newUsers,
  positionOf,
  until,
} from "../support/client.js";

type Two = [number, number];
type Three = [number, number, number];

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const patchRead = (user: number, roomId: number, messageId: number | string): Promise<HttpAnswer> =>
  call("PATCH", `/rooms/${roomId}/read?messageId=${messageId}`, user);

let receipts = 0;

/** SEND to `/pub/chat/read`; resolves with its RECEIPT. */
function sendRead(from: Connected, payload: unknown): Promise<void> {
  const id = `read-${++receipts}`;
  return new Promise((resolve) => {
    from.client.watchForReceipt(id, () => resolve());
    publishRead(from, payload, { receipt: id });
  });
}

function publishRead(from: Connected, payload: unknown, headers: Record<string, string> = {}): void {
  const body = typeof payload === "string" ? payload : JSON.stringify(payload);
  from.client.publish({ destination: "/pub/chat/read", body, headers });
}

/** The two ways to read: each returns once the read can't be lost any more. */
const ways: [
  name: string,
  read: (user: Connected, userId: number, roomId: number, messageId: number) => Promise<void>,
][] = [
  [
    "PATCH /rooms/{roomId}/read",
    async (_connected, userId, roomId, messageId) => {
      const answer = await patchRead(userId, roomId, messageId);
      expect(answer).toMatchObject({ status: 202, body: { roomId, messageId } });
    },
  ],
  [
    "SEND /pub/chat/read",
    (connected, _userId, roomId, messageId) => sendRead(connected, { roomId, messageId }),
  ],
];

/** Sends messages, and waits until they are stored; answers the whole history. */
async function write(
  roomId: number,
  from: Connected,
  userId: number,
  contents: readonly string[],
): Promise<Json[]> {
  for (const content of contents) await from.say(roomId, content);
  let messages: Json[] = [];
  await until(async () => {
    messages = await history(roomId, userId);
    // What the service says itself may stand behind them.
    return messages.findLast(({ type }) => !type.startsWith("SYSTEM_"))?.content === contents.at(-1);
  }, "the messages are stored");
  return messages;
}

async function listed(roomId: number, user: number): Promise<Json> {
  return (await call("GET", "/rooms?limit=100", user)).body.rooms.find(
    (room: Json) => room.roomId === roomId,
  );
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index + 1}`);

const move = (roomId: number, userId: number, from: Json, to: Json): Json => ({
  roomId,
  userId,
  lastReadMessageId: to.messageId,
  previousLastReadMessageId: from?.messageId ?? null,
  lastReadSeq: to.seq,
  previousLastReadSeq: from?.seq ?? 0,
  readAt: expect.stringMatching(TIME),
});

describe.each(ways)("%s", (_way, read) => {
  test("moves the reader's position, tells every subscriber of it, and lowers the counts", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben, cho]);
    const [a, b, c] = [await connect(ann), await connect(ben), await connect(cho)];
    const seen = await Promise.all([a, b, c].map((one) => one.subscribe(`/sub/chat/room/${roomId}/read`)));
    const messages = await write(roomId, a, ann, numbered(10));
    const counts = async (): Promise<number[]> =>
      (await history(roomId, ann)).map(({ unreadCount }) => unreadCount);
    expect(await counts()).toEqual(Array(10).fill(2));

    await read(b, ben, roomId, messages[3].messageId);
    await until(() => seen.every((reads) => reads.length === 1), "the read at all three");
    expect(await listed(roomId, ben)).toMatchObject({ unreadCount: 6 });
    expect(await positionOf(roomId, ben)).toBe(messages[3].messageId);
    expect(await counts()).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);

    await read(b, ben, roomId, messages[9].messageId);
    await until(() => seen.every((reads) => reads.length === 2), "the second read at all three");
    for (const reads of seen)
      expect(reads).toEqual([
        move(roomId, ben, undefined, messages[3]),
        move(roomId, ben, messages[3], messages[9]),
      ]);
    expect(await listed(roomId, ben)).toMatchObject({ unreadCount: 0 });
    expect(await listed(roomId, cho)).toMatchObject({ unreadCount: 10 });
    expect(await counts()).toEqual(Array(10).fill(1));
    expect([...a.errors, ...b.errors, ...c.errors]).toEqual([]);
    await Promise.all([a, b, c].map((one) => one.close()));
  });

  test("is silent, and changes nothing, when it repeats, goes back, or names another room's message", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const [olderRoom, roomId, newerRoom] = [
      await makeRoom([ann]),
      await makeRoom([ann, ben]),
      await makeRoom([ann]),
    ];
    const [a, b] = [await connect(ann), await connect(ben)];
    const [older] = await write(olderRoom, a, ann, ["older"]);
    const messages = await write(roomId, a, ann, numbered(4));
    const [newer] = await write(newerRoom, a, ann, ["newer"]);
    const reads = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    await read(b, ben, roomId, messages[2].messageId);
    await until(() => reads.length === 1, "the first read");
    for (const messageId of [
      messages[2].messageId,
      messages[0].messageId,
      messages[1].messageId,
      1,
      older.messageId,
      newer.messageId,
      messages[2].messageId,
    ])
      await read(b, ben, roomId, messageId);
    await read(b, ben, roomId, messages[3].messageId);
    await until(() => reads.length >= 2, "the last read");
    expect(reads).toEqual([
      move(roomId, ben, undefined, messages[2]),
      move(roomId, ben, messages[2], messages[3]),
    ]);
    await Promise.all([a.close(), b.close()]);
  });

  test("never leads past the room's last message", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const roomId = await makeRoom([ann, ben]);
    const [a, b] = [await connect(ann), await connect(ben)];
    const reads = await b.subscribe(`/sub/chat/room/${roomId}/read`);
    // Nothing to read yet. The reads of a user are stored in their order: once the next one is seen, so is this.
    await read(b, ben, roomId, Number.MAX_SAFE_INTEGER);
    const other = await makeRoom([ann, ben]);
    const othersReads = await b.subscribe(`/sub/chat/room/${other}/read`);
    const [first] = await write(other, a, ann, numbered(1));
    await read(b, ben, other, first.messageId);
    await until(() => othersReads.length === 1, "the read in the other room");
    const messages = await write(roomId, a, ann, numbered(3));
    expect(await listed(roomId, ben)).toMatchObject({ unreadCount: 3 });
    await read(b, ben, roomId, Number.MAX_SAFE_INTEGER);
    await until(() => reads.length === 1, "the read");
    expect(await listed(roomId, ben)).toMatchObject({ unreadCount: 0 });
    expect(await positionOf(roomId, ben)).toBe(messages[2].messageId);
    const after = await write(roomId, a, ann, ["m4"]);
    expect(await listed(roomId, ben)).toMatchObject({ unreadCount: 1 });
    await read(b, ben, roomId, after[3].messageId);
    await until(() => reads.length >= 2, "the last read");
    expect(reads).toEqual([
      move(roomId, ben, undefined, messages[2]),
      move(roomId, ben, messages[2], after[3]),
    ]);
    await Promise.all([a.close(), b.close()]);
  });

  test("works in a one-to-one room", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const { roomId } = (await call("POST", "/rooms", ann, { targetUserId: ben })).body;
    const [a, b] = [await connect(ann), await connect(ben)];
    const reads = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    const [message] = await write(roomId, a, ann, ["hello"]);
    expect(message.unreadCount).toBe(1);
    await read(b, ben, roomId, message.messageId);
    await until(() => reads.length === 1, "the read");
    expect(reads).toEqual([move(roomId, ben, undefined, message)]);
    expect((await history(roomId, ann))[0].unreadCount).toBe(0);
    await Promise.all([a.close(), b.close()]);
  });
});

describe("sending", () => {
  test("reads what others had written before; the new message's count leaves its sender out", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben, cho]);
    const [a, b] = [await connect(ann), await connect(ben)];
    const reads = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    const shown = await a.subscribe(`/sub/chat/room/${roomId}`);
    const messages = await write(roomId, a, ann, numbered(2));
    const [, , third] = await write(roomId, b, ben, ["m3"]);
    await until(() => reads.length === 1 && shown.length === 3, "the read and the messages");
    expect(shown.map(({ unreadCount }) => unreadCount)).toEqual([2, 2, 2]);
    expect((await history(roomId, cho)).map(({ unreadCount }) => unreadCount)).toEqual([1, 1, 2]);
    expect(await listed(roomId, ben)).toMatchObject({ unreadCount: 0 });
    expect(await listed(roomId, ann)).toMatchObject({ unreadCount: 1 });

    // Who has nothing unread reads nothing by sending: the next move is that of another one.
    await write(roomId, b, ben, numbered(6).slice(3));
    expect((await patchRead(cho, roomId, third.messageId)).status).toBe(202);
    await until(() => reads.length >= 2, "the next read");
    expect(reads).toEqual([move(roomId, ben, undefined, messages[1]), move(roomId, cho, undefined, third)]);
    await Promise.all([a.close(), b.close()]);
  });

  test("an invitation, too, reads the room for who invites", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben]);
    const a = await connect(ann);
    const reads = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    const messages = await write(roomId, a, ann, numbered(2));
    await call("POST", `/group-rooms/${roomId}/invite`, ben, { userIds: [cho] });
    await until(() => reads.length === 1, "the read");
    expect(reads).toEqual([move(roomId, ben, undefined, messages[1])]);
    expect((await history(roomId, ann)).map(({ unreadCount }) => unreadCount)).toEqual([0, 0, 0]);
    await a.close();
  });

  test("one last move leads who goes to the room's end", async () => {
    const [ann, ben, cho] = newUsers(3) as Three;
    const roomId = await makeRoom([ann, ben, cho]);
    const a = await connect(ann);
    const reads = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    const messages = await write(roomId, a, ann, numbered(3));
    await patchRead(ben, roomId, messages[0].messageId);
    await until(() => reads.length === 1, "the read");
    await call("DELETE", `/group-rooms/${roomId}/members/${ben}`, ann);
    await until(() => reads.length === 2, "the last move of the removed one");
    await until(async () => (await history(roomId, ann)).length === 4, "the announcement of the removal");
    await call("DELETE", `/rooms/${roomId}`, cho);
    await until(() => reads.length === 3, "the last move of the one who left");
    expect(reads[1]).toEqual(move(roomId, ben, messages[0], messages[2]));
    expect(reads[2]).toMatchObject({ userId: cho, previousLastReadSeq: 0, lastReadSeq: 4 });
    expect((await history(roomId, ann)).slice(0, 4).map(({ unreadCount }) => unreadCount)).toEqual([
      0, 0, 0, 0,
    ]);
    await a.close();
  });

  test("one last move of who leaves a one-to-one room reaches the other one, though nothing announces it", async () => {
    const [ann, ben] = newUsers(2) as Two;
    await introduce([ben]);
    const { roomId } = (await call("POST", "/rooms", ann, { targetUserId: ben })).body;
    const a = await connect(ann);
    const reads = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    const messages = await write(roomId, a, ann, numbered(3));
    await patchRead(ben, roomId, messages[0].messageId);
    await until(() => reads.length === 1, "the read");
    await call("DELETE", `/rooms/${roomId}`, ben);
    await until(() => reads.length === 2, "the last move");
    expect(reads[1]).toEqual(move(roomId, ben, messages[0], messages[2]));
    expect((await history(roomId, ann)).map(({ unreadCount }) => unreadCount)).toEqual([0, 0, 0]);
    await a.close();
  });
});

test("PATCH and SEND at once, in any order: the furthest counts, and the moves follow each other without a gap", async () => {
  for (let round = 0; round < 3; round += 1) {
    const [ann, ben] = newUsers(2) as Two;
    const roomId = await makeRoom([ann, ben]);
    const [a, b] = [await connect(ann), await connect(ben)];
    const reads = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    const messages = await write(roomId, a, ann, numbered(12));
    const order = [5, 2, 11, 7, 0, 9, 3, 11, 1, 8];
    await Promise.all(
      order.map((index) => {
        const { messageId } = messages[index];
        return index % 2 === 0 ? patchRead(ben, roomId, messageId) : sendRead(b, { roomId, messageId });
      }),
    );
    await until(() => reads.at(-1)?.lastReadSeq === 12, "the last read");
    // Another member's read in the same partition or another: whatever came late would be here before it.
    await write(roomId, b, ben, ["end"]);
    await patchRead(ann, roomId, Number.MAX_SAFE_INTEGER);
    await until(() => reads.at(-1)?.userId === ann, "the other one's read");
    const own = reads.filter(({ userId }) => userId === ben);
    expect(own[0].previousLastReadSeq).toBe(0);
    for (const [index, next] of own.slice(1).entries()) {
      expect(next.previousLastReadSeq).toBe(own[index].lastReadSeq);
      expect(next.previousLastReadMessageId).toBe(own[index].lastReadMessageId);
      expect(next.lastReadSeq).toBeGreaterThan(next.previousLastReadSeq);
    }
    expect(own.at(-1).lastReadSeq).toBe(12);
    await Promise.all([a.close(), b.close()]);
  }
});

const movesOf = (frames: readonly Json[]): Json[] => frames.flatMap((frame) => frame.reads ?? [frame]);

/**
 * A client that counts as it is told to: the count of a message's frame, less one for each move over it; a
 * system message has none.
 */
function countsOf(messages: readonly Json[], frames: readonly Json[]): [seq: number, count: number][] {
  const moves = movesOf(frames);
  return messages.map(({ seq, type, unreadCount }) => {
    if (type.startsWith("SYSTEM_")) return [seq, 0];
    const readers = moves.filter((read) => read.previousLastReadSeq < seq && seq <= read.lastReadSeq);
    return [seq, unreadCount - readers.length];
  });
}

test.each([
  ["single reads", 0],
  ["merged reads", 100],
])(
  "a client that lowers its counts by what /read tells has those of the history in the end, with %s",
  async (_name, silent) => {
    const [ann, ...others] = newUsers(6) as [number, ...number[]];
    const roomId = await makeRoom([ann, ...others, ...newUsers(silent)]);
    const observer = await connect(ann);
    const shown = await observer.subscribe(`/sub/chat/room/${roomId}`);
    const reads = await observer.subscribe(`/sub/chat/room/${roomId}/read`);
    const clients = await Promise.all(others.map((user) => connect(user)));
    const [newcomer, second] = newUsers(2) as Two;

    const act = async (index: number): Promise<void> => {
      const [user, client] = [others[index]!, clients[index]!];
      for (let step = 0; step < 16; step += 1) {
        const latest = shown.at(-1)?.messageId;
        const behind = shown.at(-1 - ((step * 3 + index) % 5))?.messageId;
        if ((step + index) % 3 === 0 || latest === undefined) await client.say(roomId, `${user} ${step}`);
        else if ((step + index) % 3 === 1) await patchRead(user, roomId, behind ?? latest);
        else await sendRead(client, { roomId, messageId: latest });
      }
    };
    const change = async (): Promise<void> => {
      await until(() => shown.length > 5, "some messages");
      await call("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [newcomer, second] });
      await patchRead(newcomer, roomId, Number.MAX_SAFE_INTEGER);
      await until(() => shown.length > 12, "some more messages");
      await call("DELETE", `/group-rooms/${roomId}/members/${newcomer}`, ann);
      await call("DELETE", `/rooms/${roomId}`, second);
    };
    await Promise.all([...others.map((_, index) => act(index)), change()]);
    await write(roomId, clients[0]!, others[0]!, ["end"]);
    await until(() => shown.some(({ content }) => content === "end"), "the last message");

    const stored = async (): Promise<[number, number][]> =>
      (await history(roomId, ann)).map(({ seq, unreadCount }) => [seq, unreadCount]);
    const isEqual = async (): Promise<boolean> =>
      JSON.stringify(countsOf(shown, reads)) === JSON.stringify(await stored());
    await until(isEqual, "the counts agree").catch(() => {});
    expect(countsOf(shown, reads)).toEqual(await stored());
    expect(shown.map(({ seq }) => seq)).toEqual(shown.map((_, index) => index + 1));
    expect(reads.every((frame) => "reads" in frame)).toBe(silent > 0);
    expect(movesOf(reads).length).toBeGreaterThan(5);
    await Promise.all([observer, ...clients].map((one) => one.close()));
  },
);

describe("SEND /pub/chat/read that is refused", () => {
  test("for who is no member: NOT_A_MEMBER on /user/queue/errors, and the connection goes on", async () => {
    const [ann, eve] = newUsers(2) as Two;
    const [roomId, own] = [await makeRoom([ann]), await makeRoom([eve])];
    const [a, e] = [await connect(ann), await connect(eve)];
    const [{ messageId }] = (await write(roomId, a, ann, ["hello"])) as [Json];
    const errors = await e.subscribe("/user/queue/errors");
    for (const room of [roomId, 9_000_000_000])
      publishRead(e, { roomId: room, messageId }, { receipt: "never" });
    await until(() => errors.length === 2, "both refusals");
    expect(errors).toEqual(
      [roomId, 9_000_000_000].map((room) => ({
        type: "ERROR",
        code: "NOT_A_MEMBER",
        message: expect.any(String),
        roomId: room,
      })),
    );
    await e.say(own, "still here");
    expect((await history(roomId, ann))[0].unreadCount).toBe(0);
    await Promise.all([a.close(), e.close()]);
  });

  test("without a subscription to /user/queue/errors: ERROR with the receipt-id, and the connection is closed", async () => {
    const [ann, eve] = newUsers(2) as Two;
    const roomId = await makeRoom([ann]);
    const e = await connect(eve);
    publishRead(e, { roomId, messageId: 1 }, { receipt: "mine" });
    await until(() => e.errors.length === 1 && !e.client.connected, "the ERROR and the close");
    expect(JSON.parse(e.errors[0]!.body)).toMatchObject({ code: "NOT_A_MEMBER", roomId });
    expect(e.errors[0]!.headers["receipt-id"]).toBe("mine");
    await e.close();
  });

  test("after a removal, too", async () => {
    const [ann, ben] = newUsers(2) as Two;
    const roomId = await makeRoom([ann, ben]);
    const [a, b] = [await connect(ann), await connect(ben)];
    const [{ messageId }] = (await write(roomId, a, ann, ["hello"])) as [Json];
    const errors = await b.subscribe("/user/queue/errors");
    await sendRead(b, { roomId, messageId });
    await call("DELETE", `/group-rooms/${roomId}/members/${ben}`, ann);
    publishRead(b, { roomId, messageId });
    await until(() => errors.length === 1, "the refusal");
    expect(errors[0]).toMatchObject({ code: "NOT_A_MEMBER", roomId });
    expect((await patchRead(ben, roomId, messageId)).body).toMatchObject({ code: "NOT_A_MEMBER" });
    await Promise.all([a.close(), b.close()]);
  });

  const wrongIds: [what: string, value: unknown][] = [
    ["missing", undefined],
    ["null", null],
    ["text", "5"],
    ["0", 0],
    ["negative", -1],
    ["a fraction", 1.5],
    ["unsafe", 2 ** 53],
    ["a list", [5]],
  ];
  const payloads: [what: string, payload: unknown, names: string][] = [
    ["nothing", "", "JSON"],
    ["half of JSON", "{", "JSON"],
    ["null", "null", "body"],
    ["a list", "[]", "body"],
    ["a number", "5", "body"],
    ...wrongIds.map(([what, roomId]): [string, unknown, string] => [
      `roomId ${what}`,
      { roomId, messageId: 1 },
      "roomId",
    ]),
    ...wrongIds.map(([what, messageId]): [string, unknown, string] => [
      `messageId ${what}`,
      { roomId: 1, messageId },
      "messageId",
    ]),
  ];
  test("names what is wrong with the payload, and the connection goes on", async () => {
    const [ann] = newUsers(1) as [number];
    const roomId = await makeRoom([ann]);
    const a = await connect(ann);
    const errors = await a.subscribe("/user/queue/errors");
    for (const [index, [what, payload, names]] of payloads.entries()) {
      publishRead(a, payload, { receipt: "never" });
      await until(() => errors.length === index + 1, what);
      expect([what, errors[index]]).toMatchObject([
        what,
        { type: "ERROR", code: "INVALID_MESSAGE", message: expect.stringContaining(names) },
      ]);
    }
    await a.say(roomId, "still here");
    await a.close();
  });
});

test.each(["", "abc", "0", "-1", "1.5", "9007199254740993", "%20", "0x10", "1e1", "null", "+1"])(
  "PATCH /rooms/{roomId}/read refuses messageId=%s",
  async (messageId) => {
    const [ann] = newUsers(1) as [number];
    const answer = await patchRead(ann, await makeRoom([ann]), messageId);
    expect(answer).toMatchObject({ status: 400, body: { code: "INVALID_REQUEST", field: "messageId" } });
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
  },
);

test("PATCH /rooms/{roomId}/read refuses a missing messageId", async () => {
  const [ann] = newUsers(1) as [number];
  const answer = await call("PATCH", `/rooms/${await makeRoom([ann])}/read`, ann);
  expect(answer).toMatchObject({ status: 400, body: { code: "INVALID_REQUEST", field: "messageId" } });
});

describe("a room of more than 100 members", () => {
  test("gets the moves of many readers merged, and no single ones", async () => {
    const [ann, ...others] = newUsers(150) as [number, ...number[]];
    const roomId = await makeRoom([ann, ...others]);
    const a = await connect(ann);
    const frames = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    const messages = await write(roomId, a, ann, numbered(3));
    const readers = others.slice(0, 40);
    for (const [first, last] of [
      [0, 20],
      [20, 40],
    ] as const)
      await Promise.all(
        readers.slice(first, last).map((user) => patchRead(user, roomId, messages[1].messageId)),
      );
    const moves = (): Json[] => movesOf(frames);
    await until(() => moves().length >= 40, "all moves");
    // A repeat, one that goes back, and then one that counts.
    for (const messageId of [messages[1].messageId, messages[0].messageId, messages[2].messageId])
      await patchRead(readers[0]!, roomId, messageId);
    await until(() => moves().some(({ lastReadSeq }) => lastReadSeq === 3), "the last move");

    for (const frame of frames) {
      expect(Object.keys(frame).sort()).toEqual(["reads", "roomId"]);
      expect(frame.roomId).toBe(roomId);
    }
    const single = (userId: number, from: Json, to: Json): Json => {
      const { roomId: _, ...rest } = move(roomId, userId, from, to);
      return rest;
    };
    const byUser = (one: Json, other: Json): number => one.userId - other.userId;
    expect(moves().slice(0, 40).sort(byUser)).toEqual(
      readers.map((userId) => single(userId, undefined, messages[1])),
    );
    expect(moves().slice(40)).toEqual([single(readers[0]!, messages[1], messages[2])]);
    expect((await history(roomId, ann)).map(({ unreadCount }) => unreadCount)).toEqual([109, 109, 148]);
    await a.close();
  });

  test("gets a sender's move merged, too", async () => {
    const [ann, ben, ...others] = newUsers(101) as [number, number, ...number[]];
    const roomId = await makeRoom([ann, ben, ...others]);
    const [a, b] = [await connect(ann), await connect(ben)];
    const frames = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    await write(roomId, a, ann, numbered(2));
    await write(roomId, b, ben, ["m3"]);
    await until(() => frames.length === 1, "the move");
    expect(frames[0]).toMatchObject({
      roomId,
      reads: [{ userId: ben, previousLastReadSeq: 0, lastReadSeq: 2 }],
    });
    expect(frames[0].reads).toHaveLength(1);
    await Promise.all([a.close(), b.close()]);
  });

  test("that grows past 100 has its reads merged from then on, and single ones again when it shrinks", async () => {
    const [ann, ben, ...others] = newUsers(101) as [number, number, ...number[]];
    const last = others.pop()!;
    const roomId = await makeRoom([ann, ben, ...others]);
    const a = await connect(ann);
    const frames = await a.subscribe(`/sub/chat/room/${roomId}/read`);
    const frameOfBen = async (content: string): Promise<Json> => {
      const messages = await write(roomId, a, ann, [content]);
      const { messageId } = messages.at(-1);
      await patchRead(ben, roomId, messageId);
      const isIt = (read: Json): boolean => read.userId === ben && read.lastReadMessageId === messageId;
      await until(() => frames.some((frame) => (frame.reads ?? [frame]).some(isIt)), content);
      return frames.find((frame) => (frame.reads ?? [frame]).some(isIt));
    };
    expect(await frameOfBen("100 members")).not.toHaveProperty("reads");
    await call("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [last] });
    expect(await frameOfBen("101 members")).toHaveProperty("reads");
    await call("DELETE", `/group-rooms/${roomId}/members/${last}`, ann);
    expect(await frameOfBen("100 members again")).not.toHaveProperty("reads");
    await a.close();
  });
});
