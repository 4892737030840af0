import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type RequestListener,
} from "node:http";
import type { AddressInfo } from "node:net";
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { exportJWK, SignJWT } from "jose";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from "vitest";
import WebSocket from "ws";
import { type Server, start } from "../../local/webPubSub/server.js";
import {
  type CallerSettings,
  createCallerVerifier,
  type VerifierOptions,
} from "../../shared/auth/verifier.js";
import type { Broadcaster } from "../../shared/broadcast/broadcaster.js";
import { connectWebPubSub } from "../../shared/broadcast/webPubSub.js";
import type { CallerProof } from "../../shared/upstream/callerProof.js";
import { createUpstream } from "../../shared/upstream/cloudEvents.js";
import type { UpstreamHandlers } from "../../shared/upstream/events.js";

const KEY = "access-key-of-the-entra-suite";
const IDENTITY = {
  issuer: "https://sts.windows.net/7c1d/",
  audience: "api://nonstop-chat-upstream",
  objectId: "1b4f5a3e-0000-4000-8000-000000000001",
};
const IDENTITY_HEADER = "secret-of-the-entra-suite";
const managedIdentity = { ...IDENTITY, identityHeader: IDENTITY_HEADER };
const REST_AUDIENCE = "https://webpubsub.azure.com";

/** An upstream call as it came over HTTP. */
interface Call {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

async function listen(listener: RequestListener): Promise<{ server: HttpServer; url: string }> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function close(server: HttpServer): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}

async function callOf(request: IncomingMessage): Promise<Call> {
  const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
  const body = Buffer.concat(await request.toArray());
  return { method: request.method ?? "", headers: Object.fromEntries(headers), body };
}

const echo: UpstreamHandlers = {
  connect: async ({ query }) => ({
    userId: query["as"]?.[0] ?? "7",
    subprotocol: "v12.stomp",
    state: { x: 1 },
  }),
  connected: async () => {},
  disconnected: async () => {},
  message: async ({ data, state, connectionId }) => ({ state, text: `${connectionId} ${Buffer.from(data)}` }),
};

/**
 * An event handler over HTTP, as the Functions host is; its proof may be set after the service has been
 * started.
 */
async function startHandler() {
  const handler = {
    url: "",
    calls: [] as Call[],
    statuses: [] as number[],
    errors: [] as unknown[],
    prove(proof: CallerProof): void {
      upstream = createUpstream("chat", proof, echo, (error) => handler.errors.push(error));
    },
    close: () => close(server),
  };
  let upstream: ReturnType<typeof createUpstream>;
  const { server, url } = await listen(async (request, response) => {
    const call = await callOf(request);
    const { status, headers, body } = await upstream(call);
    if (call.method === "POST") {
      handler.calls.push(call);
      handler.statuses.push(status);
    }
    response.writeHead(status, headers).end(body);
  });
  handler.url = url;
  return handler;
}

type Handler = Awaited<ReturnType<typeof startHandler>>;

const startService = (handler: Handler, more: object): Promise<Server> =>
  start({
    retryPausesMs: [5, 5, 5],
    config: {
      accessKeys: [KEY],
      hubs: {
        chat: {
          eventHandlers: [
            { urlTemplate: handler.url, systemEvents: ["connect", "connected", "disconnected"] },
          ],
        },
      },
      ...more,
    },
  });

const tokenProof = (settings: CallerSettings, options: VerifierOptions = {}): CallerProof => ({
  kind: "token",
  verify: createCallerVerifier(settings, options),
});

const opened: WebSocket[] = [];
const closeOpened = (): void => {
  for (const socket of opened.splice(0)) socket.terminate();
};
afterEach(closeOpened);

async function open(url: string): Promise<{ socket: WebSocket; received: string[] }> {
  const socket = new WebSocket(url, ["v12.stomp"]);
  opened.push(socket);
  const received: string[] = [];
  socket.on("message", (data: Buffer) => void received.push(data.toString()));
  await once(socket, "open");
  return { socket, received };
}

/** The status of a handshake that is refused. */
async function refusalOf(url: string): Promise<number | undefined> {
  const socket = new WebSocket(url, ["v12.stomp"]);
  socket.on("error", () => {});
  const [, response] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
  response.resume();
  return response.statusCode;
}

describe("a service whose access keys are turned off", () => {
  let handler: Handler;
  let service: Server;
  let broadcaster: Broadcaster;
  let endpoint: string;

  beforeAll(async () => {
    handler = await startHandler();
    service = await startService(handler, { managedIdentity, disableLocalAuth: true });
    endpoint = `http://127.0.0.1:${service.port}`;
    handler.prove(tokenProof({ ...IDENTITY, jwksUri: `${endpoint}/identity/keys` }));
    // As App Service and Functions tell their processes; the SDK's credentials find it by these.
    vi.stubEnv("IDENTITY_ENDPOINT", `${endpoint}/identity/token`);
    vi.stubEnv("IDENTITY_HEADER", IDENTITY_HEADER);
    broadcaster = connectWebPubSub({ endpoint, accessKeys: [] }, "chat");
  });
  const countOf = (event: string): number =>
    handler.calls.filter(({ headers }) => headers["ce-eventname"] === event).length;
  afterEach(async () => {
    closeOpened();
    await expect.poll(() => countOf("disconnected")).toBe(countOf("connected"));
    expect(handler.errors).toEqual([]);
    handler.calls = [];
    handler.statuses = [];
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await service.close();
    await handler.close();
  });

  const connect = async (userId: number) => {
    const client = await open(`${await broadcaster.clientUrl(userId, 5)}&as=${userId}`);
    client.socket.send("who am I");
    await expect.poll(() => client.received.length).toBe(1);
    const connectionId = client.received.shift()?.split(" ")[0] ?? "";
    return { ...client, connectionId };
  };
  const tokenOf = async (resource: string): Promise<string> => {
    const query = new URLSearchParams({ resource, "api-version": "2019-08-01" });
    const headers = { "x-identity-header": IDENTITY_HEADER };
    const response = await fetch(`${endpoint}/identity/token?${query}`, { headers });
    return ((await response.json()) as { access_token: string }).access_token;
  };
  const rest = (token: string): Promise<Response> =>
    fetch(`${endpoint}/api/hubs/chat/groups/g`, {
      method: "HEAD",
      headers: { authorization: `Bearer ${token}` },
    });

  test("is told what to do by the process's own identity, and lets in whom that gives a URL", async () => {
    await broadcaster.ping();
    const [ann, ben] = [await connect(1), await connect(2)];
    for (const { connectionId } of [ann, ben]) await broadcaster.joinGroup(connectionId, "g");
    expect(await broadcaster.groupExists("g")).toBe(true);
    await broadcaster.sendToGroup("g", "to all");
    await broadcaster.sendToUser(1, "to Ann");
    await broadcaster.sendToConnection(ben.connectionId, "to Ben");
    await expect
      .poll(() => [ann.received, ben.received])
      .toEqual([
        ["to all", "to Ann"],
        ["to all", "to Ben"],
      ]);
    await broadcaster.removeUserFromGroups(1, ["g"]);
    await broadcaster.leaveGroup(ben.connectionId, "g");
    expect(await broadcaster.groupExists("g")).toBe(false);
    await broadcaster.closeConnection(ben.connectionId, "why");
    await broadcaster.closeUserConnections(1, "why");
    const open = () => Promise.all([ann, ben].map((one) => broadcaster.connectionExists(one.connectionId)));
    await expect.poll(open).toEqual([false, false]);
  });

  test("proves its calls by its token, from the handshake to the end, and by no signature", async () => {
    const { socket, received } = await connect(3);
    socket.send("비");
    await expect.poll(() => received.map((text) => text.split(" ")[1])).toEqual(["비"]);
    socket.close();
    // Of which "connected" is not waited for.
    await expect.poll(() => handler.statuses.toSorted()).toEqual([200, 200, 200, 204, 204]);
    expect(handler.calls.map(({ headers }) => headers["ce-eventname"])).toEqual(
      expect.arrayContaining(["connect", "connected", "message", "message", "disconnected"]),
    );
    for (const { headers } of handler.calls) {
      expect(headers["authorization"]).toMatch(/^Bearer [\w-]+\.[\w-]+\.[\w-]+$/);
      expect(headers).not.toHaveProperty("ce-signature");
    }
  });

  test("does not take the application's token for its own, though it is for the same audience", async () => {
    await connect(4);
    const [call] = handler.calls;
    const replay = (token: string) =>
      fetch(handler.url, {
        method: "POST",
        headers: { ...withoutHost(call!.headers), authorization: `Bearer ${token}` },
        body: new Uint8Array(call!.body),
      }).then(({ status }) => status);
    expect(await replay(call!.headers["authorization"]!.slice(7))).toBe(200);
    expect(await replay(await tokenOf(IDENTITY.audience))).toBe(401);
    expect(await replay(await tokenOf(REST_AUDIENCE))).toBe(401);
  });

  test("takes no call and no client by an access key", async () => {
    const byKey = new WebPubSubServiceClient(`Endpoint=${endpoint};AccessKey=${KEY};Version=1.0;`, "chat", {
      allowInsecureConnection: true,
      retryOptions: { maxRetries: 0 },
    });
    await expect(byKey.sendToAll("x", { contentType: "text/plain" })).rejects.toMatchObject({
      statusCode: 401,
    });
    expect(await refusalOf((await byKey.getClientAccessToken({ userId: "7" })).url)).toBe(401);
    expect(handler.calls).toEqual([]);
  });

  test("takes REST calls with its issuer's token for the socket service, and with no other", async () => {
    expect((await rest(await tokenOf(REST_AUDIENCE))).status).toBe(404);
    expect((await rest(await tokenOf(`${REST_AUDIENCE}/`))).status).toBe(404);
    await connect(5);
    const ofService = handler.calls[0]!.headers["authorization"]!.slice(7);
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const claims = { iss: IDENTITY.issuer, aud: REST_AUDIENCE, exp: Math.floor(Date.now() / 1000) + 60 };
    const ofStranger = await new SignJWT(claims).setProtectedHeader({ alg: "RS256" }).sign(privateKey);
    const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${ofStranger.split(".")[1]}.`;
    for (const token of [await tokenOf("https://other"), ofService, ofStranger, unsigned, "a.b.c", "a"])
      expect((await rest(token)).status).toBe(401);
  });

  test("is asked again, with a token, when it was overloaded", async () => {
    const asked: (string | undefined)[] = [];
    const busy = await listen((request, response) => {
      asked.push(request.headers.authorization?.split(" ")[0]);
      response.writeHead(asked.length === 1 ? 503 : 200).end();
    });
    onTestFinished(() => close(busy.server));
    expect(await connectWebPubSub({ endpoint: busy.url, accessKeys: [] }, "chat").groupExists("g")).toBe(
      true,
    );
    expect(asked).toEqual(["Bearer", "Bearer"]);
  });

  test("can't be told anything while there is no token to be had, which says so", async () => {
    vi.stubEnv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential");
    onTestFinished(() => void vi.stubEnv("AZURE_TOKEN_CREDENTIALS", undefined));
    const nobody = connectWebPubSub({ endpoint, accessKeys: [] }, "chat");
    for (const ask of [() => nobody.ping(), () => nobody.clientUrl(7, 5), () => nobody.sendToUser(7, "a")])
      await expect(ask()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test("gives tokens only to who knows the secret, and shows only its public key", async () => {
    const query = `resource=${REST_AUDIENCE}&api-version=2019-08-01`;
    const ask = (search: string, header?: string) =>
      fetch(`${endpoint}/identity/token?${search}`, {
        headers: header === undefined ? {} : { "X-IDENTITY-HEADER": header },
      });
    const right = await ask(query, IDENTITY_HEADER);
    expect(await right.json()).toEqual({
      access_token: expect.any(String),
      expires_on: expect.stringMatching(/^\d{10}$/),
      resource: REST_AUDIENCE,
      token_type: "Bearer",
    });
    for (const wrong of [
      ask(query),
      ask(query, "other"),
      ask("resource=x", IDENTITY_HEADER),
      ask("", IDENTITY_HEADER),
    ])
      expect((await wrong).status).toBe(400);
    const { keys } = (await (await fetch(`${endpoint}/identity/keys`)).json()) as { keys: object[] };
    expect(keys.map((key) => Object.keys(key).sort())).toEqual([["alg", "e", "kid", "kty", "n", "use"]]);
    expect((await fetch(`${endpoint}/identity/other`)).status).toBe(404);
  });
});

test("a service with both proves its calls both ways and takes both", async () => {
  const handler = await startHandler();
  onTestFinished(() => handler.close());
  const service = await startService(handler, { managedIdentity });
  onTestFinished(() => service.close());
  const endpoint = `http://127.0.0.1:${service.port}`;
  handler.prove(tokenProof({ ...IDENTITY, jwksUri: `${endpoint}/identity/keys` }));
  const broadcaster = connectWebPubSub({ endpoint, accessKeys: [KEY] }, "chat");
  await open(await broadcaster.clientUrl(7, 5));
  const { headers } = handler.calls[0]!;
  expect(headers["ce-signature"]).toBe(
    `sha256=${createHmac("sha256", KEY).update(headers["ce-connectionid"]!).digest("hex")}`,
  );
  expect(headers["authorization"]).toMatch(/^Bearer /);
  const query = `resource=${REST_AUDIENCE}&api-version=2019-08-01`;
  const identityHeader = { "x-identity-header": IDENTITY_HEADER };
  const issued = await fetch(`${endpoint}/identity/token?${query}`, { headers: identityHeader });
  const { access_token } = (await issued.json()) as { access_token: string };
  const users = await fetch(`${endpoint}/api/hubs/chat/users/7`, {
    method: "HEAD",
    headers: { authorization: `Bearer ${access_token}` },
  });
  expect(users.status).toBe(200);
});

test("a call that comes while the keys can't be fetched is repeated by the service, and then taken", async () => {
  const handler = await startHandler();
  onTestFinished(() => handler.close());
  const service = await startService(handler, { managedIdentity, disableLocalAuth: true });
  onTestFinished(() => service.close());
  let away = true;
  const keys = await listen(async (_request, response) => {
    const { status, text } = away
      ? { status: 503, text: "" }
      : { status: 200, text: await (await fetch(`http://127.0.0.1:${service.port}/identity/keys`)).text() };
    away = false;
    response.writeHead(status).end(text);
  });
  onTestFinished(() => close(keys.server));
  // So that the wait after a failed fetch is over when the call comes again.
  const now = () => Date.now() + handler.calls.length * 5_000;
  handler.prove(tokenProof({ ...IDENTITY, jwksUri: keys.url }, { now }));
  const url = `http://127.0.0.1:${service.port}/identity/token?resource=${REST_AUDIENCE}&api-version=2019-08-01`;
  const issued = await fetch(url, { headers: { "x-identity-header": IDENTITY_HEADER } });
  const { access_token } = (await issued.json()) as { access_token: string };
  const made = await fetch(`http://127.0.0.1:${service.port}/api/hubs/chat/:generateToken?userId=7`, {
    method: "POST",
    headers: { authorization: `Bearer ${access_token}` },
  });
  const { token } = (await made.json()) as { token: string };
  await open(`ws://127.0.0.1:${service.port}/client/hubs/chat?access_token=${token}`);
  expect(handler.statuses.slice(0, 2)).toEqual([503, 200]);
  expect(handler.calls[0]!.headers["ce-id"]).toBe(handler.calls[1]!.headers["ce-id"]);
  expect(handler.errors).toHaveLength(1);
});

describe("an upstream call that says it is the service's", () => {
  const provider = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
  let handler: Handler;
  let keys: { server: HttpServer; url: string };

  beforeAll(async () => {
    handler = await startHandler();
    const key = { ...(await exportJWK(provider.publicKey)), kid: "k", alg: "RS256", use: "sig" };
    keys = await listen((_request, response) => void response.end(JSON.stringify({ keys: [key] })));
    handler.prove(tokenProof({ ...IDENTITY, jwksUri: keys.url }));
  });
  beforeEach(() => {
    handler.statuses = [];
  });
  afterAll(async () => {
    await handler.close();
    await close(keys.server);
  });

  const headers = {
    "webhook-request-origin": "chat.webpubsub.azure.com",
    "ce-awpsversion": "1.0",
    "ce-specversion": "1.0",
    "ce-source": "/hubs/chat/client/conn-1",
    "ce-type": "azure.webpubsub.user.message",
    "ce-eventname": "message",
    "ce-hub": "chat",
    "ce-id": "1",
    "ce-connectionid": "conn-1",
    "ce-userid": "7",
    "content-type": "text/plain",
  };
  const post = async (more: Record<string, string>): Promise<number> =>
    (await fetch(handler.url, { method: "POST", headers: { ...headers, ...more }, body: "a" })).status;
  const seconds = (): number => Math.floor(Date.now() / 1000);
  const claims = (more: object = {}) => ({
    iss: IDENTITY.issuer,
    aud: IDENTITY.audience,
    oid: IDENTITY.objectId,
    sub: IDENTITY.objectId,
    iat: seconds(),
    nbf: seconds(),
    exp: seconds() + 3_600,
    ...more,
  });
  const signed = (more: object = {}, key: KeyObject = provider.privateKey, kid = "k"): Promise<string> =>
    new SignJWT(claims(more)).setProtectedHeader({ alg: "RS256", kid }).sign(key);
  const hs256 = (key: string | Buffer): string => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const text = `${encode({ alg: "HS256", kid: "k" })}.${encode(claims())}`;
    return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
  };
  const bearer = async (token: string | Promise<string>) => ({ authorization: `Bearer ${await token}` });
  const signature = `sha256=${createHmac("sha256", KEY).update("conn-1").digest("hex")}`;

  test.each<[string, object]>([
    ["as it should be", {}],
    ["past its exp by less than the tolerance", { exp: Math.floor(Date.now() / 1000) - 5 }],
    ["for several audiences", { aud: ["other", IDENTITY.audience] }],
  ])("is taken with a token %s", async (_what, more) => {
    expect(await post(await bearer(signed(more)))).toBe(200);
  });

  test.each<[string, () => Record<string, string> | Promise<Record<string, string>>]>([
    ["no proof at all", () => ({})],
    ["a signature by an access key only", () => ({ "ce-signature": signature })],
    [
      "a right signature beside a false token",
      async () => ({ "ce-signature": signature, ...(await bearer(signed({ oid: "x" }))) }),
    ],
    ["the oid of another", () => bearer(signed({ oid: "1b4f5a3e-0000-4000-8000-000000000002" }))],
    ["no oid", () => bearer(signed({ oid: undefined }))],
    ["another audience", () => bearer(signed({ aud: REST_AUDIENCE }))],
    ["another issuer", () => bearer(signed({ iss: "https://sts.windows.net/other/" }))],
    ["a token long past", () => bearer(signed({ exp: seconds() - 60 }))],
    ["a token to come", () => bearer(signed({ nbf: seconds() + 60 }))],
    ["a token without an end", () => bearer(signed({ exp: undefined }))],
    ["a stranger's signature", () => bearer(signed({}, stranger.privateKey))],
    ["a key id that nobody has", () => bearer(signed({}, stranger.privateKey, "other"))],
    ["HS256 by the access key", () => bearer(hs256(KEY))],
    [
      "HS256 by the public key",
      () => bearer(hs256(provider.publicKey.export({ type: "spki", format: "pem" }) as string)),
    ],
    [
      "alg none",
      () => bearer(`${Buffer.from('{"alg":"none"}').toString("base64url")}.${hs256("").split(".")[1]}.`),
    ],
    ["another scheme", async () => ({ authorization: `Basic ${await signed()}` })],
    ["two tokens", async () => ({ authorization: `Bearer ${await signed()}, Bearer ${await signed()}` })],
  ])("is answered 401 with %s", async (_what, more) => {
    expect(await post(await more())).toBe(401);
    expect(handler.errors).toEqual([]);
  });
});

test.each(["http://chat.example.com", "http://127.0.0.1.example.com:8080"])(
  "no Entra token goes to %s in plain text",
  (endpoint) => {
    expect(() => connectWebPubSub({ endpoint, accessKeys: [] }, "chat")).toThrow("on this machine only");
  },
);

function withoutHost(headers: Record<string, string>): Record<string, string> {
  const { host: _host, "content-length": _length, connection: _connection, ...rest } = headers;
  return rest;
}
