import { expect, test } from "vitest";
import { parse, serialize } from "./stompFrames.js";

test("a frame is written with its headers escaped", () => {
  const headers = { destination: "/pub/chat/message", receipt: "a:b\\c\nd" };
  expect(serialize({ command: "SEND", headers, body: "é" })).toBe(
    "SEND\ndestination:/pub/chat/message\nreceipt:a\\cb\\\\c\\nd\n\né\0",
  );
});

test.each([
  ["nothing but heart-beats", "\n\r\n\n", []],
  [
    "one frame, its first header of a name counting",
    "MESSAGE\nsubscription:a\\cb\nsubscription:c\n\nhello\0\n",
    [{ command: "MESSAGE", headers: { subscription: "a:b" }, body: "hello" }],
  ],
  [
    "two, the first with a NUL in its body of two bytes more than characters",
    "MESSAGE\ncontent-length:6\n\nä\0ö.\0\nRECEIPT\nreceipt-id:r-1\n\n\0",
    [
      { command: "MESSAGE", headers: { "content-length": "6" }, body: "ä\0ö." },
      { command: "RECEIPT", headers: { "receipt-id": "r-1" }, body: "" },
    ],
  ],
])("a WebSocket message holds %s", (_what, text, frames) => {
  expect(parse(text)).toEqual(frames);
});

test.each(["MESSAGE\nno end", "MESSAGE\n\nno NUL", "MESSAGE\ncontent-length:3\n\nabcd\0"])(
  "%j is refused",
  (text) => {
    expect(() => parse(text)).toThrow("frame");
  },
);
