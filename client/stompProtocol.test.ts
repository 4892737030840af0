import type { WebPubSubMessage } from "@azure/web-pubsub-client";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFrame } from "./stompFrames.js";
import { type StompProtocolOptions, stompProtocol } from "./stompProtocol.js";

/** The same cases each time; `FUZZ_SEED` and `FUZZ_RUNS` choose others, and more of them. */
const { FUZZ_SEED, FUZZ_RUNS } = process.env;
const cases = { seed: Number(FUZZ_SEED ?? 7), numRuns: Number(FUZZ_RUNS ?? 2_000) };

const write = (message: WebPubSubMessage, options?: StompProtocolOptions) =>
  stompProtocol(options).writeMessage(message);
const room = "/sub/chat/room/7";

/** What the SDK is given for a message of the service, and how often it could not be read. */
function parse(input: unknown): { messages: unknown; unreadable: string[] } {
  const unreadable: string[] = [];
  const protocol = stompProtocol({ onUnreadable: ({ message }) => unreadable.push(message) });
  return { messages: protocol.parseMessages(input as string), unreadable };
}

test("it is STOMP 1.2, and the SDK's way of recovering is not for it", () => {
  expect(stompProtocol()).toMatchObject({ name: "v12.stomp", isReliableSubProtocol: false });
});

describe("what the SDK writes", () => {
  test.each<[what: string, message: WebPubSubMessage, frame: string]>([
    [
      "joinGroup",
      { kind: "joinGroup", group: room, ackId: 1 },
      `SUBSCRIBE\npacked:true\nid:${room}\ndestination:${room}\nreceipt:ack-1\n\n\0`,
    ],
    [
      "joinGroup without an answer",
      { kind: "joinGroup", group: "/user/queue/errors" },
      "SUBSCRIBE\npacked:true\nid:/user/queue/errors\ndestination:/user/queue/errors\n\n\0",
    ],
    [
      "leaveGroup",
      { kind: "leaveGroup", group: room, ackId: 2 },
      `UNSUBSCRIBE\nid:${room}\nreceipt:ack-2\n\n\0`,
    ],
    [
      "a text to a room",
      { kind: "sendToGroup", group: room, dataType: "text", data: "Hello", ackId: 3, noEcho: false },
      'SEND\ndestination:/pub/chat/message\ncontent-type:application/json\nreceipt:ack-3\ncontent-length:30\n\n{"content":"Hello","roomId":7}\0',
    ],
    [
      "a text as JSON to a room",
      { kind: "sendToGroup", group: room, dataType: "json", data: "안녕 🙂", ackId: 3, noEcho: false },
      'SEND\ndestination:/pub/chat/message\ncontent-type:application/json\nreceipt:ack-3\ncontent-length:36\n\n{"content":"안녕 🙂","roomId":7}\0',
    ],
    [
      "an object to a room, whose number is the group's",
      {
        kind: "sendToGroup",
        group: room,
        dataType: "json",
        data: { content: "Hi", clientMessageId: "a-1", roomId: 9 },
        noEcho: false,
      },
      'SEND\ndestination:/pub/chat/message\ncontent-type:application/json\ncontent-length:51\n\n{"content":"Hi","clientMessageId":"a-1","roomId":7}\0',
    ],
    [
      "to a room that can't be, which the service refuses",
      { kind: "sendToGroup", group: "/sub/chat/room/0", dataType: "text", data: "Hi", noEcho: false },
      'SEND\ndestination:/pub/chat/message\ncontent-type:application/json\ncontent-length:27\n\n{"content":"Hi","roomId":0}\0',
    ],
    [
      "to another destination",
      {
        kind: "sendToGroup",
        group: "/pub/chat/read",
        dataType: "json",
        data: { roomId: 7 },
        ackId: 4,
        noEcho: true,
      },
      'SEND\ndestination:/pub/chat/read\ncontent-type:application/json\nreceipt:ack-4\ncontent-length:12\n\n{"roomId":7}\0',
    ],
    [
      "sendEvent",
      { kind: "sendEvent", event: "/pub/chat/read", dataType: "json", data: { roomId: 7 }, ackId: 5 },
      'SEND\ndestination:/pub/chat/read\ncontent-type:application/json\nreceipt:ack-5\ncontent-length:12\n\n{"roomId":7}\0',
    ],
    [
      "a text by sendEvent, half a surrogate pair in it",
      { kind: "sendEvent", event: "/a:b", dataType: "text", data: "x\ud83d" },
      "SEND\ndestination:/a\\cb\ncontent-type:text/plain\ncontent-length:4\n\nx\ud83d\0",
    ],
    [
      "an empty text by sendEvent",
      { kind: "sendEvent", event: "/a", dataType: "text", data: "" },
      "SEND\ndestination:/a\ncontent-type:text/plain\n\n\0",
    ],
    [
      "null by sendEvent",
      { kind: "sendEvent", event: "/a", dataType: "json", data: null as never },
      "SEND\ndestination:/a\ncontent-type:application/json\ncontent-length:4\n\nnull\0",
    ],
    ["a ping", { kind: "ping" }, "UNSUBSCRIBE\nid:ping\nreceipt:ping\n\n\0"],
  ])("%s", (_, message, frame) => {
    expect(write(message)).toBe(frame);
  });

  test("headers for a SUBSCRIBE are asked each time, and can't change what it subscribes to", () => {
    let seq = 4;
    const subscribeHeaders = (destination: string): Record<string, string> =>
      destination === room ? { "last-seq": String(++seq), id: "0", receipt: "mine" } : {};
    const { writeMessage } = stompProtocol({ subscribeHeaders });
    const join = (group: string) => writeMessage({ kind: "joinGroup", group, ackId: 1 });
    expect(join(room)).toBe(
      `SUBSCRIBE\npacked:true\nlast-seq:5\nid:${room}\nreceipt:ack-1\ndestination:${room}\n\n\0`,
    );
    expect(join(room)).toContain("last-seq:6\n");
    expect(join("/user/queue/errors")).not.toContain("last-seq");
  });

  test("packing is asked for unless a header says otherwise", () => {
    const subscribeHeaders = () => ({ packed: "false" });
    expect(write({ kind: "joinGroup", group: room }, { subscribeHeaders })).toBe(
      `SUBSCRIBE\npacked:false\nid:${room}\ndestination:${room}\n\n\0`,
    );
  });

  const toRoom = { kind: "sendToGroup", group: room, noEcho: false } as const;
  const event = { kind: "sendEvent", event: "/pub/chat/message" } as const;
  test.each<[what: string, message: WebPubSubMessage, why: string]>([
    [
      "an acknowledgement of sequences",
      { kind: "sequenceAck", sequenceId: 1 },
      "no frame for sequenceAck: use joinGroup",
    ],
    [
      "invokeEvent",
      { kind: "invoke", invocationId: "1", target: "event", event: "/a", dataType: "text", data: "" },
      "no frame for invoke: use joinGroup, leaveGroup, sendToGroup or sendEvent",
    ],
    ["its end", { kind: "cancelInvocation", invocationId: "1" }, "no frame for cancelInvocation"],
    ["a number to a room", { ...toRoom, dataType: "json", data: 5 }, "its text, or an object with content"],
    [
      "no content to a room",
      { ...toRoom, dataType: "json", data: {} },
      "its text, or an object with content",
    ],
    [
      "bytes to a room",
      { ...toRoom, dataType: "binary", data: new ArrayBuffer(1) },
      "its text, or an object with content",
    ],
    [
      "bytes",
      { ...event, dataType: "binary", data: new ArrayBuffer(1) },
      'send "json" or "text", not "binary"',
    ],
    [
      "protobuf",
      { ...event, dataType: "protobuf", data: new ArrayBuffer(1) },
      'send "json" or "text", not "protobuf"',
    ],
    [
      "an object as text",
      { ...event, dataType: "text", data: {} as never },
      'send "json" or "text", not "text"',
    ],
    ["nothing", { ...event, dataType: "json", data: undefined as never }, "JSON can't write undefined"],
    ["a bigint", { ...event, dataType: "json", data: { roomId: 1n } }, "BigInt"],
    ["NUL in a destination", { kind: "joinGroup", group: "a\0b" }, "can't hold the character NUL"],
    [
      "a large text",
      { ...event, dataType: "text", data: "x".repeat(65_537) },
      "65537 bytes is too large: send at most 65536",
    ],
    ["a large JSON", { ...event, dataType: "json", data: "안".repeat(21_845) }, "65537 bytes is too large"],
    ["a large message", { ...toRoom, dataType: "text", data: "x".repeat(65_536) }, "is too large"],
  ])("%s is refused with what to do", (_, message, why) => {
    expect(() => write(message)).toThrow(why);
  });

  test("what is just small enough is written", () => {
    expect(write({ ...event, dataType: "json", data: "안".repeat(21_844) })).toContain(
      "content-length:65534\n",
    );
    expect(write({ ...event, dataType: "text", data: "x".repeat(65_536) })).toContain(
      "content-length:65536\n",
    );
  });
});

describe("what the SDK is told", () => {
  test.each<[what: string, text: string, messages: unknown[]]>([
    [
      "CONNECTED",
      "CONNECTED\nversion:1.2\nserver:chat\nsession:c-1\nuser-name:42\nheart-beat:0,0\n\n\0",
      [{ kind: "connected", connectionId: "c-1", userId: "42", reconnectionToken: "" }],
    ],
    [
      "CONNECTED with nothing in it",
      "CONNECTED\n\n\0",
      [{ kind: "connected", connectionId: "", userId: "", reconnectionToken: "" }],
    ],
    [
      "MESSAGE",
      `MESSAGE\nsubscription:${room}\nmessage-id:7\ndestination:${room}\n\n{"seq":1,"senderId":42}\0`,
      [
        {
          kind: "groupData",
          group: room,
          fromUserId: "42",
          dataType: "json",
          data: { seq: 1, senderId: 42 },
        },
      ],
    ],
    [
      "MESSAGE of a subscription with another id, escaped",
      "MESSAGE\nsubscription:a\\cb\ndestination:/c\n\n5\0",
      [{ kind: "groupData", group: "a:b", fromUserId: "", dataType: "json", data: 5 }],
    ],
    [
      "MESSAGE of no subscription, without JSON, with an odd sender",
      'MESSAGE\ndestination:/c\n\nplain\0MESSAGE\ndestination:/c\n\n{"senderId":{"toString":1}}\0MESSAGE\n\nnull\0MESSAGE\n\n\0',
      [
        { kind: "groupData", group: "/c", fromUserId: "", dataType: "text", data: "plain" },
        {
          kind: "groupData",
          group: "/c",
          fromUserId: "",
          dataType: "json",
          data: { senderId: { toString: 1 } },
        },
        { kind: "groupData", group: "", fromUserId: "", dataType: "json", data: null as never },
        { kind: "groupData", group: "", fromUserId: "", dataType: "text", data: "" },
      ],
    ],
    ["RECEIPT", "RECEIPT\nreceipt-id:ack-12\n\n\0", [{ kind: "ack", ackId: 12, success: true }]],
    ["RECEIPT of a ping", "RECEIPT\nreceipt-id:ping\n\n\0", [{ kind: "pong" }]],
    [
      "RECEIPTs that nobody asked for",
      "RECEIPT\nreceipt-id:other\n\n\0RECEIPT\nreceipt-id:ack-x\n\n\0RECEIPT\n\n\0",
      [],
    ],
    [
      "a refusal on the queue of errors: also the end of its call",
      'MESSAGE\nsubscription:/user/queue/errors\nreceipt-id:ack-3\n\n{"type":"ERROR","code":"RATE_LIMIT_EXCEEDED","message":"Later.","retryAfter":5,"roomId":7,"clientMessageId":"a-1"}\0',
      [
        expect.objectContaining({ kind: "groupData", group: "/user/queue/errors" }),
        {
          kind: "ack",
          ackId: 3,
          success: false,
          error: {
            name: "RATE_LIMIT_EXCEEDED",
            message: "Later.",
            retryAfter: 5,
            roomId: 7,
            clientMessageId: "a-1",
          },
        },
      ],
    ],
    [
      "ERROR of a frame",
      'ERROR\nmessage:No such destination.\nreceipt-id:ack-4\n\n{"type":"ERROR","code":"UNKNOWN_DESTINATION","message":"No such destination."}\0',
      [
        {
          kind: "serverData",
          dataType: "json",
          data: { type: "ERROR", code: "UNKNOWN_DESTINATION", message: "No such destination." },
        },
        {
          kind: "ack",
          ackId: 4,
          success: false,
          error: { name: "UNKNOWN_DESTINATION", message: "No such destination." },
        },
        { kind: "disconnected", message: "No such destination." },
      ],
    ],
    [
      "ERROR that some other server wrote",
      "ERROR\nmessage:bad\nreceipt-id:ack-5\n\ntoo bad\0",
      [
        { kind: "serverData", dataType: "text", data: "too bad" },
        { kind: "ack", ackId: 5, success: false, error: { name: "UNAVAILABLE", message: "bad" } },
        { kind: "disconnected", message: "bad" },
      ],
    ],
    ["a heart-beat", "\n", []],
    ["a heart-beat with CR", "\r\n", []],
    ["nothing", "", []],
    [
      "frames whose lines end in CRLF",
      'MESSAGE\r\nsubscription:/a\r\n\r\n{"seq":1}\0\r\nRECEIPT\r\nreceipt-id:ack-1\r\n\r\n\0\r\n',
      [
        { kind: "groupData", group: "/a", fromUserId: "", dataType: "json", data: { seq: 1 } },
        { kind: "ack", ackId: 1, success: true },
      ],
    ],
  ])("%s", (_, text, messages) => {
    expect(parse(text)).toEqual({ messages, unreadable: [] });
  });

  test("the same of frames in one message, of one frame a message, and with heart-beats between them", () => {
    const frames = [
      "CONNECTED\nsession:c-1\nuser-name:42\n\n\0",
      `MESSAGE\nsubscription:${room}\n\n{"seq":1}\0`,
      `MESSAGE\nsubscription:${room}\n\n{"seq":2}\0`,
      "RECEIPT\nreceipt-id:ack-1\n\n\0",
    ];
    const { parseMessages } = stompProtocol();
    const together = parseMessages(frames.join(""));
    expect(together).toHaveLength(4);
    expect(parseMessages(frames.join("\n\n"))).toEqual(together);
    expect(frames.flatMap((frame) => parseMessages(frame))).toEqual(together);
    expect(
      frames.flatMap((frame) => ["\n", `${frame}\n`, "\r\n"]).flatMap((text) => parseMessages(text)),
    ).toEqual(together);
  });

  test("whatever comes is a sign of life, a heart-beat and what can't be read, too", () => {
    let heard = 0;
    const protocol = stompProtocol({
      onHeard: () => {
        heard += 1;
      },
    });
    for (const text of ["\n", "\r\n", "RECEIPT\nreceipt-id:ack-1\n\n\0", "garbage", ""])
      protocol.parseMessages(text);
    expect(heard).toBe(5);
  });

  test.each<[header: string, told: number[]]>([
    ["heart-beat:60000,0\n", [60_000]],
    ["heart-beat:60000,30000\n", [60_000]],
    ["heart-beat:0,0\n", []],
    ["heart-beat:0,60000\n", []],
    ["heart-beat:often\n", []],
    ["heart-beat:-5,0\n", []],
    ["heart-beat:99999999999,0\n", []],
    ["", []],
  ])("of CONNECTED with %j the promised heart-beats", (header, told) => {
    const heartBeats: number[] = [];
    const protocol = stompProtocol({ onHeartBeat: (everyMs) => heartBeats.push(everyMs) });
    expect(protocol.parseMessages(`CONNECTED\nversion:1.2\n${header}\n\0`)).toHaveLength(1);
    expect(heartBeats).toEqual(told);
  });

  const receipt = "RECEIPT\nreceipt-id:ack-1\n\n\0";
  const bytes = Buffer.from(`xx${receipt}`).subarray(2);
  test.each<[what: string, input: unknown]>([
    ["an ArrayBuffer", new TextEncoder().encode(receipt).buffer],
    ["a Buffer that is part of a larger one", bytes],
    ["a Uint8Array", new Uint8Array(bytes)],
    ["a text", receipt],
  ])("a frame in %s", (_, input) => {
    expect(parse(input)).toEqual({ messages: [{ kind: "ack", ackId: 1, success: true }], unreadable: [] });
  });

  test.each<[what: string, input: unknown]>([
    ["garbage", "garbage"],
    ["a frame without an end", "MESSAGE\n\nHello"],
    ["a frame of clients", "SEND\ndestination:/a\n\n\0"],
    ["a bad escape", "MESSAGE\na:\\t\n\n\0"],
    ["a wrong length", "MESSAGE\ncontent-length:3\n\nHello\0"],
    ["the JSON of the service's own protocol", '{"type":"system","event":"connected"}'],
    [
      "bytes that are no UTF-8, whose length is wrong so",
      Buffer.from("MESSAGE\ncontent-length:1\n\n\xff\0", "latin1"),
    ],
    ["a list of buffers", [Buffer.from(receipt)]],
    ["null", null],
    ["an object", {}],
  ])("%s is told to onUnreadable, and nothing else happens", (_, input) => {
    expect(parse(input)).toEqual({ messages: [], unreadable: [expect.any(String)] });
    expect(() => stompProtocol().parseMessages(input as string)).not.toThrow();
  });

  test("an answer before what can't be read is heard", () => {
    expect(parse(`${receipt}\n\ngarbage\0${receipt}`)).toEqual({
      messages: [{ kind: "ack", ackId: 1, success: true }],
      unreadable: ["no command, at 29"],
    });
  });
});

describe("reading never throws", () => {
  const pieces = fc.constantFrom(
    ..."MESSAGE CONNECTED RECEIPT ERROR SEND \n \r\n \n\n \0 \0\n : \\ \\c \\n \\t content-length: 0 3 99999999999 -1 receipt-id:ack-1".split(
      " ",
    ),
    ...[
      '{"senderId":',
      "{}",
      "null",
      '{"type":"ERROR","code":5}',
      "안녕",
      "🙂",
      "\ud83d",
      " ",
      "\ufeff",
      "__proto__",
    ],
  );
  const valid = fc
    .record({
      command: fc.constantFrom("MESSAGE", "CONNECTED", "RECEIPT", "ERROR"),
      headers: fc.dictionary(
        fc.constantFrom("subscription", "receipt-id", "session", "message", "x:y"),
        fc
          .oneof(fc.constantFrom("ack-1", "ping", room), fc.string({ maxLength: 8 }))
          .map((text) => text.replaceAll("\0", "")),
      ),
      body: fc.oneof(fc.json({ maxDepth: 2 }), fc.string({ unit: "binary", maxLength: 20 })),
    })
    .map(({ command, headers, body }) => encodeFrame(command, headers, body));
  const mutated = fc
    .tuple(fc.array(valid, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(9), pieces)
    .map(([frames, place, length, piece]) => {
      const text = frames.join("\n");
      const at = place % (text.length + 1);
      return text.slice(0, at) + piece + text.slice(at + length);
    });
  const texts: [string, fc.Arbitrary<string>][] = [
    ["whatever the text", fc.string({ unit: "binary", maxLength: 200 })],
    ["of pieces of frames", fc.array(pieces, { maxLength: 30 }).map((list) => list.join(""))],
    ["of frames that were changed", mutated],
  ];

  test.each(texts)("%s", (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (text) => {
        for (const input of [text, Buffer.from(text)]) {
          const { messages, unreadable } = parse(input);
          expect(Array.isArray(messages)).toBe(true);
          expect(unreadable.length).toBeLessThanOrEqual(1);
        }
      }),
      cases,
    );
  });

  test("nor of any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(Array.isArray(parse(bytes).messages)).toBe(true);
        expect(Array.isArray(parse(bytes.buffer).messages)).toBe(true);
      }),
      cases,
    );
  });

  test("a long message is read in one go", () => {
    const one = encodeFrame("MESSAGE", { subscription: room }, `{"content":"${"안".repeat(20_000)}"}`);
    const { messages, unreadable } = parse(one.repeat(50));
    expect(messages).toHaveLength(50);
    expect(unreadable).toEqual([]);
  });
});
