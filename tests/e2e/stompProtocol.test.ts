import { connect as connectTcp, createServer, type Socket } from "node:net";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubClient, type WebPubSubClientOptions } from "@azure/web-pubsub-client";
import { isFinal, type StompProtocolOptions, stompProtocol } from "@nonstop/chat-client";
import { expect, inject, test } from "vitest";
import { WebSocketServer } from "ws";
import { LOOPBACK } from "../../local/ports.js";
import { afterTest } from "../support/chat.js";
import { connect, history, type Json, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";

const ERRORS = "/user/queue/errors";
unlessLimitsAreOpen();
const two = () => newUsers(2) as [number, number];
const groupOf = (roomId: number) => `/sub/chat/room/${roomId}`;

type Options = WebPubSubClientOptions & { url?: () => string; stomp?: StompProtocolOptions };

/** A client of the unmodified SDK; what it emits collects in lists. Stopped after the test. */
function sdkClient(
  userId: number,
  { url = () => inject("stack").webPubSub, stomp, ...options }: Options = {},
) {
  const getClientAccessUrl = async () => `${url()}?token=${await tokenFor(userId)}&connect=implicit`;
  const client = new WebPubSubClient(
    { getClientAccessUrl },
    {
      protocol: stompProtocol(stomp),
      keepAliveIntervalInMs: 0,
      keepAliveTimeoutInMs: 0,
      messageRetryOptions: { maxRetries: 0 },
      reconnectRetryOptions: { retryDelayInMs: 50 },
      ...options,
    },
  );
  const connected: Json[] = [];
  const disconnected: Json[] = [];
  const messages: Json[] = [];
  const serverMessages: Json[] = [];
  const rejoinFailed: Json[] = [];
  const state = { client, connected, disconnected, messages, serverMessages, rejoinFailed, stopped: false };
  let ended = false;
  client.on("connected", (event) => {
    connected.push(event);
    // While it reconnects, stop() does nothing.
    if (ended) client.stop();
  });
  client.on("disconnected", (event) => void disconnected.push(event));
  client.on("group-message", ({ message }) => void messages.push(message));
  client.on("server-message", ({ message }) => void serverMessages.push(message.data));
  client.on("rejoin-group-failed", (event) => void rejoinFailed.push(event));
  client.on("stopped", () => {
    state.stopped = true;
  });
  afterTest(async () => {
    ended = true;
    client.stop();
    await until(() => state.stopped || connected.length === 0, "the client is stopped");
  });
  return state;
}

type SdkClient = ReturnType<typeof sdkClient>;

async function started(userId: number, options?: Options): Promise<SdkClient> {
  const sdk = sdkClient(userId, options);
  await sdk.client.start();
  await until(() => sdk.connected.length === 1, "CONNECTED");
  return sdk;
}

const contents = ({ messages }: SdkClient, group: string) =>
  messages.filter((message) => message.group === group).map(({ data }) => data.content);

/** A network of bytes, which can keep what the service says and break all connections. */
async function tcpProxy() {
  const target = new URL(inject("stack").webPubSub);
  const sockets = new Set<Socket>();
  const downstream = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connectTcp(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    downstream.add(upstream);
    client.pipe(upstream).pipe(client);
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  const { port } = server.address() as { port: number };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    downstream.clear();
  };
  afterTest(async () => {
    cut();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    url: `ws://${LOOPBACK}:${port}${target.pathname}`,
    cut,
    /** From now on nothing comes to the clients that are connected. */
    mute() {
      for (const socket of downstream) socket.unpipe().resume();
    },
  };
}

/** Answers the handshake and every SUBSCRIBE with what the test wants to be said. */
async function stompServer(answer: (frame: string) => readonly (string | Uint8Array)[]): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: LOOPBACK, handleProtocols: () => "v12.stomp" });
  server.on("connection", (socket) => {
    socket.send("CONNECTED\nversion:1.2\nsession:c-1\nuser-name:42\n\n\0");
    socket.on("message", (frame) => {
      for (const part of answer(String(frame))) socket.send(part);
    });
  });
  await new Promise((resolve) => server.once("listening", resolve));
  afterTest(async () => {
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  });
  return `ws://${LOOPBACK}:${(server.address() as { port: number }).port}/`;
}

test("CONNECTED tells the connection and the user", async () => {
  const [ann] = two();
  const { connected } = await started(ann);
  expect(connected).toEqual([{ connectionId: expect.stringMatching(/./), userId: String(ann) }]);
});

test("joined rooms bring messages, which are sent as text, as an object and as an event", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const room = groupOf(roomId);
  const [sdkA, sdkB] = [await started(ann), await started(ben)];
  for (const { client } of [sdkA, sdkB])
    await expect(client.joinGroup(room)).resolves.toEqual({ ackId: 1, isDuplicated: false });
  await expect(sdkA.client.sendToGroup(room, "안녕 🙂", "text")).resolves.toMatchObject({ ackId: 2 });
  await sdkA.client.sendToGroup(room, { content: "an object", clientMessageId: "o-1" }, "json");
  await sdkA.client.sendEvent("/pub/chat/message", { roomId, content: "an event" }, "json");
  await sdkA.client.sendToGroup(room, "nobody waits for it", "text", { fireAndForget: true });
  await until(() => sdkA.messages.length === 4 && sdkB.messages.length === 4, "all messages came");
  expect(sdkA.messages).toEqual(sdkB.messages);
  const stored = await history(roomId, ben);
  expect(sdkB.messages).toEqual(
    stored.map((data) => ({
      kind: "groupData",
      group: room,
      dataType: "json",
      fromUserId: String(ann),
      data: expect.objectContaining({ ...data, unreadCount: 1 }),
    })),
  );
  expect(stored.map(({ content }) => content)).toEqual([
    "안녕 🙂",
    "an object",
    "an event",
    "nobody waits for it",
  ]);
  expect(stored[1]).toMatchObject({ clientMessageId: "o-1" });
});

test("a room that was left brings nothing more, and its reads are a group of their own", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const room = groupOf(roomId);
  const [sdkA, sdkB] = [await started(ann), await started(ben)];
  await sdkA.client.joinGroup(room);
  await sdkA.client.joinGroup(`${room}/read`);
  await sdkB.client.joinGroup(room);
  await sdkB.client.sendToGroup(room, "one", "text");
  await until(() => contents(sdkA, room).length === 1, "it came");
  await sdkA.client.leaveGroup(room);
  await sdkB.client.sendToGroup(room, "two", "text");
  await until(() => sdkB.messages.length === 2, "the other one has both");
  const { messageId } = sdkB.messages[1].data;
  await sdkA.client.sendEvent("/pub/chat/read", { roomId, messageId }, "json");
  const reads = () => sdkA.messages.filter(({ group }) => group === `${room}/read`).map(({ data }) => data);
  await until(() => reads().some(({ userId }) => userId === ann), "the read came");
  expect(reads().at(-1)).toMatchObject({ roomId, userId: ann, lastReadMessageId: messageId });
  expect(contents(sdkA, room)).toEqual(["one"]);
});

test("with the queue of errors joined, a refusal rejects its call and nothing else", async () => {
  const [ann, ben] = two();
  const [mine, other] = [await makeRoom([ann, ben]), await makeRoom([ben])];
  const sdk = await started(ann);
  const { client } = sdk;
  await client.joinGroup(ERRORS);
  await client.joinGroup(groupOf(mine));
  const refused = (name: string, more: object) => ({
    name: "SendMessageError",
    errorDetail: { name, message: expect.stringMatching(/\w/), ...more },
  });
  await expect(client.joinGroup(groupOf(other))).rejects.toMatchObject(
    refused("NOT_A_MEMBER", { roomId: other }),
  );
  const blank = { content: "  ", clientMessageId: "b-1" };
  const calls = [
    client.sendToGroup(groupOf(other), { content: "Hi", clientMessageId: 7 }, "json"),
    client.sendToGroup(groupOf(mine), blank, "json"),
    client.sendToGroup(groupOf(mine), "fine", "text"),
    client.sendToGroup(groupOf(0), "Hi", "text"),
  ] as const;
  await expect(calls[0]).rejects.toMatchObject(
    refused("NOT_A_MEMBER", { roomId: other, clientMessageId: 7 }),
  );
  await expect(calls[1]).rejects.toMatchObject(
    refused("INVALID_MESSAGE", { roomId: mine, clientMessageId: "b-1" }),
  );
  await expect(calls[2]).resolves.toMatchObject({ isDuplicated: false });
  await expect(calls[3]).rejects.toMatchObject(refused("INVALID_MESSAGE", {}));
  expect(sdk.messages.filter(({ group }) => group === ERRORS).map(({ data }) => data.code)).toEqual([
    "NOT_A_MEMBER",
    "NOT_A_MEMBER",
    "INVALID_MESSAGE",
    "INVALID_MESSAGE",
  ]);
  expect([sdk.connected.length, sdk.disconnected]).toEqual([1, []]);
});

test("what can't be written is refused without being sent", async () => {
  const sdk = await started(two()[0]);
  const { client } = sdk;
  await expect(client.sendToGroup(groupOf(1), new ArrayBuffer(4), "binary")).rejects.toThrow(
    "its text, or an object with content",
  );
  await expect(client.sendEvent("/pub/chat/message", new ArrayBuffer(4), "binary")).rejects.toThrow(
    'send "json" or "text"',
  );
  await expect(client.sendToGroup(groupOf(1), "x".repeat(70_000), "text")).rejects.toThrow("too large");
  await expect(client.invokeEvent("/pub/chat/message", "Hi", "text")).rejects.toThrow("no frame for invoke");
  await client.joinGroup(ERRORS);
  expect(sdk.connected).toHaveLength(1);
});

test("an ERROR tells why, ends the connection, and the SDK comes back with its groups", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const room = groupOf(roomId);
  const sdk = await started(ann);
  await sdk.client.joinGroup(room);
  // Without the queue of errors a refusal is an ERROR.
  await expect(sdk.client.sendToGroup(room, " ", "text")).rejects.toMatchObject({
    errorDetail: { name: "INVALID_MESSAGE", roomId },
  });
  expect(sdk.serverMessages).toEqual([
    expect.objectContaining({ type: "ERROR", code: "INVALID_MESSAGE", roomId }),
  ]);
  await until(() => sdk.connected.length === 2, "it is back");
  const [first, second] = sdk.connected;
  expect(second.connectionId).not.toBe(first.connectionId);
  expect(sdk.disconnected).toEqual([
    {
      connectionId: first.connectionId,
      message: { kind: "disconnected", message: expect.stringMatching(/\w/) },
    },
  ]);
  await sdk.client.sendToGroup(room, "back", "text");
  await until(() => contents(sdk, room).includes("back"), "messages come again");
  expect(sdk.rejoinFailed).toEqual([]);
});

test("a destination that there is not ends the connection even with the queue of errors", async () => {
  const sdk = await started(two()[0]);
  await sdk.client.joinGroup(ERRORS);
  await expect(sdk.client.sendEvent("/pub/nothing", {}, "json")).rejects.toMatchObject({
    errorDetail: { name: "UNKNOWN_DESTINATION" },
  });
  await until(() => sdk.connected.length === 2, "it is back");
  await expect(sdk.client.sendToGroup(groupOf(1), " ", "text")).rejects.toMatchObject({
    errorDetail: { name: "INVALID_MESSAGE" },
  });
  expect(sdk.connected).toHaveLength(2);
});

test("a connection that the socket service closes comes back with its groups", async () => {
  const [ann, ben] = two();
  const room = groupOf(await makeRoom([ann, ben]));
  const [sdkA, sdkB] = [await started(ann), await started(ben)];
  for (const group of [ERRORS, room]) await sdkA.client.joinGroup(group);
  const service = new WebPubSubServiceClient(inject("stack").webPubSubConnection, "chat", {
    allowInsecureConnection: true,
  });
  await service.closeConnection(sdkA.connected[0].connectionId, { reason: "a test" });
  await until(() => sdkA.connected.length === 2, "it is back");
  await sdkB.client.sendToGroup(room, "for who is back", "text");
  await until(() => contents(sdkA, room).length === 1, "messages come again");
});

test("of a connection that breaks, pending calls reject; what is sent again is stored once", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const room = groupOf(roomId);
  const proxy = await tcpProxy();
  const sdk = await started(ann, { url: () => proxy.url });
  for (const group of [ERRORS, room]) await sdk.client.joinGroup(group);
  proxy.mute();
  const message = { content: "once", clientMessageId: "once-1" };
  const pending = sdk.client.sendToGroup(room, message, "json");
  await until(async () => (await history(roomId, ben)).length === 1, "it is stored without an answer");
  proxy.cut();
  await expect(pending).rejects.toThrow("disconnected before receive ack");
  await until(() => sdk.connected.length === 2, "it is back");
  await expect(sdk.client.sendToGroup(room, message, "json")).resolves.toMatchObject({ isDuplicated: false });
  await sdk.client.sendToGroup(room, "another one", "text");
  await until(() => contents(sdk, room).includes("another one"), "messages come again");
  expect((await history(roomId, ben)).map(({ content }) => content)).toEqual(["once", "another one"]);
});

test("the SDK sends again by itself what it had no answer for; also that is stored once", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const proxy = await tcpProxy();
  const messageRetryOptions = { maxRetries: 20, retryDelayInMs: 100 };
  const sdk = await started(ann, { url: () => proxy.url, messageRetryOptions });
  await sdk.client.joinGroup(ERRORS);
  proxy.mute();
  const message = { content: "once", clientMessageId: "once-1" };
  const sent = sdk.client.sendToGroup(groupOf(roomId), message, "json");
  await until(async () => (await history(roomId, ben)).length === 1, "it is stored without an answer");
  proxy.cut();
  await expect(sent).resolves.toMatchObject({ isDuplicated: false });
  await sdk.client.sendToGroup(groupOf(roomId), "another one", "text");
  await until(async () => (await history(roomId, ben)).length === 2, "the next one is stored");
  expect((await history(roomId, ben)).map(({ content }) => content)).toEqual(["once", "another one"]);
});

test("what was missed comes with the subscription that has last-seq", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const room = groupOf(roomId);
  const proxy = await tcpProxy();
  let away = false;
  const url = () => (away ? "ws://127.0.0.1:1/" : proxy.url);
  let lastSeq = 0;
  const subscribeHeaders = (destination: string): Record<string, string> =>
    destination === room ? { "last-seq": String(lastSeq) } : {};
  const sdk = await started(ann, { url, stomp: { subscribeHeaders } });
  await sdk.client.joinGroup(room);
  const writer = await connect(ben);
  afterTest(() => writer.close());
  await writer.say(roomId, "1");
  await until(() => sdk.messages.length === 1, "the first came");
  lastSeq = sdk.messages[0].data.seq;
  away = true;
  proxy.cut();
  await until(() => sdk.disconnected.length === 1, "it is away");
  for (const content of ["2", "3", "4"]) await writer.say(roomId, content);
  await until(async () => (await history(roomId, ben)).length === 4, "all are stored");
  away = false;
  await until(() => sdk.connected.length === 2, "it is back");
  await until(() => sdk.messages.length >= 4, "what was missed came");
  await writer.say(roomId, "5");
  await until(() => sdk.messages.length >= 5, "and what follows");
  expect(contents(sdk, room)).toEqual(["1", "2", "3", "4", "5"]);
});

test("the SDK's pings are answered, and keep its keep-alive timeout from closing", async () => {
  let pongs = 0;
  const stomp = stompProtocol();
  const protocol: typeof stomp = {
    ...stomp,
    parseMessages(input) {
      const messages = stomp.parseMessages(input);
      pongs += [messages].flat().filter((message) => message?.kind === "pong").length;
      return messages;
    },
  };
  const keepAlive = { keepAliveIntervalInMs: 200, keepAliveTimeoutInMs: 4_000 };
  const sdk = await started(two()[0], { protocol, ...keepAlive });
  // Longer than the timeout.
  await until(() => pongs >= 30, "pongs");
  expect([sdk.connected.length, sdk.disconnected]).toEqual([1, []]);
});

test("stop() in the handler of a final code ends the client for good", UNLESS_LATE, async () => {
  const [ann] = two();
  const first = sdkClient(ann);
  const codes: string[] = [];
  first.client.on("server-message", ({ message }) => {
    const { code } = message.data as { code: string };
    codes.push(code);
    if (isFinal(code)) first.client.stop();
  });
  await first.client.start();
  await first.client.joinGroup("/user/queue/session");
  const others = [await started(ann), await started(ann), await started(ann)];
  await until(() => first.stopped, "the first is stopped");
  expect(codes).toEqual(["SESSION_CLOSED"]);
  expect(first.messages.map(({ data }) => data)).toEqual([
    { type: "SESSION_CLOSED", reason: "SESSION_LIMIT", timestamp: expect.any(Number) },
  ]);
  expect(first.connected).toHaveLength(1);
  await expect(first.client.joinGroup(ERRORS)).rejects.toThrow("not connected");
  for (const { client, disconnected } of others) {
    await client.joinGroup(ERRORS);
    expect(disconnected).toEqual([]);
  }
});

test("a token is renewed by an event, but not with another user's", async () => {
  const [ann, ben] = two();
  const sdk = await started(ann);
  const renew = async (user: number) =>
    sdk.client.sendEvent("/pub/session/token", { token: await tokenFor(user) }, "json");
  await expect(renew(ann)).resolves.toMatchObject({ isDuplicated: false });
  await expect(renew(ben)).rejects.toMatchObject({ errorDetail: { name: "UNAUTHORIZED" } });
  expect(sdk.serverMessages.map(({ code }) => code)).toEqual(["UNAUTHORIZED"]);
});

test("fifty messages at once are all answered, and stored in their order", async () => {
  const [ann, ben] = two();
  const roomId = await makeRoom([ann, ben]);
  const room = groupOf(roomId);
  const sdk = await started(ann);
  for (const group of [ERRORS, room]) await sdk.client.joinGroup(group);
  const texts = Array.from({ length: 50 }, (_, index) => `${index}`);
  const order: string[] = [];
  await Promise.all(
    texts.map(async (content) => {
      await sdk.client.sendToGroup(room, { content, clientMessageId: content }, "json");
      order.push(content);
    }),
  );
  expect(order).toEqual(texts);
  await until(() => sdk.messages.length === 50, "all are shown");
  expect(contents(sdk, room)).toEqual(texts);
  expect((await history(roomId, ben)).map(({ content }) => content)).toEqual(texts);
});

test("what can't be read is told, and neither the connection nor its calls end", async () => {
  const unreadable: string[] = [];
  const server = await stompServer((frame) => {
    const id = /receipt:(.*)/.exec(frame)?.[1];
    const message = (text: string) => `MESSAGE\nsubscription:/a\n\n${text}\0`;
    return [
      "garbage",
      message("1"),
      "MESSAGE\nsubscription:/a\ncontent-length:99\n\ncut\0",
      Buffer.from(`${message("2")}\n${message('"안녕"')}`),
      Buffer.from([0xff, 0xfe, 0]),
      "SEND\ndestination:/a\n\n\0",
      "\n",
      `RECEIPT\nreceipt-id:${id}\n\n\0\nMESSAGE`,
    ];
  });
  const onUnreadable = ({ message }: Error) => void unreadable.push(message);
  const sdk = await started(42, { url: () => server, stomp: { onUnreadable } });
  expect(sdk.connected).toEqual([{ connectionId: "c-1", userId: "42" }]);
  await expect(sdk.client.joinGroup("/a")).resolves.toMatchObject({ ackId: 1 });
  expect(sdk.messages.map(({ data }) => data)).toEqual([1, 2, "안녕"]);
  expect(unreadable).toEqual([
    expect.stringContaining("the frame ends within its headers"),
    expect.stringContaining("content-length does not lead to the frame's end"),
    expect.stringContaining("the frame ends within its headers"),
    "no frame of a STOMP server: SEND",
    expect.stringContaining("the frame ends within its headers"),
  ]);
  await sdk.client.leaveGroup("/a");
  expect(sdk.disconnected).toEqual([]);
});
