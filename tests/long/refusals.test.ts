import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { ErrorCode } from "../../shared/platform/errors.js";
import { busServer } from "../support/bus.js";
import { connect, history, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";
import { ownStack } from "../support/ownStack.js";
import { open, openConnected, type RawSocket } from "../support/rawSocket.js";

/** With limits that a few frames reach; of negotiations one is left for renewing a token. */
const LIMITS = {
  RATE_LIMIT_PER_MINUTE: "3",
  RATE_LIMIT_READS_PER_MINUTE: "3",
  RATE_LIMIT_NEGOTIATES_PER_MINUTE: "3",
  RATE_LIMIT_SUBSCRIBES_PER_MINUTE: "12",
};

const stack = ownStack(LIMITS);
const addresses = () => stack.addresses;
unlessLimitsAreOpen(() => stack.receiver.url);
/** A room of one member, who is nobody else in these tests, and a message of it. */
let strangeRoom: number;

beforeAll(async () => {
  strangeRoom = await makeRoom(newUsers(1), addresses());
});

type Version = "1.0" | "1.1" | "1.2";

const VERSIONS: readonly Version[] = ["1.0", "1.1", "1.2"];

/**
 * As they stand on the wire: a colon in 1.1 and 1.2, a backslash and a letter in 1.0, and the same bytes back
 * in all of them.
 */
const RECEIPT = "r\\c1 가";
const QUEUE_ID = "q\\c1";

/** A connection that is to be refused something. */
interface Client {
  readonly socket: RawSocket;
  readonly user: number;
  readonly roomId: number;
  readonly version: Version;
  readonly listens: boolean;
}

async function client(version: Version, listens: boolean, query = ""): Promise<Client> {
  const [user] = newUsers(1) as [number];
  const roomId = await makeRoom([user], addresses());
  const socket = await openConnected(user, version, undefined, query, addresses().webPubSub);
  if (listens) await accepted(socket, subscribe(QUEUE_ID, "/user/queue/errors"));
  return { socket, user, roomId, version, listens };
}

/**
 * Sends frames that each ask for a RECEIPT, in one WebSocket message; what is answered must be those, one a
 * message, and nothing else.
 */
async function accepted(socket: RawSocket, ...frames: readonly string[]): Promise<void> {
  socket.send(frames.map((frame, index) => frame.replace("\n", `\nreceipt:ok ${index}\n`)).join(""));
  for (const index of frames.keys())
    expect(await socket.next()).toBe(`RECEIPT\nreceipt-id:ok ${index}\n\n\0`);
}

const send = (destination: string, body: unknown, headers = ""): string =>
  `SEND\ndestination:${destination}\n${headers}\n${typeof body === "string" ? body : JSON.stringify(body)}\0`;

const message = (body: unknown, headers = ""): string => send("/pub/chat/message", body, headers);

const subscribe = (id: string, destination: string, headers = ""): string =>
  `SUBSCRIBE\nid:${id}\ndestination:${destination}\n${headers}\n\0`;

/** The same with a receipt asked for. */
const asking = (frame: string): string => frame.replace("\n", `\nreceipt:${RECEIPT}\n`);

interface Said {
  readonly code: ErrorCode;
  readonly text: string;
  readonly retryAfter?: number | undefined;
  readonly roomId?: number | undefined;
  readonly clientMessageId?: string | number | undefined;
}

const bodyOf = ({ code, text, retryAfter, roomId, clientMessageId }: Said): string =>
  JSON.stringify({ type: "ERROR", code, message: text, retryAfter, roomId, clientMessageId });

/** In a header no version can hold every text, so what one would have to escape is a blank there. */
const errorFrame = (said: Said, receipt: string | undefined, more = ""): string =>
  `ERROR\n${receipt === undefined ? "" : `receipt-id:${receipt}\n`}` +
  `message:${said.code} ${said.text.replaceAll(":", " ")}\ncontent-type:application/json\n${more}` +
  `content-length:${Buffer.byteLength(bodyOf(said))}\n\n${bodyOf(said)}\0`;

/** Like an ERROR it says which frame it is about. */
const queueFrame = (
  said: Said,
  messageId: string,
  receipt: string | undefined,
  id: string = QUEUE_ID,
): string =>
  `MESSAGE\nsubscription:${id}\n${receipt === undefined ? "" : `receipt-id:${receipt}\n`}destination:/user/queue/errors\nmessage-id:${messageId}\ncontent-type:application/json\n` +
  `content-length:${Buffer.byteLength(bodyOf(said))}\n\n${bodyOf(said)}\0`;

const messageIdOf = (frame: string): string => /\nmessage-id:(error-[\w-]{43})\n/.exec(frame)?.[1] ?? "none";

/** The seconds of a refusal, which only the server knows; whole ones, and never more than the minute. */
function retryAfterOf(frame: string): number {
  const seconds = Number(/"retryAfter":(\d+)[,}]/.exec(frame)?.[1]);
  expect(seconds).toBeGreaterThanOrEqual(1);
  expect(seconds).toBeLessThanOrEqual(61);
  return seconds;
}

/** The connection is open, nothing else has come, and it says goodbye in order. */
async function stillServed(socket: RawSocket): Promise<void> {
  socket.send("UNSUBSCRIBE\nid:none\nreceipt:served\n\n\0");
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:served\n\n\0");
  socket.send("DISCONNECT\nreceipt:bye\n\n\0");
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:bye\n\n\0");
  await socket.closed;
  expect(socket.arrived).toEqual([]);
}

async function closedWithoutMore(socket: RawSocket): Promise<void> {
  await socket.closed;
  expect(socket.arrived).toEqual([]);
}

/** One way to be refused. */
interface Case {
  /** In one WebSocket message, all of which pass. */
  readonly before?: (client: Client) => readonly string[];
  /** What is refused, without its `receipt`. */
  readonly frame: (client: Client) => string | Promise<string>;
  readonly text: string | ((retryAfter: number) => string);
  /** What the body says beside the code. */
  readonly roomId?: (client: Client) => number;
  readonly clientMessageId?: string | number;
  /** How the ERROR says which frame it was, where that is not as the frame wrote it. */
  readonly receiptId?: (version: Version) => string | undefined;
}

type Cases = Readonly<Record<string, Case>>;

const times = (count: number, frame: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, index) => frame(index));

const own = ({ roomId }: Client): number => roomId;
const strange = (): number => strangeRoom;
const tooMany =
  (limit: number, what: string) =>
  (retryAfter: number): string =>
    `At most ${limit} ${what} a minute; try again in ${retryAfter} s.`;

const RATE_LIMIT_EXCEEDED: Cases = {
  "one message too many": {
    before: ({ roomId }) => times(3, (index) => message({ roomId, content: `${index}` })),
    frame: ({ roomId }) => message({ roomId, content: "x", clientMessageId: "가-1" }),
    text: tooMany(3, "messages"),
    roomId: own,
    clientMessageId: "가-1",
  },
  "one message too many, by the number of its client": {
    before: ({ roomId }) => times(3, (index) => message({ roomId, content: `${index}` })),
    frame: ({ roomId }) => message({ roomId, content: "x", clientMessageId: 0 }),
    text: tooMany(3, "messages"),
    roomId: own,
    clientMessageId: 0,
  },
  "one message too many, that has no body": {
    before: ({ roomId }) => times(3, (index) => message({ roomId, content: `${index}` })),
    frame: () => message(""),
    text: tooMany(3, "messages"),
  },
  "one read too many": {
    before: ({ roomId }) => times(3, () => send("/pub/chat/read", { roomId, messageId: 1 })),
    frame: ({ roomId }) => send("/pub/chat/read", { roomId, messageId: 1 }),
    text: tooMany(3, "reads"),
    roomId: own,
  },
  "one SUBSCRIBE too many": {
    before: ({ roomId, listens }) =>
      times(listens ? 11 : 12, () => subscribe("again", `/sub/chat/room/${roomId}`)),
    frame: ({ roomId }) => subscribe("again", `/sub/chat/room/${roomId}`),
    text: tooMany(12, "subscriptions"),
  },
};

const NOT_A_MEMBER: Cases = {
  "a message to another one's room": {
    frame: () => message({ roomId: strangeRoom, content: "x", clientMessageId: 7 }),
    text: "You are not a member of this room.",
    roomId: strange,
    clientMessageId: 7,
  },
  "a message to a room that is not there": {
    frame: () => message({ roomId: 9_007_199_254_740_991, content: "x" }),
    text: "You are not a member of this room.",
    roomId: () => 9_007_199_254_740_991,
  },
  "a read of another one's room": {
    frame: () => send("/pub/chat/read", { roomId: strangeRoom, messageId: 1 }),
    text: "You are not a member of this room.",
    roomId: strange,
  },
  "a SUBSCRIBE to another one's room": {
    frame: () => subscribe("1", `/sub/chat/room/${strangeRoom}`),
    text: "You are not a member of this room.",
    roomId: strange,
  },
  "a SUBSCRIBE to another one's room from a seq on": {
    frame: () => subscribe("1", `/sub/chat/room/${strangeRoom}`, "last-seq:0\n"),
    text: "You are not a member of this room.",
    roomId: strange,
  },
  "a SUBSCRIBE to the reads of another one's room": {
    frame: () => subscribe("1", `/sub/chat/room/${strangeRoom}/read`),
    text: "You are not a member of this room.",
    roomId: strange,
  },
};

const INVALID_MESSAGE: Cases = {
  "a message of white space": {
    frame: ({ roomId }) => message({ roomId, content: " \n", clientMessageId: "a:b\\" }),
    text: "content: must not be empty or only white space",
    roomId: own,
    clientMessageId: "a:b\\",
  },
  "a message that is no JSON": {
    frame: () => message('{"roomId":1,'),
    text: "The body is not JSON.",
  },
  "an IMAGE that is no https URL": {
    frame: ({ roomId }) => message({ roomId, content: "http://x", type: "IMAGE", clientMessageId: -1 }),
    text: "content: must be an https URL for an IMAGE",
    roomId: own,
    clientMessageId: -1,
  },
  "a read of no message": {
    frame: ({ roomId }) => send("/pub/chat/read", { roomId, messageId: 0 }),
    text: "messageId: Too small: expected number to be >0",
    roomId: own,
  },
};

const MESSAGE_TOO_LARGE: Cases = {
  "a body of 65,537 bytes": {
    frame: () => message("x".repeat(65_537)),
    text: "The body is larger than 65536 bytes.",
  },
  "a body of 65,537 bytes in 21,847 characters": {
    frame: () => message(`${"한".repeat(21_845)}xx`),
    text: "The body is larger than 65536 bytes.",
  },
  "a content-length of 65,537": {
    frame: () => message("x", "content-length:65537\n"),
    text: "The body is larger than 65536 bytes.",
  },
};

const UNKNOWN_DESTINATION: Cases = {
  "a SEND to nowhere": {
    frame: () => send("/pub/chat/nowhere", {}),
    text: "Nothing can be sent to /pub/chat/nowhere",
  },
  "a SEND to where one subscribes": {
    frame: () => send("/user/queue/errors", {}),
    text: "Nothing can be sent to /user/queue/errors",
  },
  "a SUBSCRIBE to nothing": {
    frame: () => subscribe("1", "/topic/x"),
    text: "There is no destination /topic/x",
  },
  "a SUBSCRIBE to where one sends": {
    frame: () => subscribe("1", "/pub/chat/message"),
    text: "There is no destination /pub/chat/message",
  },
};

const TOO_MANY_SUBSCRIPTIONS: Cases = {
  "more ids than a connection's state holds": {
    // Eight of 240 bytes fit, with or without the queue's.
    before: ({ roomId }) =>
      times(8, (index) => subscribe(`${index}`.padEnd(240, "x"), `/sub/chat/room/${roomId}`)),
    frame: ({ roomId }) => subscribe("8".padEnd(240, "x"), `/sub/chat/room/${roomId}`),
    text: "A connection takes 100 subscriptions, fewer where their ids are long; unsubscribe first.",
  },
  "more ids for one destination than a user can need": {
    before: ({ roomId }) => times(8, (index) => subscribe(`${index}`, `/sub/chat/room/${roomId}`)),
    frame: ({ roomId }) => subscribe("8", `/sub/chat/room/${roomId}`),
    text: "A user takes 8 subscription ids for one destination, over all sessions; use the destination itself as the id, or unsubscribe first.",
  },
};

const UNAUTHORIZED: Cases = {
  "another user's token": {
    frame: async ({ user }) => send("/pub/session/token", { token: await tokenFor(user + 1) }),
    text: "The token belongs to another user.",
  },
  "a body without a token": {
    frame: () => send("/pub/session/token", "x"),
    text: 'The body must be {"token": "<JWT>"}.',
  },
};

const MALFORMED_FRAME: Cases = {
  "an unknown command": {
    frame: () => "SHOUT\n\n\0",
    text: "There is no client command SHOUT.",
  },
  "a second CONNECT": {
    frame: ({ version }) => `CONNECT\naccept-version:${version}\nhost:chat\n\n\0`,
    text: "This connection is connected already; CONNECT comes once.",
    // CONNECT is the one frame that is never escaped, so its backslash is one; in the ERROR of 1.1 and 1.2 it
    // has to be escaped.
    receiptId: (version) => (version === "1.0" ? RECEIPT : "r\\\\c1 가"),
  },
  "a SEND without a destination": {
    frame: () => "SEND\n\n{}\0",
    text: "SEND needs a destination header.",
  },
  "an id that is in use for another destination": {
    before: ({ roomId }) => [subscribe("1", `/sub/chat/room/${roomId}`)],
    frame: ({ roomId }) => subscribe("1", `/sub/chat/room/${roomId}/read`),
    text: "This subscription id is in use for another destination; choose another one.",
  },
  "a content-length past the frame": {
    frame: () => message("{}", "content-length:100\n"),
    text: "content-length says 100 bytes, but the body's NUL comes after 2: it counts the body's bytes in UTF-8, not its characters, and not the NUL.",
  },
  "a header without a colon": {
    frame: () => message({}, "nothing\n"),
    text: 'Line 4 is no header, as it has no colon: "nothing".',
    // None of its headers can be read.
    receiptId: () => undefined,
  },
};

const NOT_SUPPORTED: Cases = {
  ...Object.fromEntries(
    ["ACK", "NACK", "BEGIN", "COMMIT", "ABORT"].map((command) => [
      command,
      {
        frame: () => `${command}\nid:1\ntransaction:t\n\n\0`,
        text: `${command} is not supported here.`,
      },
    ]),
  ),
  "a message in a transaction": {
    frame: ({ roomId }) => message({ roomId, content: "x" }, "transaction:t\n"),
    text: "Transactions are not supported here.",
  },
  "a SUBSCRIBE that would acknowledge": {
    frame: ({ roomId }) => subscribe("1", `/sub/chat/room/${roomId}`, "ack:client-individual\n"),
    text: "Only ack:auto is supported.",
  },
};

/** Codes of HTTP calls alone, and the one that is only told when a message is stored. */
type OtherCode =
  | "INVALID_REQUEST"
  | "FORBIDDEN"
  | "ROOM_NOT_FOUND"
  | "MEMBER_NOT_FOUND"
  | "MESSAGE_NOT_FOUND"
  | "IDEMPOTENCY_KEY_REUSED"
  | "CLIENT_MESSAGE_ID_REUSED";

/**
 * What a refusal means for who listens on `/user/queue/errors`; who doesn't gets an ERROR and a close for
 * each.
 */
const CODES: Readonly<Record<Exclude<ErrorCode, OtherCode>, "goes on" | "is closed">> = {
  RATE_LIMIT_EXCEEDED: "goes on",
  NOT_A_MEMBER: "goes on",
  INVALID_MESSAGE: "goes on",
  TOO_MANY_SUBSCRIPTIONS: "goes on",
  UNAVAILABLE: "goes on",
  MALFORMED_FRAME: "is closed",
  MESSAGE_TOO_LARGE: "is closed",
  UNKNOWN_DESTINATION: "is closed",
  NOT_SUPPORTED: "is closed",
  UNAUTHORIZED: "is closed",
  TOKEN_EXPIRED: "is closed",
  SESSION_CLOSED: "is closed",
};

/**
 * By one frame each. The other three are caused by something else: a moment, another session, a server that
 * is away.
 */
const CASES: Readonly<
  Record<Exclude<keyof typeof CODES, "UNAVAILABLE" | "TOKEN_EXPIRED" | "SESSION_CLOSED">, Cases>
> = {
  RATE_LIMIT_EXCEEDED,
  NOT_A_MEMBER,
  INVALID_MESSAGE,
  TOO_MANY_SUBSCRIPTIONS,
  MALFORMED_FRAME,
  MESSAGE_TOO_LARGE,
  UNKNOWN_DESTINATION,
  NOT_SUPPORTED,
  UNAUTHORIZED,
};

const TABLE = Object.entries(CASES).flatMap(([code, cases]) =>
  Object.entries(cases).map(([what, one]) => [code as keyof typeof CASES, what, one] as const),
);

test("the documented codes are those that are tried here", () => {
  const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
  const part = page.slice(page.indexOf("**What goes wrong**"), page.indexOf("## Messages"));
  const [goesOn, closes] = part.split("Everything else") as [string, string];
  const codesIn = (text: string) =>
    [...text.matchAll(/`([A-Z]+_[A-Z_]+|UNAVAILABLE|UNAUTHORIZED)`/g)].map(([, code]) => code!);
  const codesThat = (what: string) =>
    Object.entries(CODES).flatMap(([code, effect]) => (effect === what ? code : []));
  expect(codesIn(goesOn).toSorted()).toEqual(codesThat("goes on").toSorted());
  expect(codesIn(closes.split("as an `ERROR`")[0]!).toSorted()).toEqual(codesThat("is closed").toSorted());
});

describe.each(VERSIONS)("STOMP %s", UNLESS_LATE, (version) => {
  describe.each([
    ["with a subscription to /user/queue/errors", true],
    ["without it", false],
  ])("%s", (_how, listens) => {
    test.each(TABLE)("%s: %s", async (code, _what, { before, frame, text, ...about }) => {
      const one = await client(version, listens);
      const { socket } = one;
      if (before) await accepted(socket, ...before(one));
      socket.send(asking(await frame(one)));
      const answer = await socket.next();
      const retryAfter = code === "RATE_LIMIT_EXCEEDED" ? retryAfterOf(answer) : undefined;
      const said: Said = {
        code,
        text: typeof text === "string" ? text : text(retryAfter ?? Number.NaN),
        retryAfter,
        roomId: about.roomId?.(one),
        clientMessageId: about.clientMessageId,
      };
      if (listens && CODES[code] === "goes on") {
        expect(answer).toBe(queueFrame(said, messageIdOf(answer), RECEIPT));
        await stillServed(socket);
      } else {
        expect(answer).toBe(errorFrame(said, about.receiptId ? about.receiptId(version) : RECEIPT));
        await closedWithoutMore(socket);
      }
    });

    test("RATE_LIMIT_EXCEEDED: one token too many", async () => {
      const { socket, user } = await client(version, listens);
      const token = await tokenFor(user);
      await accepted(socket, ...times(3, () => send("/pub/session/token", { token })));
      socket.send(asking(send("/pub/session/token", { token })));
      const answer = await socket.next();
      const retryAfter = retryAfterOf(answer);
      const text = tooMany(3, "negotiations and renewed tokens")(retryAfter);
      const said: Said = { code: "RATE_LIMIT_EXCEEDED", text, retryAfter };
      expect(answer).toBe(
        listens ? queueFrame(said, messageIdOf(answer), RECEIPT) : errorFrame(said, RECEIPT),
      );
      await (listens ? stillServed : closedWithoutMore)(socket);
    });

    test("SESSION_CLOSED: the same device comes again", async () => {
      const { socket, user } = await client(version, listens, "&deviceId=phone");
      const again = await openConnected(user, version, undefined, "&deviceId=phone", addresses().webPubSub);
      const said: Said = { code: "SESSION_CLOSED", text: "This device has connected anew." };
      expect(await socket.next()).toBe(errorFrame(said, undefined));
      await closedWithoutMore(socket);
      await stillServed(again);
    });

    test("a frame without receipt is refused without receipt-id", async () => {
      const { socket } = await client(version, listens);
      socket.send(message("x"));
      const answer = await socket.next();
      const said: Said = { code: "INVALID_MESSAGE", text: "The body is not JSON." };
      expect(answer).toBe(
        listens ? queueFrame(said, messageIdOf(answer), undefined) : errorFrame(said, undefined),
      );
      await (listens ? stillServed : closedWithoutMore)(socket);
    });

    test("what stands behind a refused frame is handled where the connection goes on, and only there", async () => {
      const { socket, user, roomId } = await client(version, listens);
      const behind = message({ roomId, content: "behind" }, "receipt:behind\n");
      socket.send(`${asking(message("x"))}\n${behind}`);
      const frames = [await socket.next(), ...(listens ? [await socket.next()] : [])];
      const said: Said = { code: "INVALID_MESSAGE", text: "The body is not JSON." };
      const stored = () => history(roomId, user, addresses());
      if (listens) {
        expect(frames).toEqual([
          queueFrame(said, messageIdOf(frames[0]!), RECEIPT),
          "RECEIPT\nreceipt-id:behind\n\n\0",
        ]);
        await until(async () => (await stored()).length === 1, "the message behind is stored");
        await stillServed(socket);
      } else {
        expect(frames).toEqual([errorFrame(said, RECEIPT)]);
        await closedWithoutMore(socket);
        expect(await stored()).toEqual([]);
      }
    });
  });
});

test("two refusals have different message ids", async () => {
  const { socket } = await client("1.2", true);
  socket.send(message("x") + message("x"));
  socket.send(message("x"));
  const frames = [await socket.next(), await socket.next(), await socket.next()];
  expect(new Set(frames.map(messageIdOf)).size).toBe(3);
  await stillServed(socket);
});

test("of two subscriptions to the queue the first one hears it, and after UNSUBSCRIBE the other one", async () => {
  const { socket } = await client("1.2", true);
  await accepted(socket, subscribe("second", "/user/queue/errors"));
  const said: Said = { code: "INVALID_MESSAGE", text: "The body is not JSON." };
  socket.send(message("x"));
  const first = await socket.next();
  expect(first).toBe(queueFrame(said, messageIdOf(first), undefined));
  await accepted(socket, `UNSUBSCRIBE\nid:${QUEUE_ID}\n\n\0`);
  socket.send(message("x"));
  const second = await socket.next();
  expect(second).toBe(queueFrame(said, messageIdOf(second), undefined, "second"));
  await accepted(socket, "UNSUBSCRIBE\nid:second\n\n\0");
  socket.send(message("x"));
  expect(await socket.next()).toBe(errorFrame(said, undefined));
  await closedWithoutMore(socket);
});

test("a refusal is told to the connection that sent the frame, and to no other of its user", async () => {
  const { socket, user } = await client("1.2", true);
  const other = await openConnected(user, "1.1", undefined, "", addresses().webPubSub);
  await accepted(other, subscribe("also", "/user/queue/errors"));
  socket.send(message("x"));
  expect(await socket.next()).toContain('"code":"INVALID_MESSAGE"');
  await stillServed(socket);
  await stillServed(other);
});

describe("before CONNECTED", () => {
  const fresh = () => open(newUsers(1)[0]!, ["v12.stomp"], "", undefined, addresses().webPubSub);

  test.each<[string, string, Said, string | undefined, string]>([
    [
      "another frame",
      asking(message({})),
      { code: "MALFORMED_FRAME", text: "The first frame must be CONNECT or STOMP." },
      RECEIPT,
      "",
    ],
    [
      "no common version",
      "CONNECT\naccept-version:0.9,2.0\nhost:chat\n\n\0",
      { code: "NOT_SUPPORTED", text: "No common version; this server speaks 1.0,1.1,1.2." },
      undefined,
      "version:1.0,1.1,1.2\n",
    ],
    [
      "no command",
      "GET / HTTP/1.1\n\n\0",
      {
        code: "MALFORMED_FRAME",
        text: 'The message does not begin with a STOMP command: "GET / HTTP/1.1".',
      },
      undefined,
      "",
    ],
  ])("%s is an ERROR and a close", async (_what, data, said, receipt, more) => {
    const socket = await fresh();
    socket.send(data);
    expect(await socket.next()).toBe(errorFrame(said, receipt, more));
    await closedWithoutMore(socket);
  });
});

const EACH = VERSIONS.flatMap((version) => [true, false].map((listens) => [version, listens] as const));

test("TOKEN_EXPIRED: the first frame after the token's end, in every version, with and without the queue", async () => {
  const clients = await Promise.all(EACH.map(([version, listens]) => client(version, listens)));
  await Promise.all(
    clients.map(async ({ socket, user }) => {
      await accepted(socket, send("/pub/session/token", { token: await tokenFor(user, { expiresIn: 2 }) }));
      let answer: string;
      do {
        // A token that is seen when it has ended lives for the tolerance of the clocks, 30 s.
        await new Promise((resolve) => setTimeout(resolve, 500));
        socket.send(`UNSUBSCRIBE\nid:none\nreceipt:${RECEIPT}\n\n\0`);
        answer = await socket.next();
      } while (answer === `RECEIPT\nreceipt-id:${RECEIPT}\n\n\0`);
      const text = "The token has expired; connect again with a new one.";
      expect(answer).toBe(errorFrame({ code: "TOKEN_EXPIRED", text }, RECEIPT));
      await closedWithoutMore(socket);
    }),
  );
});

describe("UNAVAILABLE: with the event bus standing still", () => {
  const text = "The event bus can't be reached right now; send it again.";
  const behindText = "A frame before this one could not be handled; send this one again, too.";

  test("a message and what stands behind it are refused in every version, and taken when sent again", async () => {
    const clients = await Promise.all(EACH.map(([version, listens]) => client(version, listens)));
    stack.kill(busServer(addresses()), "SIGSTOP");
    try {
      await Promise.all(clients.map(refusedForNow));
    } finally {
      stack.kill(busServer(addresses()), "SIGCONT");
    }
    await heardAgain();
    await Promise.all(clients.map(takenNow));
  });

  /** The app asks whether the bus is back when somebody wants it, and refuses until it has heard that it is. */
  async function heardAgain(): Promise<void> {
    const [user, other] = newUsers(2) as [number, number];
    const roomId = await makeRoom([user, other], addresses());
    const isTaken = async (): Promise<boolean> => {
      const sender = await connect(user, { stack: addresses() });
      const taken = await sender.say(roomId, "is anybody there", { clientMessageId: "1" }).then(
        () => true,
        () => false,
      );
      await sender.close();
      return taken;
    };
    await until(isTaken, "the bus is heard again");
  }

  const first = (roomId: number) => message({ roomId, content: "first", clientMessageId: "1" });
  const behind = (roomId: number) => message({ roomId, content: "behind", clientMessageId: 2 });

  async function refusedForNow({ socket, roomId, listens }: Client): Promise<void> {
    socket.send(asking(first(roomId)) + asking(behind(roomId)));
    const frames = [await socket.next(), ...(listens ? [await socket.next()] : [])];
    const said: Said = { code: "UNAVAILABLE", text, roomId, clientMessageId: "1" };
    const saidBehind: Said = { code: "UNAVAILABLE", text: behindText, roomId, clientMessageId: 2 };
    if (listens)
      expect(frames).toEqual([
        queueFrame(said, messageIdOf(frames[0]!), RECEIPT),
        queueFrame(saidBehind, messageIdOf(frames[1]!), RECEIPT),
      ]);
    else {
      expect(frames).toEqual([errorFrame(said, RECEIPT)]);
      await closedWithoutMore(socket);
    }
  }

  /**
   * Once the bus is back both are sent again with the same ids, on the same connection where it went on, and
   * are stored once.
   */
  async function takenNow({ socket, user, roomId, version, listens }: Client): Promise<void> {
    const [one, two] = [first(roomId), behind(roomId)];
    const next = listens ? socket : await openConnected(user, version, undefined, "", addresses().webPubSub);
    await accepted(next, one);
    await accepted(next, two);
    await until(async () => (await history(roomId, user, addresses())).length >= 2, "both are stored");
    const stored = await history(roomId, user, addresses());
    expect(stored.map(({ content, seq }) => [seq, content])).toEqual([
      [1, "first"],
      [2, "behind"],
    ]);
    await stillServed(next);
  }
});
