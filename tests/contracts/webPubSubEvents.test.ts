import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ConfigInput } from "../../local/webPubSub/config.js";
import { type Options, type Server, start } from "../../local/webPubSub/server.js";
import { defaultAnswer, json, open, opened, refused, startHandler, until } from "./webPubSubHandler.js";

/** What clients, handlers and the network may do to each other; against this server only. */

const KEY = "access-key-of-the-events-suite";
const systemEvents = ["connect" as const, "connected" as const, "disconnected" as const];

let handler: Awaited<ReturnType<typeof startHandler>>;
let server: Server;

const started: Server[] = [];

async function startServer(more: Partial<Options> = {}, hub: object = {}): Promise<Server> {
  const eventHandlers = [{ urlTemplate: `http://127.0.0.1:${handler.port}/{hub}/{event}`, systemEvents }];
  const hubs = { chat: { anonymousConnectPolicy: "allow", eventHandlers, ...hub } } as ConfigInput["hubs"];
  const one = await start({ retryPausesMs: [5], config: { accessKeys: [KEY], hubs }, ...more });
  started.push(one);
  return one;
}

const urlOf = ({ port }: Server, hub = "chat"): string => `ws://127.0.0.1:${port}/client/hubs/${hub}`;
const serviceOf = ({ port }: Server, hub = "chat"): WebPubSubServiceClient =>
  new WebPubSubServiceClient(`Endpoint=http://127.0.0.1;Port=${port};AccessKey=${KEY}`, hub, {
    allowInsecureConnection: true,
    retryOptions: { maxRetries: 0 },
  });

beforeAll(async () => {
  handler = await startHandler();
});
beforeEach(async () => {
  handler.reset();
  server = await startServer();
});
afterEach(async () => {
  for (const socket of opened.splice(0)) socket.terminate();
  await Promise.all(started.splice(0).map((one) => one.close()));
});
afterAll(() => handler.close());

describe("a socket that goes without a word", () => {
  test("has the event under way cancelled, what waits dropped, and its disconnected sent at once", async () => {
    const held: ServerResponse[] = [];
    handler.answer = (event, response) => {
      if (!event.type.endsWith("user.message")) return defaultAnswer(event, response);
      held.push(response);
      return undefined;
    };
    const ann = await open(urlOf(server));
    for (const text of ["held", "never", "nor this"]) ann.socket.send(text);
    await until(() => held.length === 1);
    const cancelled = once(held[0]!, "close");
    ann.socket.terminate();
    await until(() => handler.ofType("sys.disconnected").length === 1);
    await cancelled;
    expect(held[0]?.writableFinished).toBe(false);
    // Another client's frame comes behind whatever was still to come.
    handler.answer = defaultAnswer;
    (await open(urlOf(server))).socket.send("last");
    await until(() => handler.events.at(-1)?.body.toString() === "last");
    expect(handler.ofType("user.message").map(({ body }) => String(body))).toEqual(["held", "last"]);
    expect(handler.ofType("sys.disconnected")[0]?.headers["ce-id"]).toBe("3");
  });

  test("is not waited for between two tries of an event", async () => {
    const patient = await startServer({ retryPausesMs: [600_000] });
    handler.answer = (event, response) =>
      event.type.endsWith("user.message") ? { status: 503 } : defaultAnswer(event, response);
    const ann = await open(urlOf(patient));
    ann.socket.send("x");
    await until(() => handler.ofType("user.message").length === 1);
    ann.socket.terminate();
    await until(() => handler.ofType("sys.disconnected").length === 1);
    expect(handler.ofType("user.message")).toHaveLength(1);
  });

  test("has its connect cancelled, and no disconnected", async () => {
    const held: ServerResponse[] = [];
    handler.answer = (_event, response) => void held.push(response);
    const socket = connect(server.port, "127.0.0.1");
    socket.write(
      "GET /client/hubs/chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await until(() => held.length === 1);
    socket.destroy();
    await once(held[0]!, "close");
    handler.answer = defaultAnswer;
    (await open(urlOf(server))).socket.close();
    await until(() => handler.ofType("sys.disconnected").length > 0);
    expect(handler.ofType("sys.disconnected")).toHaveLength(1);
  });
});

describe("a handler's agreement", () => {
  test("is asked for again, and its last answer counts for every event", async () => {
    const quick = await startServer({ validationIntervalMs: 20 });
    const ann = await open(urlOf(quick));
    handler.allowedOrigin = "elsewhere.example";
    await until(async () => {
      const one = await open(urlOf(quick)).catch(() => undefined);
      one?.socket.terminate();
      return one === undefined;
    });
    const before = handler.ofType("user.message").length;
    ann.socket.send("not taken");
    expect((await ann.closed).code).toBe(1011);
    expect(handler.ofType("user.message")).toHaveLength(before);
    handler.allowedOrigin = "*";
    await until(async () => (await open(urlOf(quick)).catch(() => undefined)) !== undefined);
  });

  test("holds while it is asked for again, however long that takes", async () => {
    const quick = await startServer({ validationIntervalMs: 20, validationTimeoutMs: 600_000 });
    const ann = await open(urlOf(quick));
    handler.holdsValidations = true;
    const asked = handler.validations.length;
    await until(async () => {
      ann.socket.send("x");
      return handler.validations.length > asked;
    });
    ann.socket.send("and this");
    await until(() => handler.events.at(-1)?.body.toString() === "and this");
  });

  test("is not given by silence", async () => {
    handler.holdsValidations = true;
    const quick = await startServer({ validationTimeoutMs: 50 });
    const { status } = await refused(urlOf(quick));
    expect(status).toBe(500);
    expect(handler.events).toEqual([]);
  });

  test("may be asked for by GET where OPTIONS is not known", async () => {
    handler.validatesBy = "GET";
    await open(urlOf(server));
    expect(handler.ofType("sys.connect")).toHaveLength(1);
  });
});

describe("an event", () => {
  test("that no handler takes closes its connection with 1011", async () => {
    const urlTemplate = `http://127.0.0.1:${handler.port}/{hub}/{event}`;
    const eventHandlers = [{ urlTemplate, systemEvents, userEventPattern: "other" }];
    const deaf = await startServer({}, { eventHandlers });
    const ann = await open(urlOf(deaf));
    ann.socket.send("x");
    expect((await ann.closed).code).toBe(1011);
    await until(() => handler.ofType("sys.disconnected").length === 1);
    expect(handler.ofType("user.message")).toEqual([]);
  });

  test("has so long in all, its repeats included; silence is not asked again", async () => {
    const quick = await startServer({ callTimeoutMs: 300, retryPausesMs: [1, 1, 1] });
    handler.answer = (event, response) =>
      event.type.endsWith("user.message") ? undefined : defaultAnswer(event, response);
    const ann = await open(urlOf(quick));
    ann.socket.send("x");
    expect((await ann.closed).code).toBe(1011);
    expect(handler.ofType("user.message")).toHaveLength(1);
  });

  test("has an id above 0, which is connect's also where nobody listens to that", async () => {
    const urlTemplate = `http://127.0.0.1:${handler.port}/{hub}/{event}`;
    const quiet = await startServer({}, { eventHandlers: [{ urlTemplate, systemEvents: [] }] });
    const ann = await open(urlOf(quiet));
    ann.socket.send("x");
    await until(() => handler.events.length === 1);
    // `connected` has one of its own, too.
    expect(handler.events[0]?.headers["ce-id"]).toBe("2");
  });

  test("says its hub in lower case, however the client wrote it", async () => {
    const { url } = await serviceOf(server, "CHAT").getClientAccessToken({ userId: "ann", groups: ["g"] });
    expect(url).toContain("/hubs/CHAT");
    handler.answer = () => ({ status: 204 });
    await open(url);
    await open(
      `ws://127.0.0.1:${server.port}/client/?hub=cHaT&access_token=${new URL(url).searchParams.get("access_token")}`,
    );
    await until(() => handler.ofType("sys.connected").length === 2);
    for (const { headers } of handler.events) {
      expect(headers["ce-hub"]).toBe("chat");
      expect(headers["ce-source"]).toMatch(/^\/hubs\/chat\/client\//);
    }
    expect(await serviceOf(server, "Chat").groupExists("g")).toBe(true);
  });

  test("of a client that speaks before its handshake is answered is not lost", async () => {
    let answer = () => {};
    handler.answer = (event, response) => {
      if (!event.type.endsWith("sys.connect")) return defaultAnswer(event, response);
      return new Promise((resolve) => {
        answer = () => resolve(json({ userId: "7" }));
      });
    };
    const socket = connect(server.port, "127.0.0.1");
    socket.write(
      "GET /client/hubs/chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await until(() => handler.ofType("sys.connect").length === 1);
    // FIN and text, masked by zeros, "hi".
    socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    answer();
    await until(() => handler.ofType("user.message").length === 1);
    expect(String(handler.ofType("user.message")[0]?.body)).toBe("hi");
    socket.destroy();
  });
});

describe("the answer to connect", () => {
  const idOf = () => String(handler.ofType("sys.connect").at(-1)?.headers["ce-connectionid"]);

  test("may name nobody: the client is let in, as nobody", async () => {
    handler.answer = ({ type }) => (type.endsWith("sys.connect") ? json({ groups: ["g"] }) : { status: 204 });
    const ann = await open(urlOf(server));
    ann.socket.send("x");
    await until(() => handler.ofType("user.message").length === 1);
    expect(handler.ofType("user.message")[0]?.headers).not.toHaveProperty("ce-userid");
    const members: object[] = [];
    for await (const member of await serviceOf(server).group("g").listConnections()) members.push(member);
    expect(members).toEqual([{ connectionId: idOf() }]);
    await serviceOf(server).sendToAll("to nobody", { contentType: "text/plain", filter: "userId eq null" });
    expect(await ann.next()).toBe("to nobody");
  });

  test.each([
    [
      "replaces the token's user, groups and roles",
      { userId: "bob", groups: ["said"], roles: ["webpubsub.sendToGroup.said"] },
      "bob",
      "said",
    ],
    ["may be null, and leaves them as they are", null, "ann", "token"],
    ["may be an empty object", {}, "ann", "token"],
    ["leaves the groups as they are with an empty list", { groups: [] }, "ann", "token"],
  ])("%s", async (_what, answer, userId, group) => {
    handler.answer = ({ type }) =>
      type.endsWith("sys.connect") ? { body: JSON.stringify(answer) } : { status: 204 };
    const token = { userId: "ann", groups: ["token"], roles: ["webpubsub.sendToGroup.token"] };
    await open((await serviceOf(server).getClientAccessToken(token)).url);
    const service = serviceOf(server);
    await until(() => handler.ofType("sys.connected").length === 1);
    expect(handler.ofType("sys.connected")[0]?.headers["ce-userid"]).toBe(userId);
    for (const one of ["said", "token"]) {
      expect(await service.groupExists(one)).toBe(one === group);
      expect(await service.hasPermission(idOf(), "sendToGroup", { targetName: one })).toBe(one === group);
    }
  });

  test("takes the token's roles away with an empty list, and its user with an empty name", async () => {
    handler.answer = ({ type }) =>
      type.endsWith("sys.connect") ? json({ userId: "", roles: [] }) : { status: 204 };
    const token = { userId: "ann", roles: ["webpubsub.sendToGroup.g"] };
    await open((await serviceOf(server).getClientAccessToken(token)).url);
    await until(() => handler.ofType("sys.connected").length === 1);
    expect(handler.ofType("sys.connected")[0]?.headers).not.toHaveProperty("ce-userid");
    expect(await serviceOf(server).hasPermission(idOf(), "sendToGroup", { targetName: "g" })).toBe(false);
    expect(await serviceOf(server).userExists("ann")).toBe(false);
  });

  test("never comes where the token holds a group that can't be", async () => {
    const { url } = await serviceOf(server).getClientAccessToken({ groups: ["x".repeat(1025)] });
    expect(await refused(url)).toEqual({ status: 400, body: "The token contains an invalid group name." });
    expect(handler.events).toEqual([]);
  });
});
