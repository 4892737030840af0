import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeBroadcaster } from "../../tests/fakes/broadcaster.js";
import { commandDeps } from "../../tests/fakes/commandDeps.js";
import { FakeEventBus } from "../../tests/fakes/eventBus.js";
import { FakeSessionStore } from "../../tests/fakes/sessionStore.js";
import { type ConnectionState, decodeState, encodeState } from "../connections/connectionState.js";
import type { CommandDeps } from "./command.js";
import { handleMessage } from "./dispatch.js";

let now: number;
let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let sessions: FakeSessionStore;
let deps: CommandDeps;
let state: ConnectionState;
let events: number;
let connections = 0;
let connectionId: string;

/** A connection of its own, with nothing of those before. */
function reconnect(version?: "1.2"): void {
  connectionId = `conn-${++connections}`;
  state = {
    expiresAt: now / 1_000 + 3_600,
    order: 1,
    subscriptions: new Map(),
    ...(version ? { version } : {}),
  };
}

const begin = (): void => {
  now = 1_767_323_045_678;
  bus = new FakeEventBus({ "chat-messages": 1 });
  broadcaster = new FakeBroadcaster();
  sessions = new FakeSessionStore();
  events = 0;
  reconnect();
  deps = commandDeps({ redis: sessions, bus, broadcaster, now: () => now });
};

beforeEach(async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  begin();
  await sessions.putMembers(1, [7], "0");
});
afterEach(() => vi.restoreAllMocks());

/**
 * One WebSocket message, by whichever function instance comes next: the state goes over the wire. Returns all
 * that the client hears.
 */
async function receive(data: string | Uint8Array, eventId = String(++events)): Promise<string> {
  const connection = {
    connectionId,
    userId: 7,
    state: decodeState(JSON.parse(JSON.stringify(encodeState(state))))!,
  };
  const answer = await handleMessage({ data: Buffer.from(data), eventId }, connection, deps);
  state = answer.state;
  const before = broadcaster.sent.splice(0).map(({ text }) => text);
  return before.join("") + (answer.text ?? "");
}

const published = () =>
  bus.hubs.get("chat-messages")!.partitions[0]!.map(({ body }) => JSON.parse(Buffer.from(body).toString()));

const CONNECT = "CONNECT\naccept-version:1.2\n\n\0";
const send = (content: string, head = "", length = true): string => {
  const body = JSON.stringify({ roomId: 1, content });
  const sized = length ? `content-length:${Buffer.byteLength(body)}\n` : "";
  return `SEND\ndestination:/pub/chat/message\n${head}${sized}\n${body}\0`;
};

/** Cuts bytes at these places, which may be anywhere, also inside a character. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
}

test("however frames are cut, what is heard and published is what they give whole", async () => {
  const text =
    CONNECT +
    send("안녕 🙂", "receipt:a\n") +
    "\n\r\n" +
    send('with "} and \\u0000 {', "receipt:b\n", false) +
    "UNSUBSCRIBE\r\nid:none\r\nreceipt:c\r\n\r\n\r\n\0\n" +
    send("끝", "receipt:d\n");
  const bytes = Buffer.from(text);
  const wanted =
    /^CONNECTED\n[^\0]*\0RECEIPT\nreceipt-id:a\n\n\0RECEIPT\nreceipt-id:b\n\n\0RECEIPT\nreceipt-id:c\n\n\0RECEIPT\nreceipt-id:d\n\n\0$/;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 30 }), async (places) => {
      begin();
      await sessions.putMembers(1, [7], "0");
      let heard = "";
      for (const piece of cut(bytes, places)) heard += await receive(piece);
      expect(heard).toMatch(wanted);
      expect(published().map(({ content }) => content)).toEqual(["안녕 🙂", 'with "} and \\u0000 {', "끝"]);
      expect(state.unfinished).toBeUndefined();
    }),
    { numRuns: 300, seed: 11 },
  );
});

test("byte by byte it is the same", async () => {
  let heard = "";
  for (const byte of Buffer.from(CONNECT + send("a가", "receipt:a\n")))
    heard += await receive(Buffer.from([byte]));
  expect(heard).toMatch(/^CONNECTED\n[^\0]*\0RECEIPT\nreceipt-id:a\n\n\0$/);
  expect(published().map(({ content }) => content)).toEqual(["a가"]);
});

test("whole frames that change nothing leave the state as it is", async () => {
  await receive(CONNECT);
  const connection = { connectionId, userId: 7, state };
  const answer = await handleMessage({ data: Buffer.from(send("a")), eventId: "1" }, connection, deps);
  expect(published()).toHaveLength(1);
  expect(answer.state).toBe(state);
});

test("a body that can't become one of ours is not waited for", async () => {
  await receive(CONNECT);
  expect(await receive("SEND\ndestination:/pub/chat/message\nreceipt:r\n\nhello")).toMatch(
    /^ERROR\nreceipt-id:r\nmessage:MALFORMED_FRAME The frame's NUL is missing/,
  );
});

test("a hundred whole frames may stand behind the end of one", async () => {
  await receive(CONNECT);
  const frame = (id: number | string): string => `UNSUBSCRIBE\nid:none\nreceipt:${id}\n\n\0`;
  const first = frame("first");
  expect(await receive(first.slice(0, 12))).toBe("");
  const heard = await receive(first.slice(12) + Array.from({ length: 100 }, (_, id) => frame(id)).join(""));
  expect(heard.match(/RECEIPT/g)).toHaveLength(101);
});

test("frames without their NULs, as some sockets cut them off, are taken at once", async () => {
  expect(await receive(CONNECT.slice(0, -1))).toMatch(/^CONNECTED/);
  expect(await receive(send("a", "receipt:a\n").slice(0, -1))).toBe("RECEIPT\nreceipt-id:a\n\n\0");
  expect(await receive(send("b", "receipt:b\n", false).slice(0, -1))).toBe("RECEIPT\nreceipt-id:b\n\n\0");
  expect(await receive("UNSUBSCRIBE\nid:1\nreceipt:c\n\n")).toBe("RECEIPT\nreceipt-id:c\n\n\0");
  expect(await receive("\0")).toBe("");
  expect(await receive(send("d", "receipt:d\n", false).slice(0, -1))).toBe("RECEIPT\nreceipt-id:d\n\n\0");
  expect(await receive(" \t\n\0\n")).toBe("");
  expect(await receive("\n\0")).toMatch(/^ERROR\n/);
});

describe("a frame in pieces", () => {
  beforeEach(() => receive(CONNECT));

  test("is of the largest size there may be, and no larger", async () => {
    const body = JSON.stringify({ roomId: 1, content: "a", more: "" });
    const large = (bytes: number, length: boolean): Buffer => {
      const filled = body.replace('"more":""', `"more":"${"x".repeat(bytes - body.length)}"`);
      const sized = length ? `content-length:${bytes}\n` : "";
      return Buffer.from(`SEND\ndestination:/pub/chat/message\nreceipt:r\n${sized}\n${filled}\0`);
    };
    for (const length of [true, false]) {
      let heard = "";
      const bytes = large(65_536, length);
      for (let at = 0; at < bytes.length; at += 4_096) heard += await receive(bytes.subarray(at, at + 4_096));
      expect(heard).toBe("RECEIPT\nreceipt-id:r\n\n\0");
      await receive("\n");
      heard = "";
      const larger = large(65_537, length);
      for (let at = 0; at < larger.length && heard === ""; at += 4_096)
        heard = await receive(larger.subarray(at, at + 4_096));
      expect(heard).toMatch(/^ERROR\n(receipt-id:r\n)?message:MESSAGE_TOO_LARGE/);
      reconnect("1.2");
    }
  });

  test("that never ends is refused once it is too large, whatever it is made of", async () => {
    for (const piece of ["x".repeat(5_000), `${"x".repeat(4_999)}}`]) {
      let heard = await receive(`SEND\ndestination:/pub/chat/message\n\n{`);
      let pieces = 0;
      for (; heard === "" && pieces < 100; pieces += 1) heard = await receive(piece);
      expect(heard).toMatch(/^ERROR\nmessage:MESSAGE_TOO_LARGE/);
      expect(pieces).toBeLessThan(16);
      reconnect("1.2");
    }
    let heard = await receive("SE");
    for (let pieces = 0; heard === "" && pieces < 100; pieces += 1) heard = await receive("N".repeat(40));
    expect(heard).toBe("");
    for (let pieces = 0; heard === "" && pieces < 100; pieces += 1) heard = await receive("N".repeat(4_000));
    expect(heard).toMatch(/^ERROR\n/);
  });

  test("is not waited for longer than half a minute", async () => {
    const [first, rest] = [send("a", "receipt:a\n").slice(0, 20), send("a", "receipt:a\n").slice(20)];
    expect(await receive(first)).toBe("");
    now += 30_000;
    expect(await receive(rest)).toBe("RECEIPT\nreceipt-id:a\n\n\0");
    expect(await receive(first)).toBe("");
    now += 30_001;
    expect(await receive(rest)).toMatch(/^ERROR\nmessage:MALFORMED_FRAME A frame did not come to its end/);
    expect(broadcaster.closed).toEqual([connectionId]);
  });

  test("whose piece the service delivers twice is the same frame", async () => {
    const pieces = cut(Buffer.from(send("가나다", "receipt:a\n")), [10, 60, 61, 75]);
    let heard = "";
    for (const [index, piece] of pieces.entries()) {
      const before = state;
      await receive(piece, `twice-${index}`);
      state = before;
      heard = await receive(piece, `twice-${index}`);
    }
    expect(heard).toBe("RECEIPT\nreceipt-id:a\n\n\0");
    expect(published().map(({ content }) => content)).toEqual(["가나다", "가나다"]);
    expect(new Set(published().map(({ eventId }) => eventId)).size).toBe(1);
  });

  test("that ends where the next one begins is the same when the service delivers that message twice", async () => {
    const [first, second] = [send("first", "receipt:a\n"), send("the second one", "receipt:b\n")];
    await receive(first.slice(0, 60));
    now += 5;
    const before = state;
    const message = first.slice(60) + second.slice(0, 70);
    expect(await receive(message, "twice")).toBe("RECEIPT\nreceipt-id:a\n\n\0");
    state = before;
    now += 5;
    expect(await receive(message, "twice")).toBe("RECEIPT\nreceipt-id:a\n\n\0");
    expect(await receive(second.slice(70))).toBe("RECEIPT\nreceipt-id:b\n\n\0");
    expect(published().map(({ content }) => content)).toEqual(["first", "first", "the second one"]);
  });

  test("can't be put together while the store is away: that is said, and nothing is taken", async () => {
    sessions.away = true;
    expect(await receive(send("a").slice(0, 30))).toMatch(/^ERROR\nmessage:UNAVAILABLE/);
    sessions.away = false;
    reconnect("1.2");
    await receive(send("a").slice(0, 30));
    sessions.away = true;
    expect(await receive(send("a").slice(30))).toMatch(/^ERROR\nmessage:UNAVAILABLE/);
    // Whole frames need no store.
    reconnect("1.2");
    sessions.isMember = async () => true;
    expect(await receive(send("b", "receipt:b\n"))).toBe("RECEIPT\nreceipt-id:b\n\n\0");
    expect(published().map(({ content }) => content)).toEqual(["b"]);
  });

  test("behind a message that could not be taken is not taken either", async () => {
    state = { ...state, subscriptions: new Map([["e", "e7"]]) };
    bus.away = true;
    const second = send("second", "receipt:2\n");
    expect(await receive(send("first", "receipt:1\n") + second.slice(0, 40))).toMatch(
      /receipt-id:1\n[^\0]*UNAVAILABLE/,
    );
    bus.away = false;
    expect(await receive(second.slice(40))).toMatch(/receipt-id:2\n[^\0]*UNAVAILABLE/);
    expect(published()).toEqual([]);
    expect(await receive(second)).toBe("RECEIPT\nreceipt-id:2\n\n\0");
  });

  test("whose content-length is off by one is told so at once, not waited for", async () => {
    const frame = send("a가");
    const said = Number(/content-length:(\d+)/.exec(frame)![1]);
    for (const wrong of [said - 1, said + 1, said + 2]) {
      reconnect("1.2");
      expect(await receive(frame.replace(/content-length:\d+/, `content-length:${wrong}`))).toMatch(
        new RegExp(
          `^ERROR\\nmessage:MALFORMED_FRAME content-length says ${wrong} bytes, but the body's NUL comes after ${said} `,
        ),
      );
    }
  });
});

describe("messages without a whole frame are limited", () => {
  beforeEach(async () => {
    await receive(CONNECT);
    deps = { ...deps, limits: { ...deps.limits, heartBeats: 3, pieces: 4 } };
  });

  test("heart-beats", async () => {
    for (let beats = 0; beats < 3; beats += 1) expect(await receive("\n")).toBe("");
    expect(await receive("\n")).toMatch(/^ERROR\nmessage:RATE_LIMIT_EXCEEDED/);
    expect(broadcaster.closed).toEqual([connectionId]);
  });

  test("pieces", async () => {
    const [...bytes] = Buffer.from(send("a"));
    let heard = "";
    for (let at = 0; at < 4; at += 1) heard += await receive(Buffer.from([bytes[at]!]));
    expect(heard).toBe("");
    expect(await receive(Buffer.from([bytes[4]!]))).toMatch(/^ERROR\nmessage:RATE_LIMIT_EXCEEDED/);
  });
});
