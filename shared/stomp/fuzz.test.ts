import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { type Frame, StompError, type StompVersion } from "./frame.js";
import { parseFrames } from "./parser.js";
import type { Limits } from "./reader.js";
import { serializeFrame } from "./serializer.js";

/** The same cases each time; `FUZZ_SEED` and `FUZZ_RUNS` choose others, and more of them. */
const { FUZZ_SEED, FUZZ_RUNS } = process.env;
const cases = { seed: Number(FUZZ_SEED ?? 7), numRuns: Number(FUZZ_RUNS ?? 3_000) };
if (FUZZ_RUNS !== undefined) vi.setConfig({ testTimeout: 3_600_000 });

const versions = fc.constantFrom<StompVersion>("1.0", "1.1", "1.2");
/**
 * What is written again can be longer than what was read: colons get escaped, and a length is put before a
 * body.
 */
const WIDE: Limits = {
  bodyBytes: 200_000,
  headerBytes: 20_000,
  connectHeaderBytes: 20_000,
  framesPerMessage: 200,
};

type Plain = readonly [command: string, headers: readonly (readonly string[])[], body: string];

const plain = ({ command, headers, body }: Frame): Plain => [
  command,
  [...headers].filter(([name]) => name !== "content-length"),
  body,
];

/** What a parser may do with whatever comes: frames, or a `StompError` with those before the bad one. */
function framesOf(data: string | Uint8Array, version: StompVersion): readonly Frame[] {
  try {
    return parseFrames(data, version);
  } catch (error) {
    if (!(error instanceof StompError)) throw error;
    expect(["MALFORMED_FRAME", "MESSAGE_TOO_LARGE"]).toContain(error.code);
    expect(error.message.length).toBeLessThan(300);
    // It goes back in a header of the ERROR frame.
    expect(error.receipt ?? "").not.toMatch(/[\r\n\0]/);
    return error.framesBefore;
  }
}

/** What can be read can be written, and reads the same then; alone and behind others. */
function writesAgain(frames: readonly Frame[], version: StompVersion): void {
  const written = frames.map(({ command, headers, body }) => serializeFrame(command, headers, body, version));
  for (const [index, text] of written.entries())
    expect(parseFrames(text, version, WIDE).map(plain)).toEqual([plain(frames[index]!)]);
  expect(parseFrames(written.join("\n"), version, WIDE).map(plain)).toEqual(frames.map(plain));
}

function holds(data: string | Uint8Array, version: StompVersion): void {
  const frames = framesOf(data, version);
  expect(frames.length).toBeLessThanOrEqual(100);
  writesAgain(frames, version);
}

/** Pieces that frames are made of, and some that they are not. */
const pieces = fc.array(
  fc.oneof(
    fc.constantFrom(
      "SEND",
      "CONNECT",
      "STOMP",
      "SUBSCRIBE",
      "MESSAGE",
      "ERROR",
      "CONNECTED",
      "send",
      "DISCONNECT",
    ),
    fc.constantFrom(
      "\n",
      "\n",
      "\n\n",
      "\r\n",
      "\r",
      "\0",
      "\0",
      ":",
      ":",
      "\\",
      "\\n",
      "\\c",
      "\\r",
      "\\\\",
      "\\t",
    ),
    fc.constantFrom(
      "content-length",
      "content-length:",
      "receipt:",
      "id:1",
      "accept-version:1.2",
      "destination:/a",
    ),
    fc.constantFrom("0", "1", "-1", "5", "65536", "65537", "99999999999999999999", "1e3", "0x5", " 5", "٣"),
    fc.constantFrom(
      "é",
      "안",
      "🙂",
      "\ufeff",
      "\ud83d",
      "\ude42",
      " ",
      "\t",
      "\u0085",
      "\u2028",
      "__proto__",
    ),
    fc.string({ unit: "binary", maxLength: 5 }),
  ),
  { maxLength: 40 },
);

const headerText = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: fc.constantFrom("a", ":", "\\", "\n", "c", "n", "é", "🙂", " "), maxLength: 12 }),
);
const names = fc.oneof(
  fc.constantFrom("destination", "id", "receipt", "content-length", "accept-version", "ack", "__proto__"),
  headerText.filter((name) => name !== ""),
);
const commands = fc.constantFrom("SEND", "SUBSCRIBE", "UNSUBSCRIBE", "CONNECT", "STOMP", "DISCONNECT", "ACK");

/**
 * Whole frames as our serializer writes them, or another one would: any header text that the version can
 * carry.
 */
const valid = fc
  .record({
    version: versions,
    frames: fc.array(
      fc.record({
        command: commands,
        headers: fc.array(fc.tuple(names, headerText), { maxLength: 8 }),
        body: fc.string({ unit: "grapheme", maxLength: 60 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ version, frames }) => {
    // What these can't escape; and a name of blanks is none in 1.0.
    const bare = (text: string): string => text.replace(/[\n:]|^ +$/g, "_");
    const written = frames.map(({ command, headers, body }) => {
      const plainText = version === "1.0" || command === "CONNECT" || command === "STOMP";
      const fields = plainText ? headers.map(([name, value]) => [bare(name), bare(value)] as const) : headers;
      return serializeFrame(command, fields, command === "SEND" ? body : "", version);
    });
    return { version, bytes: Buffer.from(written.join("\n")) };
  });

type Damage = (bytes: Buffer, at: number, length: number) => Buffer;

type Put = string | Uint8Array | readonly number[];

const splice = (bytes: Buffer, at: number, removed: number, put: Put): Buffer =>
  Buffer.concat([bytes.subarray(0, at), Buffer.from(put as string), bytes.subarray(at + removed)]);
const insert =
  (put: Put): Damage =>
  (bytes, at) =>
    splice(bytes, at, 0, put);
const behindCommand =
  (put: (length: number) => string): Damage =>
  (bytes, _at, length) =>
    splice(bytes, bytes.indexOf("\n") + 1, 0, put(length));

const DAMAGES: Readonly<Record<string, Damage>> = {
  cut: (bytes, at) => bytes.subarray(0, at),
  "cut its beginning": (bytes, at) => bytes.subarray(at),
  "take out": (bytes, at, length) => splice(bytes, at, length, ""),
  double: (bytes, at, length) => splice(bytes, at, 0, bytes.subarray(at, at + length)),
  swap: (bytes, at) => Buffer.concat([bytes.subarray(at), bytes.subarray(0, at)]),
  NUL: insert("\0"),
  CR: insert("\r"),
  CRLF: insert("\r\n"),
  LF: insert("\n"),
  colon: insert(":"),
  backslash: insert("\\"),
  "byte order mark": insert("\ufeff"),
  "half a character": insert([0xf0, 0x9f]),
  "a surrogate in UTF-8": insert([0xed, 0xa0, 0xbd]),
  "an overlong NUL": insert([0xc0, 0x80]),
  "a byte that UTF-8 has not": insert([0xff]),
  "another byte": (bytes, at, length) => splice(bytes, at, 1, [length % 256]),
  "many headers": behindCommand((length) => "h:v\n".repeat(length * 4)),
  "a long header": behindCommand((length) => `h:${"x".repeat(length * 500)}\n`),
  "a long name": behindCommand((length) => `${"\\c".repeat(length * 250)}:\n`),
  "another length": behindCommand((length) => `content-length:${length}\n`),
  "a length past all": behindCommand((length) => `content-length:${"9".repeat(length)}\n`),
};

const damages = fc.array(
  fc.tuple(fc.constantFrom(...Object.keys(DAMAGES)), fc.nat(), fc.integer({ min: 1, max: 20 })),
  { minLength: 1, maxLength: 4 },
);

const damaged = fc.tuple(valid, damages).map(([{ version, bytes }, list]) => {
  let damagedBytes: Buffer = bytes;
  for (const [name, place, length] of list)
    damagedBytes = DAMAGES[name]!(damagedBytes, place % (damagedBytes.length + 1), length);
  return [damagedBytes, version] as const;
});

const textExamples: [string, StompVersion][] = [
  "",
  "\0",
  "\r",
  "\r\r\n",
  "SEND",
  "SEND\n",
  "SEND\n\n",
  "SEND\r\n\r\n\0",
  "SEND\na:b\r\n\n\0",
  "SEND\n:b\n\n\0",
  "SEND\n \t:b\n\n\0",
  "SEND\n\\c:b\n\n\0",
  "SEND\n\\:b\n\n\0",
  "SEND\na:\\\n\n\0",
  "SEND\na:b:c::\n\n\0",
  `SEND\na:${":".repeat(4_090)}\n\n\0`,
  "SEND\n__proto__:x\nconstructor:y\n\n\0",
  "SEND\na:1\na:2\n\n\0",
  "SEND\ncontent-length:1\ncontent-length:9\n\nx\0",
  "SEND\ncontent-length:2\n\né\0",
  "SEND\ncontent-length:1\n\né\0",
  "SEND\ncontent-length:3\n\n\ud83d\0",
  "SEND\ncontent-length:\n\nx\0",
  "SEND\ncontent-length:0\n\nx\0",
  "SEND\ncontent-length:4\n\n\0\0\0\0\0",
  "\ufeffSEND\n\n\0",
  "CONNECT\naccept-version :1.2\n b : c \n\n\0",
  "CONNECT\naccept-version:1.2\n b : c \n\n\0",
  "CONNECT\na:\\x\n\n\0",
  "DISCONNECT\ncontent-length:0\n\n\0\r\n\n",
  "ACK\n\nx\0",
].flatMap((text) =>
  (["1.0", "1.1", "1.2"] as const).map((version): [string, StompVersion] => [text, version]),
);

describe("whatever comes is frames or a StompError, and frames can be written and read again", () => {
  test("arbitrary bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), versions, holds), {
      ...cases,
      examples: textExamples.map(([text, version]): [Buffer, StompVersion] => [Buffer.from(text), version]),
    });
  });

  test("arbitrary text, lone surrogates included", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), versions, holds), {
      ...cases,
      examples: textExamples,
    });
  });

  test("pieces of frames", () => {
    fc.assert(
      fc.property(pieces, versions, (list, version) => holds(list.join(""), version)),
      cases,
    );
  });

  test("frames with damage", () => {
    fc.assert(
      fc.property(damaged, ([bytes, version]) => holds(bytes, version)),
      cases,
    );
  });
});

test("text and its bytes are read alike", () => {
  const outcome = (data: string | Uint8Array, version: StompVersion): unknown => {
    try {
      return parseFrames(data, version).map(plain);
    } catch (error) {
      const { code, message, framesBefore, receipt } = error as StompError;
      return { code, message, receipt, framesBefore: framesBefore.map(plain) };
    }
  };
  fc.assert(
    fc.property(pieces, versions, (list, version) => {
      const text = list.join("").toWellFormed();
      expect(outcome(Buffer.from(text), version)).toEqual(outcome(text, version));
    }),
    { ...cases, examples: [] },
  );
});

test("whole frames are read whole, and stand for themselves beside others", () => {
  fc.assert(
    fc.property(valid, valid, (first, second) => {
      const { version } = first;
      const frames = parseFrames(first.bytes, version);
      writesAgain(frames, version);
      const both = framesOf(Buffer.concat([first.bytes, second.bytes]), version);
      expect(both.slice(0, frames.length).map(plain)).toEqual(frames.map(plain));
    }),
    cases,
  );
});

test("the frames before bytes that are not UTF-8 come with the error, and none behind them", () => {
  const bad = fc.constantFrom([0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf0, 0x9f, 0x99]);
  fc.assert(
    fc.property(valid, bad, valid, fc.nat(20), ({ version, bytes }, not, { bytes: behind }, nuls) => {
      const frames = parseFrames(bytes, version);
      const head = Buffer.concat([bytes, Buffer.from("SEND\n\n"), Buffer.from(not), Buffer.alloc(nuls)]);
      expect(framesOf(Buffer.concat([head, behind]), version).map(plain)).toEqual(frames.map(plain));
    }),
    cases,
  );
});

/** Frames as large as messages of the socket service can be. */
const MB = 1_000_000;
test.each<[what: string, text: string]>([
  ["line ends", "\n".repeat(MB)],
  ["CRLFs", "\r\n".repeat(MB / 2)],
  ["carriage returns", "\r".repeat(MB)],
  ["NULs", "\0".repeat(MB)],
  ["colons", `SEND\n${":".repeat(MB)}`],
  ["colons in a header", `SEND\na:${":".repeat(MB)}\n\n\0`],
  ["backslashes", `SEND\na:${"\\".repeat(MB)}\n\n\0`],
  ["spaces in a header", `CONNECT\na:${" ".repeat(MB)}b\n\n\0`],
  ["empty headers", `SEND\n${"a:\n".repeat(MB / 3)}\n\0`],
  ["frames", "SEND\n\n\0".repeat(MB / 7)],
  ["frames with a length", "SEND\ncontent-length:1\n\nx\0".repeat(MB / 25)],
  ["a body", `SEND\n\n${"x".repeat(MB)}\0`],
  ["a body of three bytes a character", `SEND\n\n${"안".repeat(MB / 3)}\0`],
  ["a body without an end", `SEND\ncontent-length:65536\n\n${"[".repeat(MB)}`],
  ["a command", "A".repeat(MB)],
  ["frames before bytes that are no UTF-8", `${"SEND\n\n\0".repeat(MB / 7)}SEND\n\n\ud800\0`],
])("a megabyte of %s is judged like anything else", (_what, text) => {
  for (const version of ["1.0", "1.1", "1.2"] as const) {
    framesOf(text, version);
    const bytes = Buffer.from(text);
    bytes[bytes.length - 2] = 0xff;
    framesOf(bytes, version);
  }
});

test("nothing is kept of what was read or refused", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const inputs = fc.sample(damaged, { seed: cases.seed, numRuns: 500 });
  const readAll = (rounds: number): number => {
    for (let round = 0; round < rounds; round += 1)
      for (const [bytes, version] of inputs)
        try {
          parseFrames(bytes, version);
        } catch (error) {
          if (!(error instanceof StompError)) throw error;
        }
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = readAll(10);
  const after = readAll(400);
  // 200,000 inputs of a few hundred bytes: 50 bytes kept of each would be 10 MB.
  expect(after - before).toBeLessThan(10 * 1_024 * 1_024);
});
