import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeFrames, encodeFrame } from "../../client/stompFrames.js";
import { parseFrames } from "../../shared/stomp/parser.js";
import type { Limits } from "../../shared/stomp/reader.js";
import { prepareMessage, serializeFrame } from "../../shared/stomp/serializer.js";

/** The client has a codec of its own: here each reads what the other one wrote. */
const WIDE: Limits = {
  bodyBytes: 100_000,
  headerBytes: 20_000,
  connectHeaderBytes: 20_000,
  framesPerMessage: 100,
};

interface Plain {
  readonly command: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Read {
  readonly command: string;
  readonly headers: Iterable<readonly [string, string]>;
  readonly body: string;
}

const plain = ({ command, headers, body }: Read): Plain => {
  const { "content-length": _, ...rest } = Object.fromEntries(headers);
  return { command, headers: rest, body };
};

const awkward = fc.constantFrom(
  "a",
  "c",
  "n",
  "r",
  ":",
  "\\",
  "\r",
  "\n",
  " ",
  "\t",
  "é",
  "안",
  "🙂",
  "\ufeff",
);
const headerText = fc.oneof(
  fc.string({ maxLength: 12 }).map((text) => text.replaceAll("\0", "")),
  fc.string({ unit: awkward, maxLength: 12 }),
  fc.constantFrom("/sub/chat/room/1", "application/json", "__proto__x", "ack-1"),
);
const headers = fc
  .dictionary(
    headerText.filter((name) => name !== "" && name !== "content-length"),
    headerText,
    { maxKeys: 8, noNullPrototype: true },
  )
  .map((all) => ({ ...all }));
const body = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom("\0", "\n", "\r\n", "안", "🙂", "x", "\0\nMESSAGE\n\n\0"),
    maxLength: 20,
  }),
  fc.json({ maxDepth: 2 }),
);
const between = fc.constantFrom("", "\n", "\r\n", "\n\n\r\n");
/** The same cases each time; `FUZZ_SEED` and `FUZZ_RUNS` choose others, and more of them. */
const { FUZZ_SEED, FUZZ_RUNS } = process.env;
const cases = { seed: Number(FUZZ_SEED ?? 7), numRuns: Number(FUZZ_RUNS ?? 2_000) };

const framesOf = (commands: fc.Arbitrary<string>, bodies: (command: string) => fc.Arbitrary<string>) =>
  fc.array(
    commands.chain((command) => fc.record({ command: fc.constant(command), headers, body: bodies(command) })),
    { minLength: 1, maxLength: 4 },
  );

test("what the service writes, the client reads", () => {
  const hasBody = (command: string) => command === "MESSAGE" || command === "ERROR";
  const frames = framesOf(fc.constantFrom("MESSAGE", "RECEIPT", "ERROR"), (command) =>
    hasBody(command) ? body : fc.constant(""),
  );
  fc.assert(
    fc.property(frames, between, (written, eols) => {
      const text = written.map((frame) => serializeFrame(frame.command, frame.headers, frame.body, "1.2"));
      expect([...decodeFrames(text.join(eols) + eols)].map(plain)).toEqual(written);
    }),
    cases,
  );
});

test("CONNECTED, which is written without escapes, the client reads as it is", () => {
  const text = headerText.map((one) => one.replace(/[\r\n]/g, ""));
  fc.assert(
    fc.property(text, text, (session, name) => {
      const written = serializeFrame("CONNECTED", { version: "1.2", session, "user-name": name }, "", "1.2");
      expect([...decodeFrames(written)].map(plain)).toEqual([
        { command: "CONNECTED", headers: { version: "1.2", session, "user-name": name }, body: "" },
      ]);
    }),
    cases,
  );
});

test("a broadcast comes with the subscription's id as the client wrote it", () => {
  fc.assert(
    fc.property(headerText, body, (id, content) => {
      const [subscribe] = parseFrames(encodeFrame("SUBSCRIBE", { id, destination: "/a" }), "1.2", WIDE);
      const written = prepareMessage({ destination: "/a" }, content)(subscribe!.headers.wire("id")!);
      const [message] = [...decodeFrames(written)].map(plain);
      expect(message).toEqual({
        command: "MESSAGE",
        headers: { subscription: id, destination: "/a" },
        body: content,
      });
    }),
    cases,
  );
});

test("what the client writes, the service reads, as text and as bytes", () => {
  const frames = framesOf(fc.constantFrom("SEND", "SUBSCRIBE", "UNSUBSCRIBE"), (command) =>
    command === "SEND" ? body : fc.constant(""),
  );
  fc.assert(
    fc.property(frames, between, (written, eols) => {
      const text =
        written.map((frame) => encodeFrame(frame.command, frame.headers, frame.body)).join(eols) + eols;
      expect(parseFrames(text, "1.2", WIDE).map(plain)).toEqual(written);
      expect(parseFrames(Buffer.from(text), "1.2", WIDE).map(plain)).toEqual(written);
    }),
    cases,
  );
});

test("a body with half a surrogate pair is one that the service can read", () => {
  const halves = fc.string({ unit: fc.constantFrom("\ud83d", "\ude42", "x", "안"), maxLength: 12 });
  fc.assert(
    fc.property(halves, (text) => {
      // As a WebSocket sends it.
      const bytes = Buffer.from(encodeFrame("SEND", { destination: "/a" }, text));
      expect(parseFrames(bytes, "1.2", WIDE).map(plain)).toEqual([
        { command: "SEND", headers: { destination: "/a" }, body: text.replace(/\p{Surrogate}/gu, "\ufffd") },
      ]);
    }),
    cases,
  );
});
