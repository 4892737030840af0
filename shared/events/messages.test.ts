import { describe, expect, test } from "vitest";
import { dedupeKey, MessageSent, parseMessageSent } from "./messages.js";

const event = {
  v: 1 as const,
  eventId: "e",
  roomId: 1,
  senderId: 2,
  senderNickname: "Ann",
  clientMessageId: null,
  type: "TEXT" as const,
  content: "hello",
  sentAt: "2026-01-02T03:04:05.678Z",
};
const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

test("an event is read as it was written, without fields that nobody knows", () => {
  expect(parseMessageSent(bytes({ ...event, later: "addition" }))).toEqual(event);
});

describe("an event may have", () => {
  test.each<[string, object]>([
    ["5,000 characters outside the BMP", { content: "🚀".repeat(5_000) }],
    ["a content with white space around it", { content: "  a\n" }],
    ["a content of one NUL", { content: "\0" }],
    ["a content that nobody can see, as earlier versions accepted", { content: "\u3164" }],
    [
      "a nickname that overrides directions, as earlier versions accepted",
      { senderNickname: "\u202ennA\u3164" },
    ],
    ["a nickname of 100 characters outside the BMP", { senderNickname: "🚀".repeat(100) }],
    ["a clientMessageId of 64 characters outside the BMP", { clientMessageId: "🚀".repeat(64) }],
    ["an integer as clientMessageId", { clientMessageId: -5 }],
    ["0 as clientMessageId", { clientMessageId: 0 }],
    ["the largest ids", { roomId: Number.MAX_SAFE_INTEGER, senderId: Number.MAX_SAFE_INTEGER }],
    ["a system type", { type: "SYSTEM_KICK" }],
    ["a leap day", { sentAt: "2028-02-29T23:59:59.999Z" }],
  ])("%s", (_what, more) => {
    expect(parseMessageSent(bytes({ ...event, ...more }))).toEqual({ ...event, ...more });
  });
});

describe("an event is refused for", () => {
  test.each<[string, string, object]>([
    ["another version", "v", { v: 2 }],
    ["no version", "v", { v: undefined }],
    ["an empty eventId", "eventId", { eventId: "" }],
    ["an eventId of 65 characters", "eventId", { eventId: "e".repeat(65) }],
    ["room 0", "roomId", { roomId: 0 }],
    ["a room in text", "roomId", { roomId: "1" }],
    ["a room past the safe integers", "roomId", { roomId: 2 ** 53 }],
    ["half a room", "roomId", { roomId: 1.5 }],
    ["a negative sender", "senderId", { senderId: -1 }],
    ["no sender", "senderId", { senderId: undefined }],
    ["an empty nickname", "senderNickname", { senderNickname: "" }],
    ["a nickname of 101 characters", "senderNickname", { senderNickname: "🚀".repeat(101) }],
    ["an empty clientMessageId", "clientMessageId", { clientMessageId: "" }],
    ["a clientMessageId of 65 characters", "clientMessageId", { clientMessageId: "a".repeat(65) }],
    ["a clientMessageId with a lone surrogate", "clientMessageId", { clientMessageId: "\ud800" }],
    ["a fraction as clientMessageId", "clientMessageId", { clientMessageId: 0.5 }],
    ["an object as clientMessageId", "clientMessageId", { clientMessageId: {} }],
    ["no clientMessageId, not even null", "clientMessageId", { clientMessageId: undefined }],
    ["a type nobody knows", "type", { type: "VIDEO" }],
    ["an empty content", "content", { content: "" }],
    ["white space of every kind", "content", { content: " \t\r\n\u00a0\u2003\u3000\ufeff" }],
    ["5,001 characters", "content", { content: "a".repeat(5_001) }],
    ["5,001 characters outside the BMP", "content", { content: "🚀".repeat(5_001) }],
    ["a lone high surrogate", "content", { content: "a\ud83d" }],
    ["a lone low surrogate", "content", { content: "\ude80a" }],
    ["a time with an offset", "sentAt", { sentAt: "2026-01-02T03:04:05.678+09:00" }],
    ["a time in seconds", "sentAt", { sentAt: "2026-01-02T03:04:05Z" }],
    ["the 30th of February", "sentAt", { sentAt: "2026-02-30T00:00:00.000Z" }],
  ])("%s", (_what, field, more) => {
    const parse = () => parseMessageSent(bytes({ ...event, ...more }));
    expect(parse).toThrow(expect.objectContaining({ code: "INVALID_MESSAGE" }));
    expect(parse).toThrow(`The event's ${field} is wrong`);
  });

  test.each<[string, Uint8Array]>([
    ["no bytes", Buffer.alloc(0)],
    ["no JSON", Buffer.from("{")],
    ["bytes that are no UTF-8", Buffer.from([0x22, 0xff, 0x22])],
    ["UTF-16", Buffer.from(JSON.stringify(event), "utf16le")],
    ["null", bytes(null)],
    ["a list", bytes([event])],
    ["a text", bytes("event")],
  ])("being %s", (_what, body) => {
    expect(() => parseMessageSent(body)).toThrow(expect.objectContaining({ code: "INVALID_MESSAGE" }));
  });
});

describe("the key that repeats share", () => {
  const keyOf = (more: object = {}): string =>
    dedupeKey(MessageSent.parse({ ...event, ...more })).toString("hex");

  test("is 16 bytes", () => {
    expect(dedupeKey(event)).toHaveLength(16);
  });

  test("is the same for a repeat with the same clientMessageId, whatever else it says", () => {
    const again = { eventId: "other", content: "other", sentAt: "2027-01-02T03:04:05.678Z" };
    expect(keyOf({ clientMessageId: "a", ...again })).toBe(keyOf({ clientMessageId: "a" }));
  });

  test("is the same for a copy of one event without a clientMessageId, and another for the next", () => {
    expect(keyOf({ content: "other" })).toBe(keyOf());
    expect(keyOf({ eventId: "f" })).not.toBe(keyOf());
  });

  test("is another one for everything that is another message", () => {
    const others = [
      {},
      { senderId: 22 },
      { clientMessageId: "5" },
      { clientMessageId: 5 },
      { clientMessageId: '"5"' },
      { clientMessageId: "e" },
      { clientMessageId: "E" },
      { clientMessageId: "é" },
      { clientMessageId: "e\u0301" },
      { clientMessageId: " 5" },
      { senderId: 2, clientMessageId: 25 },
      { senderId: 22, clientMessageId: 5 },
      { eventId: "c5" },
      { eventId: '"5"' },
    ];
    expect(new Set(others.map(keyOf)).size).toBe(others.length);
  });
});
