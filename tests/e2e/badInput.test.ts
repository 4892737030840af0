import { createHmac } from "node:crypto";
import { connect as tcpConnect } from "node:net";
import { UnsecuredJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import WebSocket from "ws";
import { busAddress } from "../support/bus.js";
import { type Connected, call, connect, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { open, openConnected } from "../support/rawSocket.js";

let ann: number;
let roomId: number;
let bystander: Connected;
let heard: { content: string }[];
let checks = 0;

beforeAll(async () => {
  [ann] = newUsers(1) as [number];
  roomId = await makeRoom([ann]);
  bystander = await connect(ann);
  heard = await bystander.subscribe(`/sub/chat/room/${roomId}`);
});
afterAll(() => bystander.close());

afterEach(async () => {
  const content = `still served ${++checks}`;
  await bystander.say(roomId, content);
  await until(() => heard.at(-1)?.content === content, "the bystander is still served");
});

const message = (payload: unknown, headers = ""): string =>
  `SEND\ndestination:/pub/chat/message\n${headers}\n${typeof payload === "string" ? payload : JSON.stringify(payload)}\0`;

describe("before CONNECTED", () => {
  test.each<[name: string, data: string | Buffer, code: string]>([
    ["garbage bytes", Buffer.from([0xff, 0xfe, 0x00, 0x01, 0x80]), "MALFORMED_FRAME"],
    ["text that is no frame", "hello", "MALFORMED_FRAME"],
    ["an HTTP request", "GET / HTTP/1.1\r\nhost: x\r\n\r\n\0", "MALFORMED_FRAME"],
    ["SEND first", message({ content: "x" }), "MALFORMED_FRAME"],
    ["SUBSCRIBE first", "SUBSCRIBE\nid:1\ndestination:/sub/chat/room/1\n\n\0", "MALFORMED_FRAME"],
    ["no common version", "CONNECT\naccept-version:3.0\n\n\0", "NOT_SUPPORTED"],
    ["a NUL instead of the blank line", "CONNECT\naccept-version:1.2\n\0", "MALFORMED_FRAME"],
    ["16 KiB of header text", `CONNECT\nx:${"y".repeat(16_384)}\n\n\0`, "MALFORMED_FRAME"],
  ])("%s is answered with ERROR and a close", async (_name, data, code) => {
    const socket = await open(ann);
    socket.send(data);
    const answer = await socket.next();
    expect(answer).toMatch(/^ERROR\n/);
    expect(answer).toContain(`"code":"${code}"`);
    await socket.closed;
  });
});

describe("a frame the server can't go on from", () => {
  test.each<[name: string, data: () => string | Buffer, code: string]>([
    ["an unknown command", () => "SHOUT\n\n\0", "MALFORMED_FRAME"],
    ["a server's command", () => "MESSAGE\n\nx\0", "MALFORMED_FRAME"],
    ["a lower-case command", () => message({}).replace("SEND", "send"), "MALFORMED_FRAME"],
    ["an undefined escape", () => message({}, "x:a\\tb\n"), "MALFORMED_FRAME"],
    ["a header without a colon", () => message({}, "nothing\n"), "MALFORMED_FRAME"],
    ["a second CONNECT", () => "CONNECT\naccept-version:1.2\n\n\0", "MALFORMED_FRAME"],
    ["no destination", () => "SEND\n\n{}\0", "MALFORMED_FRAME"],
    [
      "SUBSCRIBE without id",
      () => `SUBSCRIBE\ndestination:/sub/chat/room/${roomId}\n\n\0`,
      "MALFORMED_FRAME",
    ],
    ["SUBSCRIBE without destination", () => "SUBSCRIBE\nid:1\n\n\0", "MALFORMED_FRAME"],
    [
      "a destination that is none",
      () => "SUBSCRIBE\nid:1\ndestination:/topic/x\n\n\0",
      "UNKNOWN_DESTINATION",
    ],
    [
      "a room id that is no number",
      () => "SUBSCRIBE\nid:1\ndestination:/sub/chat/room/1e3\n\n\0",
      "UNKNOWN_DESTINATION",
    ],
    [
      "another user's queue",
      () => "SUBSCRIBE\nid:1\ndestination:/user/1/queue/errors\n\n\0",
      "UNKNOWN_DESTINATION",
    ],
    [
      "SEND to a subscription's destination",
      () => `SEND\ndestination:/sub/chat/room/${roomId}\n\n{}\0`,
      "UNKNOWN_DESTINATION",
    ],
    ["SEND to an object's property", () => "SEND\ndestination:constructor\n\n{}\0", "UNKNOWN_DESTINATION"],
    [
      "ack other than auto",
      () => `SUBSCRIBE\nid:1\nack:client\ndestination:/sub/chat/room/${roomId}\n\n\0`,
      "NOT_SUPPORTED",
    ],
    ["ACK", () => "ACK\nid:1\n\n\0", "NOT_SUPPORTED"],
    ["BEGIN", () => "BEGIN\ntransaction:t\n\n\0", "NOT_SUPPORTED"],
    ["SEND in a transaction", () => message({}, "transaction:t\n"), "NOT_SUPPORTED"],
    [
      "a bad last-seq",
      () => `SUBSCRIBE\nid:1\nlast-seq:-1\ndestination:/sub/chat/room/${roomId}\n\n\0`,
      "MALFORMED_FRAME",
    ],
    [
      "a subscription id of 300 bytes",
      () => `SUBSCRIBE\nid:${"x".repeat(300)}\ndestination:/sub/chat/room/${roomId}\n\n\0`,
      "MALFORMED_FRAME",
    ],
    ["4 KiB of header text", () => message({}, `x:${"y".repeat(4_096)}\n`), "MALFORMED_FRAME"],
    ["a content-length past the frame", () => message("{}", "content-length:100\n"), "MALFORMED_FRAME"],
    ["a content-length too long by one", () => message("{}", "content-length:3\n"), "MALFORMED_FRAME"],
    ["a content-length short of the body", () => message("{}{}", "content-length:2\n"), "MALFORMED_FRAME"],
    ["a negative content-length", () => message("{}", "content-length:-1\n"), "MALFORMED_FRAME"],
    ["a body over 64 KiB", () => message("x".repeat(65_537)), "MESSAGE_TOO_LARGE"],
    ["a content-length over 64 KiB", () => message("x", "content-length:65537\n"), "MESSAGE_TOO_LARGE"],
    [
      "bytes that are no UTF-8",
      () => Buffer.concat([Buffer.from(message("").slice(0, -1)), Buffer.from([0xc3, 0x28, 0])]),
      "MALFORMED_FRAME",
    ],
  ])("%s is answered with ERROR and a close", async (_name, data, code) => {
    const socket = await openConnected(ann);
    socket.send(data());
    const answer = await socket.next();
    expect(answer).toMatch(/^ERROR\n/);
    expect(answer).toContain(`"code":"${code}"`);
    await socket.closed;
  });
});

describe("a payload that is wrong", () => {
  test.each<[name: string, payload: () => unknown, field: string]>([
    ["bad JSON", () => '{"roomId":', "JSON"],
    ["no body", () => "", "JSON"],
    ["an array", () => [], "object"],
    ["null", () => "null", "object"],
    ["no roomId", () => ({ content: "x" }), "roomId"],
    ["a roomId of the wrong type", () => ({ roomId: "1", content: "x" }), "roomId"],
    ["a roomId of 0", () => ({ roomId: 0, content: "x" }), "roomId"],
    ["a roomId with a fraction", () => ({ roomId: 1.5, content: "x" }), "roomId"],
    ["an unsafe roomId", () => '{"roomId":9007199254740993,"content":"x"}', "roomId"],
    ["no content", () => ({ roomId }), "content"],
    ["content of the wrong type", () => ({ roomId, content: 5 }), "content"],
    ["empty content", () => ({ roomId, content: "" }), "content"],
    ["white-space content", () => ({ roomId, content: " \n\t\u3000" }), "content"],
    ["5,001 characters", () => ({ roomId, content: "한".repeat(5_001) }), "content"],
    ["a lone surrogate", () => '{"roomId":1,"content":"\\ud800"}', "content"],
    ["an unknown type", () => ({ roomId, content: "x", type: "VIDEO" }), "type"],
    ["a system type", () => ({ roomId, content: "x", type: "SYSTEM_KICK" }), "type"],
    ["an IMAGE that is no URL", () => ({ roomId, content: "x", type: "IMAGE" }), "content"],
    ["an IMAGE over http", () => ({ roomId, content: "http://x/y.png", type: "IMAGE" }), "content"],
    ["an empty clientMessageId", () => ({ roomId, content: "x", clientMessageId: "" }), "clientMessageId"],
    [
      "a clientMessageId of 65 characters",
      () => ({ roomId, content: "x", clientMessageId: "x".repeat(65) }),
      "clientMessageId",
    ],
    [
      "a clientMessageId that is an object",
      () => ({ roomId, content: "x", clientMessageId: {} }),
      "clientMessageId",
    ],
  ])("%s is told on /user/queue/errors, and the connection stays open", async (_name, payload, field) => {
    const socket = await openConnected(ann);
    socket.send("SUBSCRIBE\nid:e\ndestination:/user/queue/errors\nreceipt:s\n\n\0");
    await socket.next();
    socket.send(message(payload(), "receipt:r\n"));
    const answer = await socket.next();
    expect(answer).toMatch(/^MESSAGE\n[\s\S]*subscription:e\n/);
    expect(answer).toContain('"code":"INVALID_MESSAGE"');
    expect(answer).toContain(field);
    socket.send("DISCONNECT\nreceipt:still open\n\n\0");
    expect(await socket.next()).toContain("receipt-id:still open");
    await socket.closed;
  });

  test("without /user/queue/errors it is an ERROR and a close", async () => {
    const socket = await openConnected(ann);
    socket.send(message({ roomId, content: "" }));
    expect(await socket.next()).toMatch(/^ERROR\n[\s\S]*"code":"INVALID_MESSAGE"/);
    await socket.closed;
  });

  test("5,000 characters, also of four bytes each, are taken", async () => {
    await bystander.say(roomId, "😀".repeat(5_000));
    await bystander.say(roomId, "a".repeat(5_000));
    await until(() => heard.at(-1)?.content === "a".repeat(5_000), "the long message");
    expect(heard.at(-2)?.content).toBe("😀".repeat(5_000));
  });
});

describe("a token that is worth nothing", () => {
  const forged: [name: string, token: () => Promise<string> | string][] = [
    ["none", () => ""],
    ["no JWT", () => "abc"],
    ["expired", () => tokenFor(ann, { expiresIn: -60 })],
    ["without exp", () => tokenFor(ann, { expiresIn: null })],
    ["forged with another secret", () => tokenFor(ann, { secret: "x".repeat(40) })],
    ["of another issuer", () => tokenFor(ann, { issuer: "elsewhere" })],
    ["for another audience", () => tokenFor(ann, { audience: "elsewhere" })],
    ["whose sub is a name", () => tokenFor(ann, { subject: "ann" })],
    ["whose sub is 0", () => tokenFor(ann, { subject: "0" })],
    ["whose sub is unsafe", () => tokenFor(ann, { subject: "9007199254740993" })],
    [
      "with alg none",
      () =>
        new UnsecuredJWT({})
          .setSubject(String(ann))
          .setIssuer("nonstop-chat-local")
          .setAudience("nonstop-chat")
          .setExpirationTime("1h")
          .encode(),
    ],
  ];

  test.each(forged)("%s: 401 at the handshake and at every HTTP call", async (_name, token) => {
    const value = await token();
    for (const [method, path] of [
      ["POST", "/negotiate"],
      ["GET", "/rooms"],
      ["POST", "/group-rooms"],
      ["GET", `/rooms/${roomId}/messages`],
    ] as const) {
      const answer = await call(method, path, value, method === "POST" ? {} : undefined);
      expect(answer.status).toBe(401);
      expect(answer.body).toMatchObject({ code: "UNAUTHORIZED", status: 401 });
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
    }
    expect(await handshakeStatus(`${inject("stack").webPubSub}?token=${value}`)).toBe(401);
  });
});

const handshakeStatus = (url: string): Promise<number> => {
  const socket = new WebSocket(url, ["v12.stomp"]);
  return new Promise((resolve, reject) => {
    socket.on("unexpected-response", (_request, response) => {
      resolve(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.on("open", () => reject(new Error("it was accepted")));
    socket.on("error", () => {});
  });
};

test("a hub that isn't declared has no clients", async () => {
  const url = inject("stack").webPubSub.replace("/hubs/chat", "/hubs/other");
  expect(await handshakeStatus(`${url}?token=${await tokenFor(ann)}`)).toBe(404);
});

test.each([
  ["none", undefined],
  ["a false one", `sha256=${"0".repeat(64)}`],
  ["one for another connection", `sha256=${createHmac("sha256", "wrong key").update("c1").digest("hex")}`],
])("an upstream call with %s of the service's signatures is refused", async (_name, signature) => {
  const response = await fetch(`${inject("stack").api}/api/v1/chat/upstream/message`, {
    method: "POST",
    headers: {
      "ce-awpsversion": "1.0",
      "ce-specversion": "1.0",
      "ce-type": "azure.webpubsub.user.message",
      "ce-hub": "chat",
      "ce-connectionid": "c1",
      "ce-userid": String(ann),
      "ce-id": "1",
      "webhook-request-origin": "127.0.0.1",
      "content-type": "text/plain",
      ...(signature === undefined ? {} : { "ce-signature": signature }),
    },
    body: message({ roomId, content: "forged" }),
  });
  expect(response.status).toBe(401);
});

test("another user's token does not renew", async () => {
  const socket = await openConnected(ann);
  const token = await tokenFor(ann + 1);
  socket.send(`SEND\ndestination:/pub/session/token\n\n${JSON.stringify({ token })}\0`);
  expect(await socket.next()).toMatch(/^ERROR\n[\s\S]*"code":"UNAUTHORIZED"/);
  await socket.closed;
});

test("garbage on the TCP port of every server leaves it serving", async () => {
  const stack = inject("stack");
  const ports = [stack.api, stack.webPubSub, busAddress(stack)].map((address) =>
    Number(/:(\d+)/.exec(address.replace(/^\w+:\/\//, ""))![1]),
  );
  for (const port of ports)
    await new Promise<void>((resolve) => {
      const socket = tcpConnect(port, "127.0.0.1", () => socket.end(Buffer.alloc(4_096, 0x7f)));
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
      setTimeout(() => socket.destroy(), 2_000);
    });
});
