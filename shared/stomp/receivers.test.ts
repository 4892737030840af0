import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { FakeBroadcaster } from "../../tests/fakes/broadcaster.js";
import { FakeEventBus } from "../../tests/fakes/eventBus.js";
import { UNLIMITED } from "../../tests/fakes/limits.js";
import { FakeSessionStore } from "../../tests/fakes/sessionStore.js";
import type { CommandDeps } from "../commands/command.js";
import { handleMessage } from "../commands/dispatch.js";
import type { Connection } from "../connections/connection.js";
import type { ConnectionState } from "../connections/connectionState.js";
import { logOut } from "../connections/logOut.js";
import { parseMessageSent } from "../events/messages.js";
import { broadcastErrors, broadcastMessages } from "../messages/broadcast.js";
import { ChatError } from "../platform/errors.js";
import { portsOf } from "../redis/ports.js";
import { type Database, formatted } from "../store/database.js";
import type { Answer } from "../upstream/events.js";
import type { StompVersion } from "./frame.js";
import { parseFrames } from "./parser.js";

/**
 * What clients write comes to other clients in frames: their ids, names, contents and receipts. Whatever they
 * write, the frames have the headers that they should have, as our parser and another one read them, and
 * nobody gets what is another's.
 */

/** The same cases each time; `FUZZ_SEED` and `FUZZ_RUNS` choose others, and more of them. */
const { FUZZ_SEED, FUZZ_RUNS } = process.env;
const cases = { seed: Number(FUZZ_SEED ?? 7), numRuns: Number(FUZZ_RUNS ?? 300) };
if (FUZZ_RUNS !== undefined) vi.setConfig({ testTimeout: 3_600_000 });

const HUBS = { "chat-messages": 1, "chat-read-events": 1 };
const NOW = Date.parse("2026-01-02T03:04:05.678Z");
const VERSIONS = ["1.0", "1.1", "1.2"] as const;

interface RawFrame {
  readonly command: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly binaryBody: Uint8Array;
}

/** The frames of a text as stompjs's parser finds them, their headers as they stand on the wire. */
let readByStompjs: (text: string) => RawFrame[];

beforeAll(async () => {
  // The package exports its client only; this is a file the client is made of.
  const root = dirname(dirname(createRequire(import.meta.url).resolve("@stomp/stompjs")));
  const { Parser } = await import(pathToFileURL(join(root, "esm6", "parser.js")).href);
  readByStompjs = (text) => {
    const frames: RawFrame[] = [];
    new Parser(
      (frame: RawFrame) => frames.push(frame),
      () => {},
    ).parseChunk(text);
    return frames;
  };
  for (const level of ["info", "warn", "error"] as const)
    vi.spyOn(console, level).mockImplementation(() => {});
});
afterAll(() => vi.restoreAllMocks());

/**
 * The statements of SUBSCRIBE and of broadcasts. Everybody is a member of every room; what else is asked for
 * isn't there.
 */
function memoryDatabase(): Database {
  const ids = new Map<string, Set<string>>();
  const answerTo = (text: string): readonly unknown[] => {
    if (text.includes("GET_LOCK")) return [{ got: 1 }];
    if (/ FROM room_members WHERE room_id = \d+ AND user_id = \d+$/.test(text)) return [{}];
    // Keys and ids are the only bytes.
    const [key = "", id = "", ...more] = [...text.matchAll(/X'(\w*)'/g)].map(([, hex]) =>
      Buffer.from(hex!, "hex").toString(),
    );
    if (text.startsWith("INSERT INTO subscription_ids")) ids.set(key, (ids.get(key) ?? new Set()).add(id));
    if (text.startsWith("DELETE FROM subscription_ids")) ids.get(key)?.delete(id);
    if (!text.includes("FROM subscription_ids WHERE destination IN")) return [];
    return [key, id, ...more].flatMap((destination) =>
      [...(ids.get(destination) ?? [])].map((one) => ({
        destination: Buffer.from(destination),
        subscription_id: Buffer.from(one),
        packed: 0,
      })),
    );
  };
  const query = async (statement: string | { sql: string; values?: unknown[] }, more?: unknown[]) => {
    const { sql, values } = typeof statement === "string" ? { sql: statement, values: more } : statement;
    const answers = formatted(sql, values).text.split(";\n").map(answerTo);
    return answers.length === 1 ? [answers[0], []] : [answers, answers.map(() => [])];
  };
  const connection = { query, release: () => {}, destroy: () => {} };
  return {
    query,
    getConnection: async () => connection,
    end: async () => {},
    statementMs: 1_000,
    poolSize: 16,
    onFault: () => {},
    answers: { at: 0 },
  } as unknown as Database;
}

interface World {
  readonly bus: FakeEventBus;
  readonly broadcaster: FakeBroadcaster;
  readonly deps: CommandDeps;
}

async function newWorld(limits: Partial<CommandDeps["limits"]> = {}): Promise<World> {
  const bus = new FakeEventBus(HUBS);
  const broadcaster = new FakeBroadcaster();
  const sessions = new FakeSessionStore();
  await sessions.putMembers(1, [7, 8, 9], "0");
  const deps: CommandDeps = {
    database: memoryDatabase(),
    bus,
    ...portsOf(sessions),
    broadcaster,
    now: () => NOW,
    limits: { ...UNLIMITED, ...limits },
    heartBeats: true,
    verifyToken: async () => {
      throw new ChatError("UNAUTHORIZED", "The token is not valid.");
    },
  };
  return { bus, broadcaster, deps };
}

const connectionOf = (connectionId: string, state: Partial<Connection["state"]>): Connection => ({
  connectionId,
  userId: Number(connectionId.split("-")[0]),
  state: { expiresAt: NOW / 1_000 + 60, subscriptions: new Map(), ...state },
});

/** One client with a version, that keeps its state from message to message. */
class Speaker {
  #connection: Connection;
  readonly #deps: CommandDeps;
  #sent = 0;

  constructor(connection: Connection, deps: CommandDeps) {
    this.#connection = connection;
    this.#deps = deps;
    // Open, as the socket service would know it.
    (deps.broadcaster as FakeBroadcaster).connections.add(connection.connectionId);
  }

  async say(data: string | Uint8Array): Promise<Answer<ConnectionState>> {
    this.#sent += 1;
    const message = { data: Buffer.from(data as string), eventId: String(this.#sent) };
    const answer = await handleMessage(message, this.#connection, this.#deps);
    this.#connection = { ...this.#connection, state: answer.state };
    return answer;
  }
}

// Texts

const VERSION = fc.constantFrom<StompVersion>(...VERSIONS);
/** What could end a line, a header or a frame, and what could be taken for it. */
const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      "\n",
      "\r",
      ":",
      "\\",
      "\0",
      "\\n",
      "\\c",
      "\r\n",
      "\n\n\0MESSAGE\n",
      "subscription:",
      "a",
      "/",
    ),
    fc.constantFrom(
      "é",
      "안",
      "🙂",
      "\ufeff",
      "\u2028",
      "\u0085",
      "\u001b",
      "~",
      "\ud83d",
      "\ude42",
      " ",
      "\t",
    ),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  ),
  minLength: 1,
  maxLength: 12,
});

/** The same without what a message or an id can't have, so that most are accepted. */
const acceptable = (more: readonly string[]) =>
  fc.string({
    unit: fc.oneof(
      fc.constantFrom(":", "\\", "\\n", '"', "\ufeff", "e\u0301", "안", "🙂", ...more),
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }),
    ),
    minLength: 1,
    maxLength: 12,
  });
const anyContent = fc.oneof(nasty, acceptable(["\n", "\n\nMESSAGE\n", "subscription:x\n", "\u2028", "\t"]));

/**
 * As much of a text as a client of a version can put into a header, and as it writes it. Colons of values
 * needn't be escaped where a parser is kind.
 */
function wireOf(text: string, version: StompVersion, escapesColons: boolean): string {
  const wire = text.toWellFormed().replaceAll("\0", "");
  if (version === "1.0") return wire.replace(/[\r\n]/g, "").replace(/^ +| +$/g, "");
  const escaped = wire.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  const returns = escaped.replaceAll("\r", version === "1.2" ? "\\r" : "");
  return escapesColons ? returns.replaceAll(":", "\\c") : returns;
}

type Fields = readonly (readonly [name: string, value: string])[];

/**
 * Checks that a text is one frame with exactly these headers as they stand on the wire, in both parsers'
 * eyes, and returns its body.
 */
function bodyOfOne(text: string, version: StompVersion, command: string, headers: Fields): string {
  const ours = parseFrames(text, version, {
    bodyBytes: 1e6,
    headerBytes: 1e4,
    connectHeaderBytes: 1e4,
    framesPerMessage: 1,
  });
  const { headers: found, body } = ours[0]!;
  const length: Fields = body === "" ? [] : [["content-length", String(Buffer.byteLength(body))]];
  const expected = [...headers, ...length];
  expect(ours.map((frame) => frame.command)).toEqual([command]);
  // In 1.0 blanks around a value don't count.
  const asRead = expected.map(([name, value]) => [
    name,
    version === "1.0" ? value.replace(/^ +| +$/g, "") : value,
  ]);
  expect([...found].map(([name]) => [name, found.wire(name)])).toEqual(asRead);
  // The decoder of stompjs takes a byte order mark away.
  const theirs = readByStompjs(text);
  const withoutMark = expected.map(([name, value]) => [name, value.replace(/^\ufeff/, "")]);
  expect(theirs.map((frame) => [frame.command, frame.headers])).toEqual([[command, withoutMark]]);
  expect(Buffer.from(theirs[0]!.binaryBody).toString()).toBe(body);
  return body;
}

const heard = ({ broadcaster }: World, connectionId: string): readonly string[] =>
  broadcaster.received.get(connectionId) ?? [];

const framesOf = (text: string): string[] => text.split(/(?<=\0)/);

const JSON_TYPE = ["content-type", "application/json"] as const;

test("messages, refusals and farewells come with the headers that they should have, whatever ids, names and contents are", async () => {
  const receiver = fc.record({ room: nasty, errors: nasty, session: nasty, escapesColons: fc.boolean() });
  const property = fc.asyncProperty(
    fc.tuple(receiver, receiver, receiver),
    fc.record({
      version: VERSION,
      nickname: nasty,
      content: anyContent,
      clientMessageId: fc.oneof(nasty, acceptable([])),
    }),
    async (receivers, { version, nickname, content, clientMessageId }) => {
      const world = await newWorld();
      const ids = receivers.map(({ escapesColons, ...texts }, index) => {
        const wire = (text: string) => wireOf(text, VERSIONS[index]!, escapesColons);
        return {
          room: `r${wire(texts.room)}`,
          errors: `e${wire(texts.errors)}`,
          session: `s${wire(texts.session)}`,
        };
      });
      for (const [index, { room, errors, session }] of ids.entries()) {
        const userId = 7 + index;
        const speaker = new Speaker(connectionOf(`${userId}-a`, { version: VERSIONS[index]! }), world.deps);
        for (const [destination, id] of [
          ["/sub/chat/room/1", room],
          ["/user/queue/errors", errors],
          ["/user/queue/session", session],
        ])
          expect((await speaker.say(`SUBSCRIBE\ndestination:${destination}\nid:${id}\n\n\0`)).text).toBe(
            undefined,
          );
      }
      expect(world.broadcaster.closed).toEqual([]);

      const sender = new Speaker(connectionOf("9-b", { version, nickname }), world.deps);
      await sender.say(`SUBSCRIBE\ndestination:/user/queue/errors\nid:own\n\n\0`);
      const payload = JSON.stringify({ roomId: 1, content, clientMessageId });
      await sender.say(`SEND\ndestination:/pub/chat/message\n\n${payload}\0`);
      const [event] = world.bus.hubs.get("chat-messages")!.partitions[0]!;
      if (event) {
        const message = { ...parseMessageSent(event.body), messageId: 5, seq: 1, sentAt: new Date(NOW) };
        await broadcastMessages([{ message, unreadCount: 2 }], world.deps);
      }
      const error = new ChatError("NOT_A_MEMBER", "The message was refused.", { roomId: 1, clientMessageId });
      const refused = [7, 8, 9].map((userId) => ({ userId, messageId: "m-1", error }));
      await broadcastErrors(refused, world.deps);
      for (const userId of [7, 8, 9]) await logOut(userId, undefined, world.deps);

      for (const [index, { room, errors, session }] of ids.entries()) {
        const [connectionId, spoken] = [`${7 + index}-a`, VERSIONS[index]!];
        const texts = heard(world, connectionId).flatMap(framesOf);
        if (event) {
          const body = bodyOfOne(texts.shift()!, spoken, "MESSAGE", [
            ["subscription", room],
            ["destination", "/sub/chat/room/1"],
            ["message-id", "5"],
            JSON_TYPE,
          ]);
          expect(JSON.parse(body)).toMatchObject({
            content: content.normalize("NFC"),
            senderNickname: nickname,
            clientMessageId,
          });
        }
        const ofRefusal = bodyOfOne(texts.shift()!, spoken, "MESSAGE", [
          ["subscription", errors],
          ["destination", "/user/queue/errors"],
          ["message-id", "m-1"],
          JSON_TYPE,
        ]);
        expect(JSON.parse(ofRefusal)).toMatchObject({ code: "NOT_A_MEMBER", clientMessageId });
        const ofEnd = bodyOfOne(texts.shift()!, spoken, "MESSAGE", [
          ["subscription", session],
          ["destination", "/user/queue/session"],
          ["message-id", `session-${connectionId}`],
          JSON_TYPE,
        ]);
        expect(JSON.parse(ofEnd)).toMatchObject({ type: "SESSION_CLOSED" });
        bodyOfOne(texts.shift()!, spoken, "ERROR", [
          ["message", "SESSION_CLOSED You have logged out."],
          JSON_TYPE,
        ]);
        expect(texts).toEqual([]);
      }
    },
  );
  await fc.assert(property, cases);
});

test("receipts come back as they were written, and refusals have no headers but their own", async () => {
  let refusals = 0;
  const property = fc.asyncProperty(
    VERSION,
    fc.constantFrom("SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "DISCONNECT", "CONNECT", "BEGIN", "MESSAGE"),
    fc.record({
      receipt: nasty,
      // The second refuses a message for its body, which whoever listens hears on the queue.
      destination: fc.oneof(nasty, fc.constant("/pub/chat/message")),
      id: nasty,
      more: nasty,
      escapesColons: fc.boolean(),
    }),
    fc.boolean(),
    async (version, command, { escapesColons, ...texts }, listens) => {
      const world = await newWorld();
      const wire = (text: string) => wireOf(text, version, escapesColons);
      const receipt = `<${wire(texts.receipt)}>`;
      // Nothing is escaped in a CONNECT, but in what answers it.
      const back = command === "CONNECT" ? wireOf(receipt, version, true) : receipt;
      const speaker = new Speaker(connectionOf("7-a", { version }), world.deps);
      if (listens) await speaker.say("SUBSCRIBE\ndestination:/user/queue/errors\nid:own\n\n\0");
      const headers = `receipt:${receipt}\ndestination:${wire(texts.destination)}\nid:${wire(texts.id)}\nmore:${wire(texts.more)}\n`;
      const { text = "" } = await speaker.say(`${command}\n${headers}\n\0`);
      const told = [text, ...heard(world, "7-a")].flatMap(framesOf).filter((frame) => frame !== "");
      expect(told).toHaveLength(1);
      if (told[0]!.startsWith("RECEIPT"))
        return void bodyOfOne(told[0]!, version, "RECEIPT", [["receipt-id", back]]);
      if (told[0]!.startsWith("MESSAGE")) {
        refusals += 1;
        return void bodyOfOne(told[0]!, version, "MESSAGE", [
          ["subscription", "own"],
          ["receipt-id", back],
          ["destination", "/user/queue/errors"],
          ["message-id", /\nmessage-id:(error-[\w-]{43})\n/.exec(told[0]!)![1]!],
          JSON_TYPE,
        ]);
      }
      const { code, message } = JSON.parse(told[0]!.slice(told[0]!.indexOf("\n\n") + 2, -1));
      bodyOfOne(told[0]!, version, "ERROR", [
        ["receipt-id", back],
        ["message", `${code} ${message}`.replace(/[\r\n\\:]/g, " ")],
        JSON_TYPE,
      ]);
    },
  );
  await fc.assert(property, cases);
  expect(refusals).toBeGreaterThan(0);
});

// Several connections at once

/** Stands in everything that a connection writes; none is a part of another. */
const MARKS = { "7-a": "«aa»", "7-b": "«bb»", "7-c": "«cc»", "8-d": "«dd»" } as const;
type Name = keyof typeof MARKS;
const NAMES = Object.keys(MARKS) as Name[];

/** What a client says that knows what it does. */
const SENSIBLE: readonly ((mark: string) => string)[] = [
  ...[{ type: "TEXT" }, { clientMessageId: 5 }, { type: "IMAGE" }, { roomId: 2 ** 40 }, { content: "" }].map(
    (more) => (mark: string) =>
      `SEND\ndestination:/pub/chat/message\nreceipt:${mark}\n\n${JSON.stringify({ roomId: 1, content: mark, clientMessageId: mark, ...more })}\0`,
  ),
  (mark) => `SEND\ndestination:/pub/chat/read\nreceipt:${mark}\n\n{"roomId":1,"messageId":5}\0`,
  ...["/sub/chat/room/1", "/sub/chat/room/1/read", "/user/queue/session"].flatMap((destination) => [
    (mark: string) =>
      `SUBSCRIBE\nid:${mark}${destination}\ndestination:${destination}\nreceipt:${mark}\n\n\0`,
    (mark: string) => `UNSUBSCRIBE\nid:${mark}${destination}\nreceipt:${mark}\n\n\0`,
  ]),
  (mark) => `SUBSCRIBE\nid:${mark}2\nlast-seq:0\ndestination:/sub/chat/room/1\n\n\0`,
];

/** What no client should say; the most part of it ends the connection. */
const senseless = fc
  .record({
    command: fc.constantFrom("SEND", "SUBSCRIBE", "UNSUBSCRIBE", "CONNECT", "ACK", "NONE"),
    destination: fc.constantFrom("/pub/session/token", "/pub/chat/message", "/sub/chat/room/1", "/nowhere/"),
    more: fc.constantFrom("", "", "transaction:t\n", "broken\n", "a:\\t\n", "content-length:3\n"),
    body: nasty,
  })
  .map(({ command, destination, more, body }) => (mark: string): string => {
    const json = command === "SEND" ? body : "";
    return `${command}\ndestination:${destination}${mark}\nid:${mark}\nreceipt:${mark}\n${more}\n${json}\0`;
  });

/** A frame with a connection's mark wherever an answer could give it back. */
const markedFrame = fc
  .record({
    write: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...SENSIBLE) },
      { weight: 1, arbitrary: senseless },
    ),
    damage: fc.oneof(
      { weight: 15, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.tuple(fc.nat(), fc.constantFrom("\0", "\n", ":", "\\", "\xff")) },
    ),
  })
  .map(({ write, damage }) => (mark: string): Buffer => {
    const bytes = Buffer.from(write(mark));
    if (!damage) return bytes;
    const at = damage[0] % bytes.length;
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(damage[1], "latin1"), bytes.subarray(at)]);
  });

const messages = fc.array(fc.array(markedFrame, { minLength: 1, maxLength: 3 }), { maxLength: 6 });

/**
 * Everything that is sent is somebody's own: an answer, a send to a connection, or a group of one's own ids.
 */
function belongs(to: Name, text: string): void {
  for (const name of NAMES) if (name !== to) expect(text).not.toContain(MARKS[name]);
}

test("each answer is for its own connection, whatever several say at once", async () => {
  const unhandled: unknown[] = [];
  const keep = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", keep);
  let [taken, answered] = [0, 0];
  const property = fc.asyncProperty(
    fc.tuple(messages, messages, messages, messages),
    fc.tuple(VERSION, VERSION, VERSION, VERSION),
    // With two places for the three connections of a user one of them is closed by the others.
    fc.constantFrom(0, 2),
    fc.constantFrom(0, 3),
    async (scripts, versions, sessionLimit, messageLimit) => {
      const world = await newWorld({ sessions: sessionLimit, messages: messageLimit });
      await Promise.all(
        NAMES.map(async (name, index) => {
          const speaker = new Speaker(connectionOf(name, {}), world.deps);
          const mark = MARKS[name];
          const hello = await speaker.say(
            `CONNECT\naccept-version:${versions[index]}\nreceipt:${mark}\n\n\0`,
          );
          belongs(name, hello.text ?? "");
          // So that a refusal does not end it.
          await speaker.say(`SUBSCRIBE\nid:${mark}e\ndestination:/user/queue/errors\n\n\0`);
          for (const frames of scripts[index]!) {
            const answer = await speaker.say(Buffer.concat(frames.map((frame) => frame(mark))));
            belongs(name, answer.text ?? "");
            if (answer.text?.includes(mark)) answered += 1;
            belongs(name, JSON.stringify([...answer.state.subscriptions]));
            if (answer.text) expect(() => parseFrames(answer.text!, versions[index]!)).not.toThrow();
          }
        }),
      );
      for (const { to, text } of world.broadcaster.sent) belongs(to as Name, text);
      for (const [index, name] of NAMES.entries())
        for (const text of heard(world, name))
          expect(() => parseFrames(text, versions[index]!)).not.toThrow();
      const events = world.bus.hubs
        .get("chat-messages")!
        .partitions[0]!.map(({ body }) => parseMessageSent(body));
      taken += events.length;
      // The user of three connections, and the user of the fourth.
      for (const { senderId, content } of events)
        if (content.includes(MARKS["8-d"])) expect(senderId).toBe(8);
        else if (/«..»/.test(content)) expect(senderId).toBe(7);
    },
  );
  try {
    await fc.assert(property, cases);
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("unhandledRejection", keep);
  }
  expect(unhandled).toEqual([]);
  // Else it would prove little.
  expect(Math.min(taken, answered)).toBeGreaterThan(cases.numRuns / 2);
});
