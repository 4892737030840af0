import { describe, expect, test } from "vitest";
import { ChatError } from "../platform/errors.js";
import { parseRoomRead, roomRead } from "./reads.js";

const read = { v: 1, roomId: 5, userId: 7, messageId: 77, readAt: "2026-01-02T03:04:05.678Z" };
const bytes = (event: unknown): Uint8Array => Buffer.from(JSON.stringify(event));

/** The error that parsing throws. */
function refusalOf(body: Uint8Array): ChatError {
  try {
    parseRoomRead(body);
  } catch (error) {
    if (error instanceof ChatError) return error;
    throw error;
  }
  throw new Error("The event was accepted.");
}

test("a read at a time is an event in the first version of its shape", () => {
  const event = roomRead({ roomId: 5, userId: 7, messageId: 77 }, Date.parse("2026-01-02T03:04:05.678Z"));
  expect(JSON.stringify(event)).toBe(
    '{"v":1,"roomId":5,"userId":7,"messageId":77,"readAt":"2026-01-02T03:04:05.678Z"}',
  );
});

test("a published event can be read", () => {
  const event = roomRead(
    { roomId: 1, userId: Number.MAX_SAFE_INTEGER, messageId: Number.MAX_SAFE_INTEGER },
    0,
  );
  expect(parseRoomRead(bytes(event))).toEqual(event);
});

test("fields that nobody knows are left out", () => {
  expect(parseRoomRead(bytes({ ...read, lastReadSeq: 4 }))).toEqual(read);
});

describe("an event that is no read says what is wrong", () => {
  test.each<[string, Uint8Array]>([
    ["no bytes", Buffer.alloc(0)],
    ["half a JSON", Buffer.from('{"v":1')],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22])],
  ])("%s", (_what, body) => {
    const error = refusalOf(body);
    expect(error).toMatchObject({ code: "INVALID_MESSAGE", message: "The event is not JSON in UTF-8." });
    expect(error.retryable).toBe(false);
  });

  test.each<[string, unknown, string]>([
    ["null", null, "shape"],
    ["a list", [read], "shape"],
    ["another version", { ...read, v: 2 }, "v"],
    ["no version", { ...read, v: undefined }, "v"],
    ["no room", { ...read, roomId: undefined }, "roomId"],
    ["a room as text", { ...read, roomId: "5" }, "roomId"],
    ["room 0", { ...read, roomId: 0 }, "roomId"],
    ["a user below 0", { ...read, userId: -7 }, "userId"],
    ["half a message", { ...read, messageId: 0.5 }, "messageId"],
    ["a message past the safe integers", { ...read, messageId: 2 ** 53 }, "messageId"],
    ["a time without milliseconds", { ...read, readAt: "2026-01-02T03:04:05Z" }, "readAt"],
    ["a time of another zone", { ...read, readAt: "2026-01-02T03:04:05.678+09:00" }, "readAt"],
    ["a time that never was", { ...read, readAt: "2026-02-30T03:04:05.678Z" }, "readAt"],
    ["a time as a number", { ...read, readAt: 1 }, "readAt"],
  ])("%s", (_what, event, where) => {
    const error = refusalOf(bytes(event));
    expect(error.code).toBe("INVALID_MESSAGE");
    expect(error.message).toMatch(new RegExp(`^The event's ${where} is wrong: `));
  });
});
