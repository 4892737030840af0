import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeFrames, encodeFrame, FrameError, utf8Length } from "./stompFrames.js";

/** The same cases each time; `FUZZ_SEED` and `FUZZ_RUNS` choose others, and more of them. */
const { FUZZ_SEED, FUZZ_RUNS } = process.env;
const cases = { seed: Number(FUZZ_SEED ?? 7), numRuns: Number(FUZZ_RUNS ?? 2_000) };

const read = (text: string) =>
  [...decodeFrames(text)].map(({ command, headers, body }) => [command, [...headers], body]);

describe("writing", () => {
  test("a frame without a body", () => {
    expect(encodeFrame("SUBSCRIBE", { id: "0", destination: "/sub/chat/room/1" })).toBe(
      "SUBSCRIBE\nid:0\ndestination:/sub/chat/room/1\n\n\0",
    );
  });

  test.each([
    ["Hello", 5],
    ["é", 2],
    ["안녕하세요", 15],
    ["🙂", 4],
    ["👨‍👩‍👧", 18],
    ["a\0b\n", 4],
    // They are sent as U+FFFD.
    ["\ud83d", 3],
    ["\ude42\ud83d", 6],
    ["x\ud83dy\ude42", 8],
  ])("of the body %j the length is %i bytes", (body, bytes) => {
    expect(utf8Length(body)).toBe(bytes);
    expect(Buffer.byteLength(body)).toBe(bytes);
    expect(encodeFrame("SEND", {}, body)).toBe(`SEND\ncontent-length:${bytes}\n\n${body}\0`);
  });

  test("what would end a header line is escaped, in names too", () => {
    expect(encodeFrame("SEND", { "a:b": "c\\d\r\ne:f", empty: "" })).toBe(
      "SEND\na\\cb:c\\\\d\\r\\ne\\cf\nempty:\n\n\0",
    );
  });

  test("NUL in a header has no escape, so it is refused", () => {
    expect(() => encodeFrame("SEND", { destination: "a\0b" })).toThrow("can't hold the character NUL");
    expect(() => encodeFrame("SEND", { "a\0b": "" })).toThrow("can't hold the character NUL");
  });
});

describe("reading", () => {
  test.each<[what: string, text: string, frames: unknown[]]>([
    ["nothing", "", []],
    ["a heart-beat", "\n", []],
    ["heart-beats with CR", "\r\n\n\r\n", []],
    [
      "a frame",
      "MESSAGE\nsubscription:1\nmessage-id:7\n\nHello\0",
      [
        [
          "MESSAGE",
          [
            ["subscription", "1"],
            ["message-id", "7"],
          ],
          "Hello",
        ],
      ],
    ],
    ["no headers and no body", "RECEIPT\n\n\0", [["RECEIPT", [], ""]]],
    [
      "several frames with line ends before, between and behind them",
      "\n\r\nRECEIPT\nreceipt-id:1\n\n\0\n\r\n\nRECEIPT\nreceipt-id:2\n\n\0RECEIPT\nreceipt-id:3\n\n\0\n",
      [
        ["RECEIPT", [["receipt-id", "1"]], ""],
        ["RECEIPT", [["receipt-id", "2"]], ""],
        ["RECEIPT", [["receipt-id", "3"]], ""],
      ],
    ],
    [
      "lines that end in CRLF; the body stays as it is",
      "MESSAGE\r\na:b\r\n\r\nc\r\nd\r\n\0",
      [["MESSAGE", [["a", "b"]], "c\r\nd\r\n"]],
    ],
    [
      "of a repeated header the first",
      "MESSAGE\na:1\nb:2\na:3\n\n\0",
      [
        [
          "MESSAGE",
          [
            ["a", "1"],
            ["b", "2"],
          ],
          "",
        ],
      ],
    ],
    [
      "a header with colons, with blanks, and an empty one",
      "MESSAGE\na:b:c\n d : e \nf:\n\n\0",
      [
        [
          "MESSAGE",
          [
            ["a", "b:c"],
            [" d ", " e "],
            ["f", ""],
          ],
          "",
        ],
      ],
    ],
    ["escapes", "MESSAGE\na\\cb:c\\\\n\\r\\nd\\\\\n\n\0", [["MESSAGE", [["a:b", "c\\n\r\nd\\"]], ""]]],
    [
      "CONNECTED without unescaping",
      "CONNECTED\nsession:a\\cb\\x:c\n\n\0",
      [["CONNECTED", [["session", "a\\cb\\x:c"]], ""]],
    ],
    [
      "a body with NUL and what looks like a frame",
      "MESSAGE\ncontent-length:19\n\na\0RECEIPT\nid:1\n\n\0\n\0\0",
      [["MESSAGE", [["content-length", "19"]], "a\0RECEIPT\nid:1\n\n\0\n\0"]],
    ],
    [
      "a length in bytes of Korean and emoji, and what follows",
      "MESSAGE\ncontent-length:14\n\n안녕🙂 é!\0RECEIPT\n\n\0",
      [
        ["MESSAGE", [["content-length", "14"]], "안녕🙂 é!"],
        ["RECEIPT", [], ""],
      ],
    ],
    [
      "a length of zero, and one with zeros before it",
      "MESSAGE\ncontent-length:0\n\n\0MESSAGE\ncontent-length:002\n\nab\0",
      [
        ["MESSAGE", [["content-length", "0"]], ""],
        ["MESSAGE", [["content-length", "002"]], "ab"],
      ],
    ],
    [
      "names that objects have",
      "MESSAGE\n__proto__:a\nconstructor:b\n\n\0",
      [
        [
          "MESSAGE",
          [
            ["__proto__", "a"],
            ["constructor", "b"],
          ],
          "",
        ],
      ],
    ],
  ])("%s", (_, text, frames) => {
    expect(read(text)).toEqual(frames);
  });

  test.each([
    ["no end", "MESSAGE\n\nHello", "the frame has no end"],
    ["cut in its command", "MESS", "ends within its headers"],
    ["cut in its headers", "MESSAGE\nid:1\n", "ends within its headers"],
    ["cut behind its length", "MESSAGE\ncontent-length:5\n\nHell", "does not lead to the frame's end"],
    ["cut before its NUL", "MESSAGE\ncontent-length:5\n\nHello", "does not lead to the frame's end"],
    ["a length too short", "MESSAGE\ncontent-length:4\n\nHello\0", "does not lead to the frame's end"],
    ["a length too long", "MESSAGE\ncontent-length:6\n\nHello\0", "does not lead to the frame's end"],
    ["a length in a character", "MESSAGE\ncontent-length:1\n\né\0", "does not lead to the frame's end"],
    ["a length in an emoji", "MESSAGE\ncontent-length:2\n\n🙂\0", "does not lead to the frame's end"],
    ["a huge length", "MESSAGE\ncontent-length:999999999\n\nHello\0", "does not lead to the frame's end"],
    ["an endless length", `MESSAGE\ncontent-length:${"9".repeat(400)}\n\n\0`, "content-length is no number"],
    ["a length below zero", "MESSAGE\ncontent-length:-1\n\n\0", "content-length is no number"],
    ["an empty length", "MESSAGE\ncontent-length:\n\n\0", "content-length is no number"],
    ["a length in words", "MESSAGE\ncontent-length:1e1\n\n\0", "content-length is no number"],
    ["a header without a colon", "MESSAGE\nheader\n\n\0", "a header without a name or a colon"],
    ["a header without a name", "MESSAGE\n:value\n\n\0", "a header without a name or a colon"],
    ["an unknown escape", "MESSAGE\na:\\t\n\n\0", "no escape of STOMP: \\t"],
    ["an escape in capitals", "MESSAGE\na:\\C\n\n\0", "no escape of STOMP: \\C"],
    ["half an escape", "MESSAGE\na:b\\\n\n\0", "no escape of STOMP: \\"],
    ["an unknown escape in a name", "MESSAGE\n\\t:a\n\n\0", "no escape of STOMP: \\t"],
    ["no command", "\0", "ends within its headers"],
    ["an empty command", " \n\n\0", "no command"],
    ["a command in small letters", "message\n\n\0", "no command"],
    ["a byte order mark", "\ufeffMESSAGE\n\n\0", "no command"],
    ["a lone CR", "\rMESSAGE\n\n\0", "no command"],
    ["JSON", '{"type":"system"}\n', "no command"],
    ["a second NUL", "RECEIPT\n\n\0\0", "ends within its headers"],
  ])("%s is refused", (_, text, why) => {
    expect(() => read(text)).toThrow(FrameError);
    expect(() => read(text)).toThrow(why);
  });

  test("the whole frames before a bad one come first", () => {
    const frames = decodeFrames("RECEIPT\nreceipt-id:1\n\n\0\ngarbage");
    expect(frames.next().value).toMatchObject({ command: "RECEIPT" });
    expect(() => frames.next()).toThrow(new FrameError("the frame ends within its headers", 24));
  });
});

test("what is written is read as it was", () => {
  const text = fc.string({ unit: "binary", maxLength: 20 }).map((one) => one.replaceAll("\0", ""));
  const frame = fc.record({
    command: fc.constantFrom("SEND", "MESSAGE", "ERROR"),
    headers: fc.dictionary(
      text.filter((name) => name !== "" && name !== "content-length"),
      text,
      {
        maxKeys: 6,
      },
    ),
    body: fc.string({ unit: "binary", maxLength: 40 }),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 4 }), fc.constantFrom("", "\n", "\r\n\n"), (frames, between) => {
      const written = frames.map(({ command, headers, body }) => encodeFrame(command, headers, body));
      const found = [...decodeFrames(written.join(between) + between)];
      expect(
        found.map(({ command, headers, body }) => {
          const { "content-length": _, ...rest } = Object.fromEntries(headers);
          return { command, headers: rest, body };
        }),
      ).toEqual(frames.map(({ command, headers, body }) => ({ command, headers: { ...headers }, body })));
    }),
    cases,
  );
});
