import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeBroadcaster } from "../../tests/fakes/broadcaster.js";
import { commandDeps } from "../../tests/fakes/commandDeps.js";
import { FakeEventBus } from "../../tests/fakes/eventBus.js";
import { FakeSessionStore } from "../../tests/fakes/sessionStore.js";
import type { Connection } from "../connections/connection.js";
import type { ConnectionState } from "../connections/connectionState.js";
import { parseMessageSent } from "../events/messages.js";
import { parseRoomRead } from "../events/reads.js";
import { ChatError } from "../platform/errors.js";
import { portsOf } from "../redis/ports.js";
import type { CommandDeps } from "./command.js";
import { handleMessage } from "./dispatch.js";

const HUB = "chat-messages";
const READS = "chat-read-events";
const NOW = Date.parse("2026-01-02T03:04:05.678Z");

let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let deps: CommandDeps;
/** What the broadcaster was told, in order. */
let told: string[];

beforeEach(async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  bus = new FakeEventBus({ [HUB]: 1, [READS]: 1 });
  broadcaster = new FakeBroadcaster();
  const redis = new FakeSessionStore();
  await redis.putMembers(1, [7, 8], "0");
  told = [];
  const { sendToConnection, closeConnection } = FakeBroadcaster.prototype;
  broadcaster.sendToConnection = async (id, text) => {
    told.push(`send ${id} ${text.split("\n")[0]}`);
    await new Promise((resolve) => setImmediate(resolve));
    await sendToConnection.call(broadcaster, id, text);
    told.push("sent");
  };
  broadcaster.closeConnection = async (id) => {
    told.push(`close ${id}`);
    await closeConnection.call(broadcaster, id);
  };
  deps = commandDeps({
    redis,
    bus,
    broadcaster,
    now: () => NOW,
    verifyToken: async (token) => {
      if (token === "away") throw new ChatError("UNAVAILABLE", "no keys");
      if (!/^\d+$/.test(token)) throw new ChatError("UNAUTHORIZED", "The token is not valid.");
      return { userId: Number(token), expiresAt: NOW / 1_000 + 999 };
    },
  });
});

afterEach(() => vi.restoreAllMocks());

const connectedState: ConnectionState = {
  version: "1.2",
  nickname: "Ann",
  expiresAt: NOW / 1_000 + 60,
  // Counted before; else its first frame would have it counted.
  order: 1,
  subscriptions: new Map(),
};
const listening = new Map([["errors\\c1", "e7"]]);

const connectionIn = (state: Partial<ConnectionState> = {}): Connection => ({
  connectionId: "conn-1",
  userId: 7,
  state: { ...connectedState, ...state },
});
const fresh: Connection = {
  connectionId: "conn-1",
  userId: 7,
  state: { expiresAt: NOW / 1_000 + 60, order: 1, subscriptions: new Map() },
};

const handle = (
  data: string | Uint8Array,
  connection = connectionIn(),
  eventId = "12",
  traceparent?: string,
) =>
  handleMessage(
    { data: Buffer.from(data), eventId, ...(traceparent === undefined ? {} : { traceparent }) },
    connection,
    deps,
  );

const sendFrame = (payload: unknown, headers = ""): string => {
  const body = typeof payload === "string" ? payload : JSON.stringify(payload);
  return `SEND\ndestination:/pub/chat/message\n${headers}\n${body}\0`;
};
/** The events of a hub, each as it stands there. Storing must be able to read it. */
const published = (hub = HUB) =>
  bus.hubs.get(hub)!.partitions[0]!.map(({ body }) => {
    const parsed = hub === HUB ? parseMessageSent(body) : parseRoomRead(body);
    const event = JSON.parse(Buffer.from(body).toString());
    expect(parsed).toEqual(event);
    return event;
  });
const framesOf = (text = ""): string[] => text.split("\0").slice(0, -1);
const bodyOf = (frame = ""): Record<string, unknown> => JSON.parse(frame.slice(frame.indexOf("\n\n") + 2));
/** All frames of an answer: those that went before it by REST, too. */
const heard = (answer: { readonly text?: string }): string[] =>
  framesOf(
    broadcaster.sent
      .splice(0)
      .map(({ text }) => text)
      .join("") + (answer.text ?? ""),
  );
/** The one ERROR frame that was sent before the connection was closed. */
const errorSent = (): string => framesOf(broadcaster.sent.map(({ text }) => text).join("")).at(-1)!;

describe("CONNECT", () => {
  test.each([
    ["1.2", "accept-version:1.0,1.1,1.2\n"],
    ["1.1", "accept-version:1.1,1.0\n"],
    ["1.0", ""],
    ["1.2", "accept-version: 3.0 , 1.2\n"],
  ])("agrees on %s for %j", async (version, header) => {
    const answer = await handle(`CONNECT\n${header}host:chat\n\n\0`, fresh);
    expect(answer.text).toBe(
      `CONNECTED\nversion:${version}\nserver:nonstop-chat/1\nsession:conn-1\nuser-name:7\nheart-beat:0,0\n\n\0`,
    );
    expect(answer.state).toEqual({ ...fresh.state, version });
  });

  test("without a common version gets an ERROR that lists ours, and is closed", async () => {
    await handle("CONNECT\naccept-version:2.0\n\n\0", fresh);
    expect(errorSent()).toContain("\nversion:1.0,1.1,1.2\n");
    expect(broadcaster.closed).toEqual(["conn-1"]);
  });

  test("asks for heart-beats where it says that it wants them", async () => {
    const heartBeat = async (header: string, version = "1.2"): Promise<string | undefined> => {
      const answer = await handle(`CONNECT\naccept-version:${version}\n${header}\n\0`, fresh);
      return /\nheart-beat:(.*)\n/.exec(answer.text ?? "")?.[1];
    };
    for (const header of [
      "",
      "heart-beat:0,0\n",
      "heart-beat:5000,0\n",
      "heart-beat:x,1\n",
      "heart-beat:1\n",
    ])
      expect(await heartBeat(header)).toBe("0,0");
    // 1.0 knows none.
    expect(await heartBeat("heart-beat:1,1\n", "1.0")).toBe("0,0");
    expect(broadcaster.groups.size).toBe(0);
    expect(await heartBeat("heart-beat:5000,10000\n")).toBe("60000,0");
    expect([...broadcaster.groups.get("heart-beats")!]).toEqual(["conn-1"]);
    broadcaster.away = true;
    expect(await heartBeat("heart-beat:0,10000\n")).toBe("0,0");
    broadcaster.away = false;
    deps = { ...deps, heartBeats: false };
    expect(await heartBeat("heart-beat:0,10000\n")).toBe("0,0");
  });

  test("comes once", async () => {
    await handle("CONNECT\naccept-version:1.2\n\n\0");
    expect(bodyOf(errorSent())).toMatchObject({ code: "MALFORMED_FRAME" });
  });

  test("decides how the frames behind it in the same message are read", async () => {
    const text = `CONNECT\naccept-version:1.1\n\n\0${sendFrame({ roomId: 1, content: "a" }, "receipt:a\\cb\n")}`;
    const answer = await handle(text, fresh);
    expect(heard(answer).map((frame) => frame.split("\n")[0])).toEqual(["CONNECTED", "RECEIPT"]);
    // 1.1 has no escape for it.
    await handle("CONNECT\naccept-version:1.1\n\n\0SEND\ndestination:a\\r\n\n{}\0", fresh);
    expect(bodyOf(errorSent())).toMatchObject({
      code: "MALFORMED_FRAME",
      message: expect.stringContaining("no escape of STOMP 1.1"),
    });
  });

  test.each(["SEND\ndestination:/pub/chat/message\n\n{}\0", "DISCONNECT\n\n\0", "SUBSCRIBE\nid:1\n\n\0"])(
    "must come before %j",
    async (frame) => {
      await handle(frame, fresh);
      expect(bodyOf(errorSent())).toMatchObject({
        code: "MALFORMED_FRAME",
        message: "The first frame must be CONNECT or STOMP.",
      });
      expect(broadcaster.closed).toEqual(["conn-1"]);
    },
  );
});

describe("a message of several frames", () => {
  const three = ["a", "b", "c"]
    .map((content) => sendFrame({ roomId: 1, content }, `receipt:${content}\n`))
    .join("\n\r\n");
  const receipts = ["a", "b", "c"].map((id) => `RECEIPT\nreceipt-id:${id}\n\n\0`);

  test("is handled one after the other and answered one frame a message, the last one with the answer", async () => {
    const answer = await handle(three);
    expect(published().map(({ content }) => content)).toEqual(["a", "b", "c"]);
    expect(broadcaster.sent).toEqual(receipts.slice(0, 2).map((text) => ({ to: "conn-1", text })));
    expect(told).toEqual(["send conn-1 RECEIPT", "sent", "send conn-1 RECEIPT", "sent"]);
    expect(answer.text).toBe(receipts[2]);
  });

  test("is answered together where the client takes several frames a message", async () => {
    const answer = await handle(three, connectionIn({ subscriptions: new Map([["1", "r1p"]]) }));
    expect(answer.text).toBe(receipts.join(""));
    expect(told).toEqual([]);
  });

  test("is answered together also where the service can't be reached by REST", async () => {
    broadcaster.away = true;
    expect((await handle(three)).text).toBe(receipts.join(""));
  });

  test("of heart-beats only is answered with nothing", async () => {
    expect(await handle("\n\r\n\n")).toEqual({ state: connectedState });
    expect(await handle("")).toEqual({ state: connectedState });
  });

  test("ends at the first ERROR: what stands behind it is not looked at", async () => {
    const good = sendFrame({ roomId: 1, content: "a" }, "receipt:1\n");
    await handle(`${good}ACK\nid:1\n\n\0${good}`);
    expect(published()).toHaveLength(1);
    expect(broadcaster.sent.map(({ text }) => text.split("\n")[0])).toEqual(["RECEIPT", "ERROR"]);
  });

  test("goes on after a refusal that concerns one of them only", async () => {
    const data = [
      sendFrame({ roomId: 1, content: "a" }),
      sendFrame({ roomId: 1, content: " " }, "receipt:2\n"),
      sendFrame({ roomId: 1, content: "c" }, "receipt:3\n"),
    ].join("");
    const answer = await handle(data, connectionIn({ subscriptions: listening }));
    expect(published().map(({ content }) => content)).toEqual(["a", "c"]);
    const [refusal, receipt] = heard(answer);
    expect(bodyOf(refusal)).toMatchObject({ code: "INVALID_MESSAGE", roomId: 1 });
    expect(receipt).toBe("RECEIPT\nreceipt-id:3\n\n");
  });

  test("has the frames before a malformed one carried out first", async () => {
    const good = sendFrame({ roomId: 1, content: "a" }, "receipt:1\n");
    await handle(`${good}SEND\nno colon\n\n\0`);
    expect(published()).toHaveLength(1);
    const [receipt, error] = heard({});
    expect(receipt).toBe("RECEIPT\nreceipt-id:1\n\n");
    expect(bodyOf(error)).toMatchObject({ code: "MALFORMED_FRAME" });
    expect(broadcaster.closed).toEqual(["conn-1"]);
  });

  test("has them carried out also before bytes that are no UTF-8", async () => {
    const good = Buffer.from(sendFrame({ roomId: 1, content: "a" }));
    await handle(Buffer.concat([good, Buffer.from("SEND\n\n"), Buffer.from([0xff, 0x00])]));
    expect(published()).toHaveLength(1);
    expect(bodyOf(errorSent())).toMatchObject({ code: "MALFORMED_FRAME" });
  });

  test("does not reach a malformed one behind DISCONNECT", async () => {
    await handle("DISCONNECT\nreceipt:bye\n\n\0nonsense");
    expect(framesOf(broadcaster.sent[0]?.text)).toEqual(["RECEIPT\nreceipt-id:bye\n\n"]);
  });
});

describe("an ERROR", () => {
  test("is sent by REST, then the connection is closed by REST, then the event is answered", async () => {
    const answer = await handle("ACK\nid:1\n\n\0");
    told.push("answered");
    expect(told).toEqual(["send conn-1 ERROR", "sent", "close conn-1", "answered"]);
    expect(answer).toEqual({ state: connectedState });
  });

  test.each<[string, string, string]>([
    ["NOT_SUPPORTED", "ACK", "ACK\nid:1\n\n\0"],
    ["NOT_SUPPORTED", "NACK", "NACK\nid:1\n\n\0"],
    ["NOT_SUPPORTED", "BEGIN", "BEGIN\ntransaction:1\n\n\0"],
    ["NOT_SUPPORTED", "COMMIT", "COMMIT\ntransaction:1\n\n\0"],
    ["NOT_SUPPORTED", "ABORT", "ABORT\ntransaction:1\n\n\0"],
    ["NOT_SUPPORTED", "a transaction", "SEND\ndestination:/pub/chat/message\ntransaction:1\n\n{}\0"],
    ["NOT_SUPPORTED", "ack:client", "SUBSCRIBE\nid:1\ndestination:/sub/chat/room/1\nack:client\n\n\0"],
    ["MALFORMED_FRAME", "a server's command", "MESSAGE\n\n\0"],
    ["MALFORMED_FRAME", "a command nobody knows", "CONSTRUCTOR\n\n\0"],
    ["MALFORMED_FRAME", "SEND without a destination", "SEND\n\n{}\0"],
    ["MALFORMED_FRAME", "SUBSCRIBE without a destination", "SUBSCRIBE\nid:1\n\n\0"],
    ["MALFORMED_FRAME", "SUBSCRIBE without an id", "SUBSCRIBE\ndestination:/sub/chat/room/1\n\n\0"],
    [
      "MALFORMED_FRAME",
      "an id of 257 bytes",
      `SUBSCRIBE\nid:${"i".repeat(257)}\ndestination:/sub/chat/room/1\n\n\0`,
    ],
    ["MALFORMED_FRAME", "last-seq:-1", "SUBSCRIBE\nid:1\ndestination:/sub/chat/room/1\nlast-seq:-1\n\n\0"],
    ["MALFORMED_FRAME", "UNSUBSCRIBE without an id", "UNSUBSCRIBE\n\n\0"],
    ["MALFORMED_FRAME", "what is no command", "nonsense\n\n\0"],
    ["UNKNOWN_DESTINATION", "SEND elsewhere", "SEND\ndestination:/pub/chat/other\n\n{}\0"],
    ["UNKNOWN_DESTINATION", "SEND to a name every object has", "SEND\ndestination:constructor\n\n{}\0"],
    ["UNKNOWN_DESTINATION", "SUBSCRIBE elsewhere", "SUBSCRIBE\nid:1\ndestination:/sub/chat/room/x\n\n\0"],
    ["MESSAGE_TOO_LARGE", "a body over 64 KiB", sendFrame("a".repeat(65_537))],
    ["UNAUTHORIZED", "a new token that is false", 'SEND\ndestination:/pub/session/token\n\n{"token":"x"}\0'],
    ["UNAUTHORIZED", "another user's new token", 'SEND\ndestination:/pub/session/token\n\n{"token":"8"}\0'],
    ["UNAUTHORIZED", "a new token that is none", "SEND\ndestination:/pub/session/token\n\nnull\0"],
  ])(
    "%s closes the connection after %s, also of a client that listens for errors",
    async (code, _what, data) => {
      await handle(data, connectionIn({ subscriptions: listening }));
      expect(broadcaster.closed).toEqual(["conn-1"]);
      expect(errorSent().startsWith("ERROR\n")).toBe(true);
      expect(bodyOf(errorSent())).toMatchObject({ type: "ERROR", code });
      expect(errorSent()).toContain(`\nmessage:${code} `);
      expect(published()).toEqual([]);
    },
  );

  test("bears the receipt's id of its frame, of a malformed one too", async () => {
    await handle("ACK\nid:1\nreceipt:r\\c1\n\n\0");
    expect(errorSent()).toContain("ERROR\nreceipt-id:r\\c1\n");
    await handle(sendFrame("a".repeat(65_537), "receipt:big\n"));
    expect(errorSent()).toContain("ERROR\nreceipt-id:big\n");
  });

  test.each(["1.0", "1.1", "1.2"] as const)("quotes nothing that breaks a header of %s", async (version) => {
    const destination = version === "1.0" ? "a:b\\n" : "a\\cb\\\\\\n";
    await handle(`SEND\ndestination:${destination}\n\n{}\0`, connectionIn({ version }));
    expect(errorSent()).toMatch(/\nmessage:UNKNOWN_DESTINATION Nothing can be sent to a b[^:\\\n]*\n/);
  });

  test("goes with the answer where the service can't be reached by REST", async () => {
    broadcaster.away = true;
    const answer = await handle("ACK\nid:1\n\n\0");
    expect(bodyOf(framesOf(answer.text)[0])).toMatchObject({ code: "NOT_SUPPORTED" });
  });

  test("is not sent twice where only the close fails", async () => {
    broadcaster.closeConnection = async () => {
      throw new ChatError("UNAVAILABLE", "away");
    };
    const answer = await handle("ACK\nid:1\n\n\0");
    expect(broadcaster.sent).toHaveLength(1);
    expect(answer).toEqual({ state: connectedState, drop: true });
  });

  test("meets a client whose token has ended, whatever it sends", async () => {
    const ended = connectionIn({ expiresAt: NOW / 1_000, subscriptions: listening });
    for (const frame of ["DISCONNECT\n\n\0", sendFrame({ roomId: 1, content: "a" })]) {
      await handle(frame, ended);
      expect(bodyOf(errorSent())).toMatchObject({ code: "TOKEN_EXPIRED" });
    }
    expect(broadcaster.closed).toHaveLength(2);
    expect(published()).toEqual([]);
  });
});

test("behind a message that could not be taken none is, so that all are sent again in their order", async () => {
  bus.away = true;
  const frames = [1, 2].map((number) => sendFrame({ roomId: 1, content: "a", clientMessageId: number }));
  const answer = await handle(frames.join(""), connectionIn({ ...connectedState, subscriptions: listening }));
  bus.away = false;
  expect(heard(answer).map(bodyOf)).toMatchObject([
    { code: "UNAVAILABLE", roomId: 1, clientMessageId: 1 },
    { code: "UNAVAILABLE", roomId: 1, clientMessageId: 2 },
  ]);
});

describe("a message that is sent", () => {
  test("is published as its connection's user, with its trace, before its RECEIPT", async () => {
    const data = sendFrame(
      { roomId: 1, content: "hello", clientMessageId: "a", senderId: 99, senderNickname: "Eve" },
      "receipt:1\n",
    );
    const answer = await handle(data, connectionIn(), "12", "00-aa-bb-01");
    expect(answer.text).toBe("RECEIPT\nreceipt-id:1\n\n\0");
    expect(published()).toEqual([
      {
        v: 1,
        eventId: expect.stringMatching(/^[\w-]{43}$/),
        roomId: 1,
        senderId: 7,
        senderNickname: "Ann",
        clientMessageId: "a",
        type: "TEXT",
        content: "hello",
        sentAt: "2026-01-02T03:04:05.678Z",
      },
    ]);
    expect(bus.hubs.get(HUB)!.partitions[0]![0]!.key).toBe("1");
    expect(bus.traces).toEqual(["00-aa-bb-01"]);
  });

  test("without a receipt is answered with nothing", async () => {
    expect(await handle(sendFrame({ roomId: 1, content: "a" }))).toEqual({ state: connectedState });
  });

  test("has the same eventId when the service repeats the event, and another one for every other frame", async () => {
    const frame = sendFrame({ roomId: 1, content: "a" });
    await handle(frame + frame);
    await handle(frame + frame);
    await handle(frame, connectionIn(), "13");
    await handle(frame, { ...connectionIn(), connectionId: "conn-2" });
    const [first, second, firstAgain, secondAgain, ...others] = published().map(({ eventId }) => eventId);
    expect([firstAgain, secondAgain]).toEqual([first, second]);
    expect(new Set([first, second, ...others]).size).toBe(4);
  });

  test.each(["1", "a b", "a\\cb\\\\", "비👩‍🚀", " spaces ", "{}", "a".repeat(500)])(
    "gets its receipt id back byte for byte: %j",
    async (id) => {
      const answer = await handle(sendFrame({ roomId: 1, content: "a" }, `receipt:${id}\n`));
      expect(answer.text).toBe(`RECEIPT\nreceipt-id:${id}\n\n\0`);
    },
  );

  test.each(["1.0", "1.1"] as const)("gets it back so in %s, too", async (version) => {
    const data = sendFrame({ roomId: 1, content: "a" }, "receipt:a\\c\\\\\n");
    const answer = await handle(data, connectionIn({ version }));
    expect(answer.text).toBe("RECEIPT\nreceipt-id:a\\c\\\\\n\n\0");
  });

  test.each(["1.0", "1.1", "1.2"] as const)(
    "is refused in %s with its receipt's id as it stood on the wire, and without one where it had none",
    async (version) => {
      const connection = connectionIn({ version, subscriptions: listening });
      const answer = await handle(sendFrame("x", "receipt:r\\c1 가\n") + sendFrame("x"), connection);
      const withoutMessageId = heard(answer).map((frame) =>
        frame.replace(/\nmessage-id:error-[\w-]{43}\n/, "\nmessage-id:…\n"),
      );
      const rest =
        "destination:/user/queue/errors\nmessage-id:…\ncontent-type:application/json\ncontent-length:75\n\n" +
        '{"type":"ERROR","code":"INVALID_MESSAGE","message":"The body is not JSON."}';
      expect(withoutMessageId).toEqual([
        `MESSAGE\nsubscription:errors\\c1\nreceipt-id:r\\c1 가\n${rest}`,
        `MESSAGE\nsubscription:errors\\c1\n${rest}`,
      ]);
    },
  );

  test("is refused with what lets the client know it again", async () => {
    const connection = connectionIn({ subscriptions: listening });
    const cases: [unknown, object][] = [
      [
        { roomId: 1, content: " ", clientMessageId: "x" },
        { code: "INVALID_MESSAGE", roomId: 1, clientMessageId: "x" },
      ],
      [
        { roomId: "1", content: "a", clientMessageId: "x" },
        { code: "INVALID_MESSAGE", clientMessageId: "x" },
      ],
      [
        { roomId: 1, content: "a", clientMessageId: {} },
        { code: "INVALID_MESSAGE", roomId: 1 },
      ],
    ];
    for (const [payload, expected] of cases) {
      const answer = await handle(sendFrame(payload, "receipt:1\n"), connection);
      const [frame, ...more] = framesOf(answer.text);
      expect(more).toEqual([]);
      const { type, message: _, ...rest } = bodyOf(frame);
      expect({ type, ...rest }).toEqual({ type: "ERROR", ...expected });
    }
    expect(broadcaster.closed).toEqual([]);
    expect(published()).toEqual([]);
  });

  test.each<[string, unknown, string]>([
    ["no JSON", "{", "The body is not JSON."],
    ["nothing", "", "The body is not JSON."],
    ["null", "null", "body: "],
    ["a list", [], "body: "],
    ["no room", { content: "a" }, "roomId: "],
    ["no content", { roomId: 1 }, "content: "],
    ["too much content", { roomId: 1, content: "a".repeat(5_001) }, "content: "],
    ["a lone surrogate", '{"roomId":1,"content":"\\ud800"}', "content: "],
    ["a system type", { roomId: 1, content: "a", type: "SYSTEM_KICK" }, "type: "],
    ["an image that is no URL", { roomId: 1, content: "cat", type: "IMAGE" }, "content: "],
    ["an image by http", { roomId: 1, content: "http://example.com/a.png", type: "IMAGE" }, "content: "],
    ["an image by javascript", { roomId: 1, content: "javascript:alert(1)", type: "IMAGE" }, "content: "],
  ])("is refused as invalid for %s", async (_what, payload, message) => {
    const answer = await handle(sendFrame(payload), connectionIn({ subscriptions: listening }));
    const body = bodyOf(framesOf(answer.text)[0]);
    expect(body["code"]).toBe("INVALID_MESSAGE");
    expect(body["message"]).toMatch(new RegExp(`^${message}`));
  });

  test("that is refused closes the connection of a client that does not listen for errors", async () => {
    await handle(sendFrame({ roomId: 1, content: " " }, "receipt:1\n"));
    expect(bodyOf(errorSent())).toMatchObject({ code: "INVALID_MESSAGE" });
    expect(told).toEqual(["send conn-1 ERROR", "sent", "close conn-1"]);
    expect(errorSent()).toContain("\nreceipt-id:1\n");
  });

  test("does not take another user's queue for its own", async () => {
    await handle(
      sendFrame({ roomId: 1, content: " " }),
      connectionIn({ subscriptions: new Map([["1", "e77"]]) }),
    );
    expect(broadcaster.closed).toEqual(["conn-1"]);
  });
});

describe("a read that is sent", () => {
  const readFrame = (payload: unknown, headers = ""): string => {
    const body = typeof payload === "string" ? payload : JSON.stringify(payload);
    return `SEND\ndestination:/pub/chat/read\n${headers}\n${body}\0`;
  };

  test("is published as its connection's user, under that user's key, with its trace, before its RECEIPT", async () => {
    const payload = { roomId: 1, messageId: 77, userId: 99, readAt: "1999-01-01T00:00:00.000Z", v: 2 };
    const answer = await handle(readFrame(payload, "receipt:1\n"), connectionIn(), "12", "00-aa-bb-01");
    expect(answer).toEqual({ text: "RECEIPT\nreceipt-id:1\n\n\0", state: connectedState });
    expect(published(READS)).toEqual([
      { v: 1, roomId: 1, userId: 7, messageId: 77, readAt: "2026-01-02T03:04:05.678Z" },
    ]);
    expect(bus.hubs.get(READS)!.partitions[0]![0]!.key).toBe("7");
    expect(bus.traces).toEqual(["00-aa-bb-01"]);
    expect(published()).toEqual([]);
  });

  test("without a receipt is answered with nothing", async () => {
    expect(await handle(readFrame({ roomId: 1, messageId: 1 }))).toEqual({ state: connectedState });
  });

  test("that is refused closes the connection of a client that does not listen for errors", async () => {
    await handle(readFrame({ roomId: 1, messageId: 0 }, "receipt:1\n"));
    expect(bodyOf(errorSent())).toMatchObject({ code: "INVALID_MESSAGE" });
    expect(errorSent()).toContain("\nreceipt-id:1\n");
    expect(broadcaster.closed).toEqual(["conn-1"]);
  });

  test.each<[string, unknown, string]>([
    ["no JSON", "{", "The body is not JSON."],
    ["nothing", "", "The body is not JSON."],
    ["null", "null", "body: "],
    ["a list", [], "body: "],
    ["no room", { messageId: 1 }, "roomId: "],
    ["a room as text", { roomId: "1", messageId: 1 }, "roomId: "],
    ["room 0", { roomId: 0, messageId: 1 }, "roomId: "],
    ["no message", { roomId: 1 }, "messageId: "],
    ["a message as text", { roomId: 1, messageId: "1" }, "messageId: "],
    ["message 0", { roomId: 1, messageId: 0 }, "messageId: "],
    ["half a message", { roomId: 1, messageId: 1.5 }, "messageId: "],
    ["a message past the safe integers", '{"roomId":1,"messageId":9007199254740993}', "messageId: "],
  ])("is refused as invalid for %s", async (_what, payload, message) => {
    const answer = await handle(readFrame(payload), connectionIn({ subscriptions: listening }));
    const body = bodyOf(framesOf(answer.text)[0]);
    expect(body["code"]).toBe("INVALID_MESSAGE");
    expect(body["message"]).toMatch(new RegExp(`^${message}`));
    expect(published(READS)).toEqual([]);
  });

  test("goes on after one of several was refused, and is not tried behind one that could not be taken", async () => {
    const good = readFrame({ roomId: 1, messageId: 5 });
    const connection = connectionIn({ subscriptions: listening });
    await handle(readFrame({ roomId: 1, messageId: 0 }) + good, connection);
    expect(published(READS)).toHaveLength(1);
    bus.hubs.delete(HUB);
    broadcaster.sent.length = 0;
    const answer = await handle(sendFrame({ roomId: 1, content: "a" }) + good, connection);
    expect(heard(answer).map((frame) => bodyOf(frame)["code"])).toEqual(["UNAVAILABLE", "UNAVAILABLE"]);
    expect(published(READS)).toHaveLength(1);
  });

  test("gets UNAVAILABLE and no RECEIPT while the bus is away", async () => {
    bus.away = true;
    const answer = await handle(
      readFrame({ roomId: 1, messageId: 5 }, "receipt:1\n"),
      connectionIn({ subscriptions: listening }),
    );
    const [frame, ...more] = framesOf(answer.text);
    expect(more).toEqual([]);
    expect(bodyOf(frame)).toMatchObject({ code: "UNAVAILABLE", roomId: 1 });
    expect(broadcaster.closed).toEqual([]);
  });
});

describe("while the bus is away", () => {
  beforeEach(() => {
    bus.away = true;
  });

  test("a message gets UNAVAILABLE and no RECEIPT, on the queue for errors where the client listens", async () => {
    const data = sendFrame({ roomId: 1, content: "a", clientMessageId: "x" }, "receipt:1\n");
    const answer = await handle(data, connectionIn({ subscriptions: listening }));
    const [frame, ...more] = framesOf(answer.text);
    expect(more).toEqual([]);
    expect(frame).toMatch(
      /^MESSAGE\nsubscription:errors\\c1\nreceipt-id:1\ndestination:\/user\/queue\/errors\nmessage-id:/,
    );
    expect(bodyOf(frame)).toMatchObject({ code: "UNAVAILABLE", roomId: 1, clientMessageId: "x" });
    expect(broadcaster.closed).toEqual([]);
  });

  test("a message gets an ERROR otherwise", async () => {
    await handle(sendFrame({ roomId: 1, content: "a" }, "receipt:1\n"));
    expect(framesOf(broadcaster.sent[0]?.text)).toHaveLength(1);
    expect(bodyOf(errorSent())).toMatchObject({ code: "UNAVAILABLE" });
    expect(broadcaster.closed).toEqual(["conn-1"]);
  });

  test("each message that is refused has a message-id of its own, the same when the event is repeated", async () => {
    const data = sendFrame({ roomId: 1, content: "a" }).repeat(3);
    const connection = connectionIn({ subscriptions: listening });
    const ids = async (): Promise<(string | undefined)[]> =>
      heard(await handle(data, connection)).map((frame) => /message-id:(.*)/.exec(frame)?.[1]);
    const first = await ids();
    expect(new Set(first).size).toBe(3);
    expect(await ids()).toEqual(first);
  });
});

describe("a new token", () => {
  const renewal = (token: string): string =>
    `SEND\ndestination:/pub/session/token\nreceipt:1\n\n${JSON.stringify({ token })}\0`;

  test("of the same user prolongs the connection", async () => {
    const answer = await handle(renewal("7"));
    expect(answer.text).toBe("RECEIPT\nreceipt-id:1\n\n\0");
    expect(answer.state).toEqual({ ...connectedState, expiresAt: NOW / 1_000 + 999 });
  });

  test("that can't be verified right now leaves everything as it is", async () => {
    const connection = connectionIn({ subscriptions: listening });
    const answer = await handle(renewal("away"), connection);
    expect(bodyOf(framesOf(answer.text)[0])).toMatchObject({ code: "UNAVAILABLE" });
    expect(answer.state).toEqual(connection.state);
  });
});

describe("DISCONNECT", () => {
  test("gets its RECEIPT by REST, then the connection is closed", async () => {
    const answer = await handle("DISCONNECT\nreceipt:77\n\n\0");
    expect(broadcaster.sent).toEqual([{ to: "conn-1", text: "RECEIPT\nreceipt-id:77\n\n\0" }]);
    expect(told).toEqual(["send conn-1 RECEIPT", "sent", "close conn-1"]);
    expect(answer).toEqual({ state: connectedState });
  });

  test("without a receipt is closed only", async () => {
    await handle("DISCONNECT\n\n\0");
    expect(told).toEqual(["close conn-1"]);
  });
});

test("a subscription's id can't be used for another destination", async () => {
  const state = { ...connectedState, subscriptions: new Map([["1", "r1"]]) };
  const connection = connectionIn(state);
  await handle("SUBSCRIBE\nid:1\ndestination:/sub/chat/room/2\n\n\0", connection);
  expect(bodyOf(errorSent())).toMatchObject({ code: "MALFORMED_FRAME" });
});

test("an id that is not subscribed can be unsubscribed without effect", async () => {
  expect(await handle("UNSUBSCRIBE\nid:9\nreceipt:1\n\n\0")).toEqual({
    text: "RECEIPT\nreceipt-id:1\n\n\0",
    state: connectedState,
  });
});

test("the hundred-and-first subscription is refused before anything is asked", async () => {
  const subscriptions = new Map([
    ...listening,
    ...Array.from({ length: 99 }, (_, index) => [`s${index}`, `r${index}`] as const),
  ]);
  const answer = await handle(
    "SUBSCRIBE\nid:more\ndestination:/sub/chat/room/1\n\n\0",
    connectionIn({ subscriptions }),
  );
  expect(bodyOf(framesOf(answer.text)[0])).toMatchObject({ code: "TOO_MANY_SUBSCRIPTIONS" });
});

test("an evicted connection whose closing a dead process has left is told and closed once, by its own frame", async () => {
  let time = NOW;
  const redis = new FakeSessionStore({ now: () => time });
  const now = { ...deps, ...portsOf(redis) };
  const evicted = connectionIn({ subscriptions: new Map([["mine", "s7"]]) });
  // Counts it.
  await handleMessage({ data: Buffer.from("\n"), eventId: "1" }, evicted, now);
  expect(await redis.logOut(7, undefined)).toMatchObject([{ connectionId: "conn-1", queue: "mine" }]);
  // Nobody closed it in time.
  time += 10_000;
  const frame = "SEND\ndestination:/pub/chat/message\nreceipt:r\n\n{}\0";
  const answer = await handleMessage({ data: Buffer.from(frame), eventId: "2" }, evicted, now);
  expect(answer.text).toBeUndefined();
  expect(told).toEqual(["send conn-1 MESSAGE", "sent", "send conn-1 ERROR", "sent", "close conn-1"]);
  expect(await redis.claimUnfinished(7)).toEqual({ toClose: [], unclosed: 0 });
});
