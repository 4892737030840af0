import { createHmac } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { type Server, start } from "../../local/webPubSub/server.js";
import {
  defaultAnswer,
  json,
  open,
  opened,
  type Reply,
  refused,
  startHandler,
  textReply,
  until,
} from "./webPubSubHandler.js";

// Against a real service only the parts without an upstream run: its event handlers could not reach us.
const realService = process.env["WEB_PUBSUB_CONNECTION_STRING"];
const KEYS = ["primary-key-of-the-contract-suite", "secondary-key-of-the-contract-suite"];

let handler: Awaited<ReturnType<typeof startHandler>>;
let server: Server | undefined;
let service: WebPubSubServiceClient;
let base: string;

function client(hub: string, key = KEYS[0]): WebPubSubServiceClient {
  const connectionString = realService ?? `Endpoint=http://127.0.0.1;Port=${server?.port};AccessKey=${key}`;
  return new WebPubSubServiceClient(connectionString, hub, {
    allowInsecureConnection: true,
    retryOptions: { maxRetries: 0 },
  });
}

beforeAll(async () => {
  handler = await startHandler();
  const systemEvents = ["connect" as const, "connected" as const, "disconnected" as const];
  const at = (path: string) => [{ urlTemplate: `http://127.0.0.1:${handler.port}${path}`, systemEvents }];
  server = await start({
    retryPausesMs: [5, 5, 5],
    config: {
      accessKeys: KEYS,
      hubs: {
        contract: { anonymousConnectPolicy: "deny" },
        chat: { anonymousConnectPolicy: "allow", eventHandlers: at("/{hub}/{event}") },
        suspicious: { anonymousConnectPolicy: "allow", eventHandlers: at("/refused/{event}") },
        express: { anonymousConnectPolicy: "allow", eventHandlers: at("/sdk/") },
      },
    },
  });
  base = `ws://127.0.0.1:${server.port}/client/hubs`;
  service = client("contract");
});

afterEach(async () => {
  const live = opened.splice(0).filter(({ readyState }) => readyState !== WebSocket.CLOSED);
  const ends = live.map((socket) => once(socket, "close"));
  for (const socket of live) socket.terminate();
  await Promise.all(ends);
  if (realService) return;
  await until(() => handler.ofType("sys.disconnected").length >= handler.ofType("sys.connected").length);
  handler.reset();
});

afterAll(async () => {
  await server?.close();
  await handler.close();
});

describe("the data plane", () => {
  const join = async (userId: string, ...groups: string[]) => {
    const { url } = await service.getClientAccessToken({ userId, groups });
    return open(url);
  };
  const idOf = async (group: string) => {
    for await (const { connectionId } of await service.group(group).listConnections()) return connectionId;
    throw new Error(`nobody is in ${group}`);
  };

  test("sends text, JSON and bytes to all, to a group, to a user and to a connection", async () => {
    const ann = await join("ann", "a room/with % signs");
    const group = service.group("a room/with % signs");
    await service.sendToAll("to all", { contentType: "text/plain" });
    await group.sendToAll({ to: "group" });
    await service.sendToUser("ann", Buffer.from([0, 255, 1]));
    await service.sendToConnection(await idOf("a room/with % signs"), "한글 ✓", {
      contentType: "text/plain",
    });
    expect([await ann.next(), await ann.next(), await ann.next(), await ann.next()]).toEqual([
      "to all",
      '{"to":"group"}',
      Buffer.from([0, 255, 1]),
      "한글 ✓",
    ]);
  });

  test("takes a send to nobody for a success", async () => {
    await service.group("empty").sendToAll("x", { contentType: "text/plain" });
    await service.sendToUser("nobody", "x", { contentType: "text/plain" });
    await service.sendToConnection("none", "x", { contentType: "text/plain" });
    await service.closeConnection("none");
  });

  test("leaves out excluded connections and those a filter does not pick", async () => {
    const ann = await join("ann", "room", "ann-only");
    const bob = await join("bob", "room", "bob-only");
    const room = service.group("room");
    const text = { contentType: "text/plain" as const };
    await room.sendToAll("1", { ...text, excludedConnections: [await idOf("ann-only")] });
    await room.sendToAll("2", { ...text, filter: "userId eq 'ann'" });
    await service.sendToAll("3", { ...text, filter: "'bob-only' in groups and not (userId eq 'ann')" });
    await room.sendToAll("end", text);
    expect([await ann.next(), await ann.next()]).toEqual(["2", "end"]);
    expect([await bob.next(), await bob.next(), await bob.next()]).toEqual(["1", "3", "end"]);
  });

  test("refuses a filter that it can't read with 400", async () => {
    const sent = service.sendToAll("x", { contentType: "text/plain", filter: "userId like 'a%'" });
    await expect(sent).rejects.toMatchObject({ statusCode: 400 });
  });

  test("adds and removes connections and users, one by one and by filter", async () => {
    const ann = await join("ann", "door");
    const id = await idOf("door");
    const exists = (group: string) => service.groupExists(group);
    await service.group("g1").addConnection(id);
    await service.group("g2").addUser("ann");
    await service.addConnectionsToGroups(["g3", "g4"], "userId eq 'ann'");
    expect(await Promise.all(["g1", "g2", "g3", "g4", "g5"].map(exists))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
    await service.group("g1").removeConnection(id);
    await service.group("g2").removeUser("ann");
    await service.removeConnectionsFromGroups(["g3"], "userId eq 'ann'");
    expect(await Promise.all(["g1", "g2", "g3", "g4"].map(exists))).toEqual([false, false, false, true]);
    await service.removeConnectionFromAllGroups(id);
    expect(await exists("g4")).toBe(false);
    await service.group("g1").addUser("ann");
    await service.removeUserFromAllGroups("ann");
    expect(await exists("g1")).toBe(false);
    expect(ann.received).toEqual([]);
  });

  test("knows which connections, users and groups exist, until they are gone", async () => {
    const ann = await join("ann", "room");
    const id = await idOf("room");
    const all = () =>
      Promise.all([service.connectionExists(id), service.userExists("ann"), service.groupExists("room")]);
    expect(await all()).toEqual([true, true, true]);
    ann.socket.close();
    await until(async () => (await all()).every((found) => !found));
  });

  test("grants, checks and revokes permissions", async () => {
    await join("ann", "room");
    const id = await idOf("room");
    const has = () => service.hasPermission(id, "sendToGroup", { targetName: "room" });
    expect(await has()).toBe(false);
    await service.grantPermission(id, "sendToGroup", { targetName: "room" });
    expect(await has()).toBe(true);
    await service.revokePermission(id, "sendToGroup", { targetName: "room" });
    expect(await has()).toBe(false);
  });

  test("delivers a frame that was sent before a close, then closes with the reason", async () => {
    const ann = await join("ann", "room");
    const id = await idOf("room");
    await service.sendToConnection(id, "last words", { contentType: "text/plain" });
    await service.closeConnection(id, { reason: "replaced" });
    expect(await ann.next()).toBe("last words");
    expect((await ann.closed).reason).toBe("replaced");
  });

  test("closes a user's, a group's and all connections but the excluded", async () => {
    const ann = await join("ann", "g1", "a");
    const bob = await join("bob", "g1", "b");
    const cal = await join("cal", "c");
    await service.closeUserConnections("ann", { reason: "user" });
    await service.group("g1").closeAllConnections({ reason: "group" });
    const dan = await join("dan", "d");
    // The SDK sends this option without having a type for it.
    const untyped = { excluded: [await idOf("d")] };
    await service.closeAllConnections({ reason: "all", ...untyped });
    const reasons = await Promise.all([ann, bob, cal].map(async ({ closed }) => (await closed).reason));
    expect(reasons).toEqual(["user", "group", "all"]);
    expect(dan.socket.readyState).toBe(WebSocket.OPEN);
  });

  test("lists a group's connections page by page", async () => {
    await Promise.all(["1", "2", "3", "4", "5"].map((user) => join(user, "big")));
    const users: (string | undefined)[] = [];
    const sizes: number[] = [];
    const members = await service.group("big").listConnections({ maxPageSize: 2 });
    for await (const page of members.byPage()) {
      sizes.push(page.length);
      users.push(...page.map(({ userId }) => userId));
    }
    expect(sizes).toEqual([2, 2, 1]);
    expect(users.sort()).toEqual(["1", "2", "3", "4", "5"]);
    let most = 0;
    for await (const _ of await service.group("big").listConnections({ maxPageSize: 2, top: 3 })) most++;
    expect(most).toBe(3);
  });

  test("answers 401 to a wrong key", async () => {
    const stranger = new WebPubSubServiceClient(
      `${(realService ?? `Endpoint=http://127.0.0.1;Port=${server?.port}`).replace(/;AccessKey=[^;]*/i, "")};AccessKey=AAAA`,
      "contract",
      { allowInsecureConnection: true, retryOptions: { maxRetries: 0 } },
    );
    await expect(stranger.sendToAll("x", { contentType: "text/plain" })).rejects.toMatchObject({
      statusCode: 401,
    });
    expect((await refused((await stranger.getClientAccessToken({ userId: "ann" })).url)).status).toBe(401);
  });

  test("closes a frame of more than 1 MB with 1009", async () => {
    const ann = await join("ann");
    ann.socket.send(Buffer.alloc(1024 * 1024 + 1));
    expect((await ann.closed).code).toBe(1009);
  });
});

describe.skipIf(realService)("local answers to bad requests", () => {
  test("answers 404 for a hub that is not declared, on both planes", async () => {
    const stranger = client("undeclared");
    await expect(stranger.sendToAll("x", { contentType: "text/plain" })).rejects.toMatchObject({
      statusCode: 404,
    });
    expect((await refused((await stranger.getClientAccessToken({ userId: "ann" })).url)).status).toBe(404);
  });

  test("counts its calls for measurements", async () => {
    const counts = async () => {
      const response = await fetch(`http://127.0.0.1:${server?.port}/stats`);
      return (await response.json()) as Record<string, number>;
    };
    const before = await counts();
    await open(`${base}/chat`);
    await service.sendToAll("x", { contentType: "text/plain" });
    await service.groupExists("nobody");
    await until(async () => (await counts())["upstreamCalls"]! >= before["upstreamCalls"]! + 2);
    const { restSends, restCalls } = await counts();
    expect([restSends! - before["restSends"]!, restCalls! - before["restCalls"]!]).toEqual([1, 2]);
  });

  test.each([
    ["an unknown path", "GET", "/", 404],
    ["the client endpoint without an upgrade", "GET", "/client/hubs/chat", 400],
    ["the health check", "HEAD", "/api/health", 200],
    ["a call without a token", "POST", "/api/hubs/chat/:send", 401],
    ["a broken escape in the path", "GET", "/api/hubs/%zz/x", 401],
  ])("answers %s", async (_what, method, path, status) => {
    const response = await fetch(`http://127.0.0.1:${server?.port}${path}`, { method });
    expect(response.status).toBe(status);
    if (status >= 400) expect(await response.json()).toHaveProperty("message");
  });

  test.each([
    ["noise", "\x00\x01\x02 nonsense\r\n\r\n"],
    [
      "a handshake without a key",
      "GET /client/hubs/chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    [
      "a target that is no URL",
      "GET //[ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
  ])("answers %s with 400 and goes on", async (_what, bytes) => {
    const socket = connect(server!.port, "127.0.0.1");
    socket.end(bytes);
    const answer = Buffer.concat(await socket.toArray()).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(await service.groupExists("nobody")).toBe(false);
  });

  test("refuses a body of more than 1 MB with 400", async () => {
    const sent = service.sendToAll(Buffer.alloc(1024 * 1024 + 1));
    await expect(sent).rejects.toMatchObject({ statusCode: 400, code: "Error.BadRequest" });
  });

  test("cuts off a client that does not read, while another gets everything", async () => {
    const slow = await open((await service.getClientAccessToken({ userId: "slow", groups: ["flood"] })).url);
    const quick = await open(
      (await service.getClientAccessToken({ userId: "quick", groups: ["flood"] })).url,
    );
    slow.socket.pause();
    const block = Buffer.alloc(512 * 1024, 1);
    let sent = 0;
    for (; sent < 100 && (await service.userExists("slow")); sent++) {
      await service.group("flood").sendToAll(block);
      expect(await quick.next()).toHaveLength(block.length);
    }
    expect(sent).toBeLessThan(100);
    expect(quick.socket.readyState).toBe(WebSocket.OPEN);
  });
});

describe.skipIf(realService)("upstream events", () => {
  const chat = () => `${base}/chat`;

  test("asks for permission once, then announces the client with everything it brought", async () => {
    const url = `${chat()}?token=t&x=1&x=2`;
    handler.answer = ({ type }) =>
      type.endsWith("connect") ? json({ userId: "7", subprotocol: "v12.stomp" }) : { status: 204 };
    const ann = await open(url, ["v11.stomp", "v12.stomp"], { Authorization: "Bearer an.app.token" });
    expect(ann.socket.protocol).toBe("v12.stomp");
    await until(() => handler.ofType("sys.connected").length === 1);
    const [connectEvent, connected] = handler.events;
    expect(JSON.parse(String(connectEvent?.body))).toMatchObject({
      claims: {},
      query: { token: ["t"], x: ["1", "2"] },
      headers: { upgrade: ["websocket"], authorization: ["Bearer an.app.token"] },
      subprotocols: ["v11.stomp", "v12.stomp"],
      clientCertificates: [],
    });
    const id = String(connectEvent?.headers["ce-connectionid"]);
    expect(connectEvent?.headers).toMatchObject({
      "ce-specversion": "1.0",
      "ce-awpsversion": "1.0",
      "ce-source": `/hubs/chat/client/${id}`,
      "ce-id": "0",
      "ce-hub": "chat",
      "ce-eventname": "connect",
      "ce-signature": KEYS.map((key) => `sha256=${createHmac("sha256", key).update(id).digest("hex")}`).join(
        ",",
      ),
      "webhook-request-origin": `127.0.0.1:${server?.port}`,
      "content-type": "application/json; charset=utf-8",
    });
    expect(connected?.headers).toMatchObject({
      "ce-id": "1",
      "ce-userid": "7",
      "ce-subprotocol": "v12.stomp",
    });
    expect(handler.validations.length).toBeGreaterThan(0);
    expect(handler.validations[0]).toMatchObject({ "webhook-request-origin": `127.0.0.1:${server?.port}` });
  });

  test("passes a service token's claims on, and not the token itself", async () => {
    const { url, token } = await client("chat").getClientAccessToken({
      userId: "ann",
      roles: ["r"],
      groups: ["g"],
    });
    handler.answer = () => ({ status: 204 });
    await open(url);
    await open(url.split("?")[0]!, [], { Authorization: `Bearer ${token}` });
    for (const event of handler.ofType("sys.connect")) {
      expect(JSON.parse(String(event.body)).claims).toMatchObject({ sub: ["ann"], role: ["r"] });
      expect(String(event.body)).not.toContain(token);
      expect(event.headers["ce-userid"]).toBe("ann");
    }
    expect(await client("chat").groupExists("g")).toBe(true);
  });

  test("makes tokens that its client endpoint takes", async () => {
    const { port } = server!;
    const credential = {
      getToken: async () => ({ token: adminToken, expiresOnTimestamp: Date.now() + 60_000 }),
    };
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const exp = Math.floor(Date.now() / 1000) + 60;
    const path = "/api/hubs/chat/:generateToken";
    const signed = `${encode({ alg: "HS256" })}.${encode({ aud: `http://localhost:${port}${path}`, exp })}`;
    const adminToken = `${signed}.${createHmac("sha256", KEYS[1]!).update(signed).digest("base64url")}`;
    const { token } = await credential.getToken();
    const response = await fetch(`http://127.0.0.1:${port}${path}?userId=ann&group=made`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}` },
    });
    const made = (await response.json()) as { token: string };
    handler.answer = () => ({ status: 204 });
    await open(`${chat()}?access_token=${made.token}`);
    await open(`ws://localhost:${port}/client/?hub=chat&access_token=${made.token}`);
    expect(await client("chat").groupExists("made")).toBe(true);
  });

  test.each([
    ["a 4xx with its body", { status: 400, body: "no such protocol" }, 400, "no such protocol"],
    ["a 403", { status: 403 }, 403, ""],
    ["a 500 after the last try", { status: 500, body: "down" }, 500, "down"],
  ])("relays %s to the handshake and sends no disconnected", async (_what, reply, status, body) => {
    handler.answer = () => reply;
    expect(await refused(chat())).toEqual({ status, body });
    expect(handler.ofType("sys.disconnected")).toEqual([]);
  });

  test.each([
    ["chooses a subprotocol that was not offered", { userId: "7", subprotocol: "other" }, 500],
    ["is not what it should be", { userId: 7 }, 500],
    ["names a group that can't be", { userId: "7", groups: [" "] }, 500],
  ])("refuses when the answer %s, and sends no disconnected", async (_what, answer, status) => {
    handler.answer = ({ type }) => (type.endsWith("sys.connect") ? json(answer) : { status: 204 });
    expect((await refused(chat(), ["v12.stomp"])).status).toBe(status);
    // Whatever this handshake had sent would have come before the next one's end.
    handler.answer = defaultAnswer;
    (await open(chat())).socket.close();
    await until(() => handler.ofType("sys.disconnected").length > 0);
    expect(handler.ofType("sys.disconnected")).toHaveLength(1);
  });

  test("refuses a wrong access_token without asking the handler", async () => {
    expect((await refused(`${chat()}?access_token=a.b.c`)).status).toBe(401);
    expect(handler.events).toEqual([]);
  });

  test("sends no event to a handler that did not accept validation", async () => {
    handler.allowedOrigin = "elsewhere.example";
    const { status, body } = await refused(`${base}/suspicious`);
    expect(status).toBe(500);
    expect(body).toContain("WebHook-Allowed-Origin");
    expect(handler.events).toEqual([]);
  });

  test("carries a frame up, the answer down, and the state along until disconnected", async () => {
    handler.answer = ({ type, headers, body }) => {
      if (type.endsWith("sys.connect")) return json({ userId: "7" }, { "ce-connectionState": "MA==" });
      if (!type.endsWith("user.message")) return { status: 204 };
      const reply = `${headers["content-type"]} ${body} ${headers["ce-connectionstate"]}`;
      return textReply(reply, { "ce-connectionState": `${headers["ce-connectionstate"]}+` });
    };
    const ann = await open(chat());
    ann.socket.send("one");
    ann.socket.send(Buffer.from("two"));
    expect(await ann.next()).toBe("text/plain; charset=utf-8 one MA==");
    expect(await ann.next()).toBe("application/octet-stream two MA==+");
    ann.socket.close(1000, "bye");
    await until(() => handler.ofType("sys.disconnected").length === 1);
    const [last] = handler.ofType("sys.disconnected");
    expect(last?.headers).toMatchObject({ "ce-connectionstate": "MA==++", "ce-id": "4", "ce-userid": "7" });
    expect(JSON.parse(String(last?.body))).toEqual({ reason: "bye" });
  });

  test("sends a JSON answer as text, bytes as a binary frame, and nothing for an empty one", async () => {
    const replies: Reply[] = [
      json({ a: 1 }),
      { headers: { "content-type": "application/octet-stream" }, body: Buffer.from([0, 255]) },
      { headers: { "content-type": "application/octet-stream" } },
      textReply("end"),
    ];
    handler.answer = (event, response) =>
      event.type.endsWith("user.message") ? replies.shift() : defaultAnswer(event, response);
    const ann = await open(chat());
    for (let n = 0; n < 4; n++) ann.socket.send("x");
    expect([await ann.next(), await ann.next(), await ann.next()]).toEqual([
      '{"a":1}',
      Buffer.from([0, 255]),
      "end",
    ]);
  });

  test("hands over a connection's frames one at a time and in order, however many wait", async () => {
    let active = 0;
    let most = 0;
    handler.answer = async (event, response) => {
      if (!event.type.endsWith("user.message")) return defaultAnswer(event, response);
      most = Math.max(most, ++active);
      await new Promise((resolve) => setTimeout(resolve, 2));
      active--;
      return textReply(event.body.toString());
    };
    const ann = await open(chat());
    const numbers = Array.from({ length: 300 }, (_, n) => `${n}`);
    for (const number of numbers) ann.socket.send(number);
    const answers: unknown[] = [];
    while (answers.length < numbers.length) answers.push(await ann.next());
    expect(answers).toEqual(numbers);
    expect(most).toBe(1);
  });

  test("still hands over the frames that came before the client went", async () => {
    const ann = await open(chat());
    for (const text of ["1", "2", "3"]) ann.socket.send(text);
    ann.socket.close();
    await until(() => handler.ofType("sys.disconnected").length === 1);
    expect(handler.ofType("user.message").map(({ body }) => String(body))).toEqual(["1", "2", "3"]);
    expect(handler.events.at(-1)?.type).toBe("azure.webpubsub.sys.disconnected");
  });

  test.each([
    ["503", (response: ServerResponse) => response.writeHead(503).end()],
    ["408", (response: ServerResponse) => response.writeHead(408).end()],
    ["a broken connection", (response: ServerResponse) => response.destroy()],
  ])("tries again after %s, with the same event id", async (_what, fail) => {
    let failures = 2;
    handler.answer = (event, response) => {
      if (!event.type.endsWith("user.message")) return defaultAnswer(event, response);
      if (failures-- > 0) {
        fail(response);
        return undefined;
      }
      return textReply("at last");
    };
    const ann = await open(chat());
    ann.socket.send("x");
    expect(await ann.next()).toBe("at last");
    const ids = handler.ofType("user.message").map(({ headers }) => headers["ce-id"]);
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
  });

  test.each([
    ["a 4xx", { status: 400 }, 1],
    ["a 5xx at every try", { status: 500 }, 4],
    ["a content type that can't be sent", { headers: { "content-type": "text/html" }, body: "<p>" }, 1],
    ["text that is not UTF-8", { headers: { "content-type": "text/plain" }, body: Buffer.from([0xff]) }, 1],
  ])("drops a connection whose frame is answered with %s", async (_what, reply, tries) => {
    handler.answer = (event, response) =>
      event.type.endsWith("user.message") ? reply : defaultAnswer(event, response);
    const ann = await open(chat());
    ann.socket.send("x");
    ann.socket.send("never handed over");
    expect((await ann.closed).code).toBe(1011);
    await until(() => handler.ofType("sys.disconnected").length === 1);
    expect(handler.ofType("user.message")).toHaveLength(tries);
  });

  test("tells disconnected with the reason of a REST close, also to a client cut without a word", async () => {
    const ann = await open(chat());
    await client("chat").closeUserConnections("7", { reason: "session limit" });
    await ann.closed;
    const bob = await open(chat());
    bob.socket.terminate();
    await until(() => handler.ofType("sys.disconnected").length === 2);
    expect(JSON.parse(String(handler.ofType("sys.disconnected")[0]?.body)).reason).toBe("session limit");
  });

  test("works with the vendor's handler, state and all, and survives one that throws", async () => {
    const sdk = new WebPubSubEventHandler("express", {
      path: "/sdk/",
      handleConnect: (request, response) => {
        response.setState("visits", 0);
        response.success({ userId: "sdk", subprotocol: request.subprotocols?.[0] ?? "" });
      },
      handleUserEvent: ({ data, context }, response) => {
        if (data === "throw") throw new Error("on purpose");
        const visits = Number(context.states["visits"]) + 1;
        response.setState("visits", visits);
        response.success(`${context.userId} ${data} ${visits}`, "text");
      },
    });
    const middleware = sdk.getMiddleware();
    handler.sdk = (request, response) => {
      Object.assign(request, { path: "/sdk/", baseUrl: "" });
      const done = () => response.writeHead(404).end();
      Promise.resolve(middleware(request as never, response as never, done)).catch(() => {
        response.writeHead(400).end();
      });
    };
    const ann = await open(`${base}/express`, ["v12.stomp"]);
    ann.socket.send("a");
    ann.socket.send("b");
    expect([await ann.next(), await ann.next()]).toEqual(["sdk a 1", "sdk b 2"]);
    ann.socket.send("throw");
    expect((await ann.closed).code).toBe(1011);
  });
});

describe.skipIf(realService)("the keep-alive", () => {
  test("ends a client that answers no ping and leaves one that does", async () => {
    const hubs = { quick: { webSocketKeepAliveIntervalInSeconds: 1 } };
    const other = await start({ config: { accessKeys: KEYS, hubs } });
    const connectionString = `Endpoint=http://127.0.0.1;Port=${other.port};AccessKey=${KEYS[0]}`;
    const quick = new WebPubSubServiceClient(connectionString, "quick", { allowInsecureConnection: true });
    const dead = new WebSocket((await quick.getClientAccessToken({ userId: "dead" })).url, {
      autoPong: false,
    });
    opened.push(dead);
    const live = await open((await quick.getClientAccessToken({ userId: "live" })).url);
    await once(dead, "close");
    expect(live.socket.readyState).toBe(WebSocket.OPEN);
    await other.close();
  });
});

describe.skipIf(realService)("an end of the server", () => {
  test("closes clients with 1001 and delivers their disconnected", async () => {
    const urlTemplate = `http://127.0.0.1:${handler.port}/end/{event}`;
    const eventHandlers = [{ urlTemplate, systemEvents: ["connect" as const, "disconnected" as const] }];
    const hubs = { chat: { anonymousConnectPolicy: "allow" as const, eventHandlers } };
    const other = await start({ config: { accessKeys: KEYS, hubs } });
    const ann = await open(`ws://127.0.0.1:${other.port}/client/hubs/chat`);
    await other.close();
    expect((await ann.closed).code).toBe(1001);
    expect(handler.ofType("sys.disconnected")).toHaveLength(1);
  });

  test("waits for the events of clients that left just before", async () => {
    const urlTemplate = `http://127.0.0.1:${handler.port}/end/{event}`;
    const eventHandlers = [{ urlTemplate, systemEvents: ["connect" as const, "disconnected" as const] }];
    const hubs = { chat: { anonymousConnectPolicy: "allow" as const, eventHandlers } };
    const other = await start({ config: { accessKeys: KEYS, hubs } });
    const url = `ws://127.0.0.1:${other.port}/client/hubs/chat`;
    const clients = await Promise.all(Array.from({ length: 20 }, () => open(url)));
    for (const { socket } of clients) socket.terminate();
    await other.close();
    expect(handler.ofType("sys.disconnected")).toHaveLength(20);
  });
});
