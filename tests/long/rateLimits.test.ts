import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startStack } from "../../local/stack.js";
import { call, type HttpAnswer, history, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";
import { countingAt, type OtlpReceiver, startOtlpReceiver } from "../support/otlpReceiver.js";
import { open, openConnected, type RawSocket } from "../support/rawSocket.js";
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

let addresses: Addresses;
let receiver: OtlpReceiver;
unlessLimitsAreOpen(() => receiver.url, 55_000);

/** A stack of its own for the tests of a block, with every limit set to the same text but for some. */
function withLimits(text: string, others: Readonly<Record<string, string>> = {}): void {
  let data: string;
  let stack: Awaited<ReturnType<typeof startStack>>;
  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), "nonstop-limits-"));
    receiver = await startOtlpReceiver();
    const limits = { ...Object.fromEntries(NAMES.map((name) => [name, text])), ...others };
    const env = { ...limits, ...countingAt(receiver.url) };
    stack = await startStack({ data, ports: "auto", quiet: true, env });
    addresses = stack.addresses as unknown as Addresses;
  });
  afterAll(async () => {
    await stack.close();
    await receiver.close();
    rmSync(data, { recursive: true, force: true });
  });
}

const api = (method: string, path: string, caller: number, body?: unknown): Promise<HttpAnswer> =>
  call(method, path, caller, body, addresses);

const times = <T>(count: number, one: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => one(index));

const send = (destination: string, body: object, receipt: string): string =>
  `SEND\ndestination:${destination}\nreceipt:${receipt}\n\n${JSON.stringify(body)}\0`;

const message = (roomId: number, id: string): string =>
  send("/pub/chat/message", { roomId, content: id, clientMessageId: id }, id);

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly retryAfter: number;
  readonly roomId?: number;
  readonly clientMessageId?: string;
}

/** A connection that listens on `/user/queue/errors`, and what it has heard so far. */
interface Listener {
  readonly socket: RawSocket;
  receipts(): string[];
  refusals(): Refusal[];
}

async function listener(user: number): Promise<Listener> {
  const socket = await openConnected(user, "1.2", undefined, "", addresses.webPubSub);
  socket.send("SUBSCRIBE\nid:e\ndestination:/user/queue/errors\nreceipt:e\n\n\0");
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:e\n\n\0");
  const text = (): string => socket.arrived.join("");
  return {
    socket,
    receipts: () => [...text().matchAll(/RECEIPT\nreceipt-id:([^\n]+)\n\n\0/g)].map(([, id]) => id!),
    refusals: () =>
      [...text().matchAll(/MESSAGE\nsubscription:e\n[^\0]*\n\n([^\0]+)\0/g)].map(([, body]) =>
        JSON.parse(body!),
      ),
  };
}

const listeners = async (user: number, count: number): Promise<Listener[]> => {
  const opened = [];
  for (let index = 0; index < count; index += 1) opened.push(await listener(user));
  return opened;
};

const receiptsOf = (all: readonly Listener[]): string[] => all.flatMap((one) => one.receipts());
const refusalsOf = (all: readonly Listener[]): Refusal[] => all.flatMap((one) => one.refusals());

const answered = (all: readonly Listener[], count: number): Promise<void> =>
  until(() => receiptsOf(all).length + refusalsOf(all).length >= count, `${count} frames are answered`);

/** Sends frames in WebSocket messages of at most twenty and waits until all of them are answered. */
async function deliver(one: Listener, frames: readonly string[]): Promise<void> {
  const before = one.receipts().length + one.refusals().length;
  for (let first = 0; first < frames.length; first += 20)
    one.socket.send(frames.slice(first, first + 20).join(""));
  await answered([one], before + frames.length);
}

const closeAll = async (all: readonly Listener[]): Promise<void> => {
  for (const { socket } of all) await socket.close();
};

/** The refusal of one more frame of a kind. */
function expectLimited(refusal: Refusal | undefined, limit: number, what: string): void {
  const { retryAfter } = refusal ?? { retryAfter: 0 };
  expect(refusal).toMatchObject({
    type: "ERROR",
    code: "RATE_LIMIT_EXCEEDED",
    message: `At most ${limit} ${what} a minute; try again in ${retryAfter} s.`,
  });
  expect(Number.isInteger(retryAfter)).toBe(true);
  expect(retryAfter).toBeGreaterThanOrEqual(1);
  expect(retryAfter).toBeLessThanOrEqual(61);
}

/** The same of one more call. */
function expect429({ status, headers, body }: HttpAnswer, limit: number, what: string): void {
  expect(body).toEqual({
    type: "about:blank",
    title: "RATE_LIMIT_EXCEEDED",
    status: 429,
    detail: `At most ${limit} ${what} a minute; try again in ${body.retryAfter} s.`,
    code: "RATE_LIMIT_EXCEEDED",
    retryAfter: body.retryAfter,
  });
  expect(status).toBe(429);
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect(headers.get("retry-after")).toBe(String(body.retryAfter));
  expect(body.retryAfter).toBeGreaterThanOrEqual(1);
  expect(body.retryAfter).toBeLessThanOrEqual(61);
}

describe("with the usual limits", UNLESS_LATE, () => {
  // An empty setting is a missing one.
  // Their number of SUBSCRIBEs would take a test too long.
  withLimits("", { RATE_LIMIT_SUBSCRIBES_PER_MINUTE: "120" });

  test("of 200 messages of a user over three sessions 60 pass, and after retryAfter the next one", async () => {
    const [user, other] = newUsers(2) as [number, number];
    const roomId = await makeRoom([user, other], addresses);
    const sessions = await listeners(user, 3);
    const firstSent = Date.now();
    await deliver(sessions[0]!, [message(roomId, "0")]);
    const firstTaken = Date.now();
    // So that the first message leaves the window long before the others do.
    await pause(10_000);

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

    // The refused ones have not counted: one more passes when the first message has left the window.
    await pause(1_000 * refused.at(-1)!.retryAfter);
    const last = sessions[2]!;
    await deliver(last, [message(roomId, "in time")]);
    expect(last.receipts()).toContain("in time");
    // And one only, as long as the others have not left it.
    await deliver(last, [message(roomId, "too many")]);
    if (Date.now() - burst < 60_000) expectLimited(last.refusals().at(-1), 60, "messages");
    await until(async () => (await stored()).includes("in time"), "it is stored");
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

    // What only looks is not counted with them; reads and negotiations have limits of their own, and others have theirs.
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
