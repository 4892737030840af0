import { beforeAll, describe, expect, test } from "vitest";
import { call, type HttpAnswer, history, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import {
  answered,
  closeAll,
  deliver,
  expect429,
  expectLimited,
  type Listener,
  listener as listenerAt,
  listeners as listenersAt,
  message,
  receiptsOf,
  refusalsOf,
  send,
  times,
} from "../support/limits.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";
import { type OwnStack, ownStack } from "../support/ownStack.js";
import { open, openConnected } from "../support/rawSocket.js";
import type { Addresses } from "../support/stack.js";

const NAMES = [
  "SESSION_LIMIT",
  "RATE_LIMIT_PER_MINUTE",
  "RATE_LIMIT_READS_PER_MINUTE",
  "RATE_LIMIT_SUBSCRIBES_PER_MINUTE",
  "RATE_LIMIT_NEGOTIATES_PER_MINUTE",
  "RATE_LIMIT_WRITES_PER_MINUTE",
  "RATE_LIMIT_LOOKUPS_PER_MINUTE",
  "RATE_LIMIT_UNSUBSCRIBES_PER_MINUTE",
  "RATE_LIMIT_HANDSHAKES_PER_MINUTE",
  "RATE_LIMIT_EMPTY_MESSAGES_PER_MINUTE",
  "RATE_LIMIT_PIECES_PER_MINUTE",
];

let stack: OwnStack;
let addresses: Addresses;
unlessLimitsAreOpen(() => stack.receiver.url, 55_000);

/** A stack of its own for the tests of a block, with every limit set to the same text but for some. */
function withLimits(text: string, others: Readonly<Record<string, string>> = {}): void {
  const own = ownStack({ ...Object.fromEntries(NAMES.map((name) => [name, text])), ...others });
  beforeAll(() => {
    stack = own;
    addresses = own.addresses;
  });
}

const listener = (user: number): Promise<Listener> => listenerAt(user, addresses.webPubSub);
const listeners = (user: number, count: number): Promise<Listener[]> =>
  listenersAt(user, count, addresses.webPubSub);

const api = (method: string, path: string, caller: number, body?: unknown): Promise<HttpAnswer> =>
  call(method, path, caller, body, addresses);

describe("with the usual limits", UNLESS_LATE, () => {
  // An empty setting is a missing one.
  // Their number of SUBSCRIBEs would take a test too long.
  withLimits("", { RATE_LIMIT_SUBSCRIBES_PER_MINUTE: "120" });

  // That one more passes after retryAfter, and no more than that, is in `contracts/rateLimit.test.ts`, with
  // time handed in.
  test("of 200 messages of a user over three sessions 60 pass, and the others are told when to try again", async () => {
    const [user, other] = newUsers(2) as [number, number];
    const roomId = await makeRoom([user, other], addresses);
    const sessions = await listeners(user, 3);
    const firstSent = Date.now();
    await deliver(sessions[0]!, [message(roomId, "0")]);
    const firstTaken = Date.now();
    const burst = Date.now();
    for (let index = 1; index < 200; index += 1)
      sessions[index % 3]!.socket.send(message(roomId, String(index)));
    await answered(sessions, 200);
    const end = Date.now();
    const taken = receiptsOf(sessions);
    const refused = refusalsOf(sessions);
    expect(taken).toHaveLength(60);
    expect([...taken, ...refused.map(({ clientMessageId }) => clientMessageId)].toSorted()).toEqual(
      times(200, String).toSorted(),
    );
    for (const refusal of refused) {
      expectLimited(refusal, 60, "messages");
      expect(refusal.roomId).toBe(roomId);
      // 60 s from the first message on, and rounded up.
      expect(refusal.retryAfter).toBeGreaterThanOrEqual(Math.floor(60 - (end - firstSent) / 1_000));
      expect(refusal.retryAfter).toBeLessThanOrEqual(Math.ceil(60 - (burst - firstTaken) / 1_000) + 1);
    }

    // Another one is not concerned, nor is anything else of the same user.
    const neighbour = await listener(other);
    await deliver(neighbour, [message(roomId, "other")]);
    expect(neighbour.receipts()).toEqual(["other"]);
    await deliver(sessions[1]!, [send("/pub/chat/read", { roomId, messageId: 1 }, "read")]);
    expect(sessions[1]!.receipts()).toContain("read");
    const stored = async (): Promise<string[]> =>
      (await history(roomId, user, addresses))
        .filter(({ senderId }) => senderId === user)
        .map(({ clientMessageId }) => clientMessageId);
    await until(async () => (await stored()).length >= 60, "what had a RECEIPT is stored");
    expect((await stored()).toSorted()).toEqual(taken.toSorted());

    await closeAll([...sessions, neighbour]);
  });

  test("600 reads pass, frames and calls together, also those that are refused for another reason", async () => {
    const [user, other] = newUsers(2) as [number, number];
    const [roomId, strange] = [await makeRoom([user], addresses), await makeRoom([other], addresses)];
    const sessions = await listeners(user, 2);
    const read = (room: number, id: string): string =>
      send("/pub/chat/read", { roomId: room, messageId: 1 }, id);
    await Promise.all([
      deliver(
        sessions[0]!,
        times(300, (index) => read(roomId, `r${index}`)),
      ),
      deliver(
        sessions[1]!,
        times(260, (index) => read(strange, `s${index}`)),
      ),
    ]);
    expect(sessions[0]!.receipts()).toHaveLength(300);
    expect(new Set(sessions[1]!.refusals().map(({ code }) => code))).toEqual(new Set(["NOT_A_MEMBER"]));
    const calls = await Promise.all(times(50, () => api("PATCH", `/rooms/${roomId}/read?messageId=1`, user)));
    const limited = calls.filter(({ status }) => status === 429);
    expect(calls.filter(({ status }) => status === 202)).toHaveLength(40);
    expect(limited).toHaveLength(10);
    for (const answer of limited) expect429(answer, 600, "reads");
    for (const session of sessions) {
      await deliver(session, [read(roomId, "more")]);
      expectLimited(session.refusals().at(-1), 600, "reads");
      expect(session.refusals().at(-1)!.roomId).toBe(roomId);
    }
    await closeAll(sessions);
  });

  test("SUBSCRIBEs pass up to their limit over the sessions of a user, and UNSUBSCRIBE is not counted with them", async () => {
    const [user, other] = newUsers(2) as [number, number];
    const roomId = await makeRoom([user, other], addresses);
    const subscribe = (id: string): string =>
      `SUBSCRIBE\nid:room\ndestination:/sub/chat/room/${roomId}\nreceipt:${id}\n\n\0`;
    const unsubscribe = (id: string): string => `UNSUBSCRIBE\nid:room\nreceipt:${id}\n\n\0`;
    const sessions = await listeners(user, 2);
    // Two have been for the queue.
    for (const session of sessions)
      await deliver(session, times(59, (index) => [subscribe(`s${index}`), unsubscribe(`u${index}`)]).flat());
    expect(refusalsOf(sessions)).toEqual([]);
    for (const session of sessions) {
      await deliver(session, [subscribe("more"), unsubscribe("still")]);
      expectLimited(session.refusals().at(-1), 120, "subscriptions");
      expect(session.receipts()).toContain("still");
    }
    const neighbour = await listener(other);
    await deliver(neighbour, [subscribe("other")]);
    expect(neighbour.receipts()).toEqual(["other"]);
    await closeAll([...sessions, neighbour]);
  });

  test("30 negotiations and renewed tokens pass together, bad tokens included", async () => {
    const [user, other] = newUsers(2) as [number, number];
    const one = await listener(user);
    const token = await tokenFor(user);
    const renewal = (id: string): string => send("/pub/session/token", { token }, id);
    await deliver(
      one,
      times(9, (index) => renewal(String(index))),
    );
    expect(one.receipts()).toHaveLength(9);
    // A bad token ends its connection, and counts.
    const bad = await openConnected(user, "1.2", undefined, "", addresses.webPubSub);
    bad.send(send("/pub/session/token", { token: "bad" }, "bad"));
    expect(await bad.next()).toContain('"code":"UNAUTHORIZED"');
    await bad.closed;
    const answers = await Promise.all(times(25, () => api("POST", "/negotiate", user)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
    const limited = answers.filter(({ status }) => status === 429);
    expect(limited).toHaveLength(5);
    for (const answer of limited) expect429(answer, 30, "negotiations and renewed tokens");
    await deliver(one, [renewal("more")]);
    expectLimited(one.refusals().at(-1), 30, "negotiations and renewed tokens");
    // Handshakes are not counted with them.
    await closeAll([one, await listener(user)]);
    expect((await api("POST", "/negotiate", other)).status).toBe(200);
  });

  test("of 80 changing calls at the same moment 60 pass, and every kind of them is refused then", async () => {
    const [user, other] = newUsers(2) as [number, number];
    const roomId = await makeRoom([user, other], addresses);
    const calls = await Promise.all(
      times(80, (index) =>
        index % 2 === 0
          ? api("PATCH", `/group-rooms/${roomId}`, user, { name: `name ${index}` })
          : api("POST", "/group-rooms", user, { roomName: "" }),
      ),
    );
    const limited = calls.filter(({ status }) => status === 429);
    // Making the room was the first one. Wrong calls count, too.
    expect(limited).toHaveLength(21);
    for (const answer of limited) expect429(answer, 60, "changing calls");
    expect(new Set(calls.map(({ status }) => status))).toEqual(new Set([200, 400, 429]));

    for (const [method, path, body] of [
      ["POST", "/rooms", { targetUserId: other }],
      ["DELETE", `/rooms/${roomId}`],
      ["DELETE", `/rooms/${roomId}/messages/1`],
      ["POST", "/group-rooms", { roomName: "room", userIds: [] }],
      ["PATCH", `/group-rooms/${roomId}`, { name: "name" }],
      ["POST", `/group-rooms/${roomId}/invite`, { userIds: [other] }],
      ["DELETE", `/group-rooms/${roomId}/members/${other}`],
      ["POST", "/sessions/logout"],
    ] as const)
      expect429(await api(method, path, user, body), 60, "changing calls");

    // What only looks is not counted with them; reads and negotiations have limits of their own, and others
    // have theirs.
    const looking = await Promise.all(
      [
        "/rooms",
        `/rooms/${roomId}/messages`,
        `/group-rooms/${roomId}/members`,
        "/health",
        "/openapi.json",
      ].flatMap((path) => times(20, () => api("GET", path, user))),
    );
    expect(new Set(looking.map(({ status }) => status))).toEqual(new Set([200]));
    expect((await api("PATCH", `/rooms/${roomId}/read?messageId=1`, user)).status).toBe(202);
    expect((await api("POST", "/negotiate", user)).status).toBe(200);
    expect((await api("PATCH", `/group-rooms/${roomId}`, other, { name: "other" })).status).toBe(200);
    const session = await listener(user);
    await deliver(session, [message(roomId, "sent")]);
    expect(session.receipts()).toEqual(["sent"]);
    await closeAll([session]);
  });

  test("calls without a good token don't count", async () => {
    const [user] = newUsers(1) as [number];
    const forged = await tokenFor(user, { secret: "x".repeat(40) });
    const refused = await Promise.all(
      times(70, () => call("POST", "/group-rooms", forged, { roomName: "room", userIds: [] }, addresses)),
    );
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([401]));
    expect((await api("POST", "/group-rooms", user, { roomName: "room", userIds: [] })).status).toBe(201);
  });
});

describe("whatever costs a call is in some limit:", UNLESS_LATE, () => {
  withLimits("0", {
    RATE_LIMIT_LOOKUPS_PER_MINUTE: "5",
    RATE_LIMIT_UNSUBSCRIBES_PER_MINUTE: "4",
    RATE_LIMIT_HANDSHAKES_PER_MINUTE: "6",
    RATE_LIMIT_EMPTY_MESSAGES_PER_MINUTE: "10",
    RATE_LIMIT_PIECES_PER_MINUTE: "8",
  });

  test("heart-beats that nobody asked for, over the sessions of a user", async () => {
    const [user] = newUsers(1) as [number];
    const sockets = await Promise.all(
      [1, 2].map(() => openConnected(user, "1.2", undefined, "", addresses.webPubSub)),
    );
    for (let beats = 0; beats < 2_000; beats += 1) sockets[beats % 2]!.send(beats % 3 === 0 ? "\r\n" : "\n");
    for (const socket of sockets) {
      await socket.closed;
      expect(socket.arrived.join("")).toMatch(
        /^ERROR\nmessage:RATE_LIMIT_EXCEEDED At most 10 WebSocket messages without a frame a minute/,
      );
    }
  });

  test("pieces of frames", async () => {
    const [user] = newUsers(1) as [number];
    const socket = await openConnected(user, "1.2", undefined, "", addresses.webPubSub);
    for (const letter of "SEND\ndestination") socket.send(letter);
    await socket.closed;
    expect(socket.arrived.join("")).toMatch(
      /^ERROR\nmessage:RATE_LIMIT_EXCEEDED At most 8 pieces of frames a minute/,
    );
  });

  test("UNSUBSCRIBE of ids that nobody has", async () => {
    const [user] = newUsers(1) as [number];
    const one = await listener(user);
    await deliver(
      one,
      times(6, (index) => `UNSUBSCRIBE\nid:none\nreceipt:u${index}\n\n\0`),
    );
    expect(one.receipts()).toEqual(["u0", "u1", "u2", "u3"]);
    for (const refusal of one.refusals()) expectLimited(refusal, 4, "unsubscriptions");
    await closeAll([one]);
  });

  test("handshakes", async () => {
    const [user, other] = newUsers(2) as [number, number];
    for (let times = 0; times < 3; times += 1) {
      await (await openConnected(user, "1.2", undefined, "", addresses.webPubSub)).close();
      // Those that are refused cost a call as well.
      await expect(open(user, ["mqtt"], "", undefined, addresses.webPubSub)).rejects.toThrow("400");
    }
    await expect(openConnected(user, "1.2", undefined, "", addresses.webPubSub)).rejects.toThrow("429");
    await (await openConnected(other, "1.2", undefined, "", addresses.webPubSub)).close();
  });

  test("calls that only look", async () => {
    const [user, other] = newUsers(2) as [number, number];
    const roomId = await makeRoom([user], addresses);
    const paths = ["/rooms", `/rooms/${roomId}/messages`, `/group-rooms/${roomId}/members`];
    const answers = await Promise.all(times(15, (index) => api("GET", paths[index % 3]!, user)));
    // Making the room may have looked, too.
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(5);
    for (const path of paths) expect429(await api("GET", path, user), 5, "reading calls");
    expect((await api("GET", "/rooms", other)).status).toBe(200);
    expect((await api("GET", "/health", user)).status).toBe(200);
  });
});

describe("with every limit 0", () => {
  withLimits("0");

  test("more than any of the usual limits passes, over more sessions than usual", async () => {
    const [user] = newUsers(1) as [number];
    const roomId = await makeRoom([user], addresses);
    const sessions = await listeners(user, 6);
    const token = await tokenFor(user);
    const frames = [
      times(70, (index) => message(roomId, `m${index}`)),
      times(305, (index) => send("/pub/chat/read", { roomId, messageId: 1 }, `r${index}`)),
      times(305, (index) => send("/pub/chat/read", { roomId, messageId: 1 }, `a${index}`)),
      times(130, (index) => `SUBSCRIBE\nid:e\ndestination:/user/queue/errors\nreceipt:s${index}\n\n\0`),
      times(40, (index) => send("/pub/session/token", { token }, `t${index}`)),
      ["UNSUBSCRIBE\nid:none\nreceipt:last\n\n\0"],
    ];
    await Promise.all(frames.map((own, index) => deliver(sessions[index]!, own)));
    expect(refusalsOf(sessions)).toEqual([]);
    expect(receiptsOf(sessions).toSorted()).toEqual(
      frames
        .flat()
        .map((frame) => /\nreceipt:(\w+)\n/.exec(frame)![1])
        .toSorted(),
    );
    const calls = await Promise.all([
      ...times(40, () => api("POST", "/negotiate", user)),
      ...times(70, (index) => api("PATCH", `/group-rooms/${roomId}`, user, { name: `name ${index}` })),
    ]);
    expect(new Set(calls.map(({ status }) => status))).toEqual(new Set([200]));
    expect(sessions.every(({ socket }) => socket.isOpen)).toBe(true);
    await closeAll(sessions);
  });
});
