import { createSecretKey } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { AzureKeyCredential, WebPubSubServiceClient } from "@azure/web-pubsub";
import { decodeJwt, jwtVerify } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type Authorization, authorizationByIdentity, authorizationByKey } from "./authorization.js";
import { createGroupCalls, type GroupCalls } from "./groupCalls.js";
import { Quiet, Throttled } from "./retryAfter.js";

const KEY = "a key of thirty-two bytes or more";
const secret = createSecretKey(Buffer.from(KEY));

interface Call {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

let calls: Call[] = [];
/** What the next calls are answered with; 202 without more. */
let answers: ((response: ServerResponse) => void)[] = [];
const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  const { method, url: path, headers } = request;
  calls.push({ method, path, headers, body });
  const answer = answers.shift();
  if (answer) answer(response);
  else response.writeHead(202).end();
});
let endpoint = "";
let groups: GroupCalls;
const callsBy = (authorization: Authorization, quiet = new Quiet()): GroupCalls =>
  createGroupCalls({ endpoint, hub: "chat", authorization, quiet });
const send: GroupCalls["send"] = (...sent) => groups.send(...sent);

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  [calls, answers] = [[], []];
  groups = callsBy(authorizationByKey(secret));
});

const status =
  (code: number, headers: Readonly<Record<string, string>> = {}, text = "") =>
  (response: ServerResponse) =>
    response.writeHead(code, headers).end(text);
const tokenOf = ({ headers }: Call): string => headers.authorization!.replace(/^Bearer /, "");

test.each(["r7:sub-0", "r7p:~b3duXGNpZA", "a b/c?d&é"])(
  "a call for the group %s is the SDK's",
  async (group) => {
    const text = "MESSAGE\n\n비\0";
    await send(group, text, 5_000);
    const options = { allowInsecureConnection: true };
    const sdk = new WebPubSubServiceClient(endpoint, new AzureKeyCredential(KEY), "chat", options);
    await sdk.group(group).sendToAll(text, { contentType: "text/plain" });
    const [ours, theirs] = calls as [Call, Call];
    const looks = ({ method, path, headers, body }: Call) => [method, path, headers["content-type"], body];
    expect(looks(ours)).toEqual(looks(theirs));
    const { iat, exp, ...claims } = decodeJwt(tokenOf(ours));
    const { iat: theirIat, exp: theirExp, ...theirClaims } = decodeJwt(tokenOf(theirs));
    expect([claims, exp! - iat!]).toEqual([theirClaims, theirExp! - theirIat!]);
    await jwtVerify(tokenOf(ours), secret, { audience: endpoint + ours.path });
  },
);

test.each([
  ["joins", "r7p:~b3duXGNpZA", "PUT"],
  ["leaves", "a b/c?d&é", "DELETE"],
] as const)("a connection %s the group %s by the SDK's call", async (what, group, method) => {
  answers = [status(method === "PUT" ? 200 : 204), status(method === "PUT" ? 200 : 204)];
  const id = "Zm9v_-b/r";
  const options = { allowInsecureConnection: true };
  const sdk = new WebPubSubServiceClient(endpoint, new AzureKeyCredential(KEY), "chat", options).group(group);
  if (what === "joins") {
    await groups.join(group, id, 5_000);
    await sdk.addConnection(id);
  } else {
    await groups.leave(group, id, 5_000);
    await sdk.removeConnection(id);
  }
  const [ours, theirs] = calls as [Call, Call];
  const looks = (call: Call) => [call.method, call.path, call.headers["content-length"], call.body];
  expect(looks(ours)).toEqual(looks(theirs));
  expect(ours.method).toBe(method);
  await jwtVerify(tokenOf(ours), secret, { audience: endpoint + ours.path });
});

test.each([
  ["r7:sub-0", 200, true],
  ["a b/c?d&é", 404, false],
] as const)("whether the group %s exists is asked as the SDK asks: %i", async (group, code, isThere) => {
  answers = [status(code), status(code)];
  const options = { allowInsecureConnection: true };
  const sdk = new WebPubSubServiceClient(endpoint, new AzureKeyCredential(KEY), "chat", options);
  expect([await groups.exists(group, 5_000), await sdk.groupExists(group)]).toEqual([isThere, isThere]);
  const [ours, theirs] = calls as [Call, Call];
  const looks = (call: Call) => [call.method, call.path, call.headers["content-length"], call.body];
  expect(looks(ours)).toEqual(looks(theirs));
  await jwtVerify(tokenOf(ours), secret, { audience: endpoint + ours.path });
});

/** As of a server that takes HTTP/1.1's word for it that the connection stays. */
const unsaid =
  (code: number) =>
  (response: ServerResponse): void => {
    response.removeHeader("connection");
    response.writeHead(code, { "content-length": 0 }).end();
  };

test.each([
  ["where the service says that it stays", status],
  ["where the service does not say so", unsaid],
])("calls of all kinds leave their connection to the next one, %s", async (_, answer) => {
  const opened = vi.fn();
  server.on("connection", opened);
  const kinds: readonly (() => Promise<unknown>)[] = [
    () => send("g", "text", 5_000),
    () => groups.join("g", "c", 5_000),
    () => groups.exists("g", 5_000),
    () => groups.exists("none", 5_000),
    () => groups.leave("g", "c", 5_000),
    () => send("g", "text", 5_000),
  ];
  answers = [202, 200, 200, 404, 204, 202].map((code) => answer(code));
  for (const call of kinds) {
    await call();
    // Undici hands a connection on one turn later.
    await setImmediate();
  }
  server.off("connection", opened);
  expect([calls.length, opened.mock.calls.length]).toEqual([kinds.length, 1]);
});

test("a group of which nothing is known is no empty one", async () => {
  answers = [status(500), status(500), status(500)];
  await expect(groups.exists("a", 5_000)).rejects.toMatchObject({ statusCode: 500 });
  expect(calls).toHaveLength(3);
  answers = [status(403)];
  await expect(groups.exists("a", 5_000)).rejects.toMatchObject({ statusCode: 403 });
});

test("a connection that is gone is told by its status", async () => {
  answers = [status(404), status(404)];
  await expect(groups.join("a", "gone", 5_000)).rejects.toMatchObject({ statusCode: 404 });
  await expect(groups.leave("a", "gone", 5_000)).rejects.toMatchObject({ statusCode: 404 });
});

describe("a token", () => {
  test("by a key is used again for its group alone, for half an hour", () => {
    let now = Date.now();
    const { header } = authorizationByKey(secret, () => now);
    const first = header("a");
    now += 1_799_000;
    expect(header("a")).toBe(first);
    expect(header("b")).not.toBe(first);
    now += 2_000;
    expect(header("a")).not.toBe(first);
    // Set back.
    now -= 7_200_000;
    expect(decodeJwt(String(header("a")).slice(7)).iat).toBe(Math.floor(now / 1_000));
  });

  test("of an identity is asked for once by calls at the same time, and anew before its end", async () => {
    let [now, asked] = [Date.now(), 0];
    const credential = {
      async getToken() {
        asked += 1;
        return { token: `token ${asked}`, expiresOnTimestamp: now + 3_600_000 };
      },
    };
    const { header } = authorizationByIdentity(credential, () => now);
    expect(await Promise.all([header("a"), header("b")])).toEqual(["Bearer token 1", "Bearer token 1"]);
    now += 3_200_000;
    expect(await header("a")).toBe("Bearer token 1");
    now += 200_000;
    expect(await header("a")).toBe("Bearer token 2");
  });

  test("of an identity that has none is no token for later, either", async () => {
    const found = [undefined, { token: "late", expiresOnTimestamp: Date.now() + 3_600_000 }];
    const { header } = authorizationByIdentity({ getToken: async () => found.shift() ?? null });
    await expect(header("a")).rejects.toThrow("has no token");
    expect(await header("a")).toBe("Bearer late");
  });

  test("that is not taken is not used again", async () => {
    let asked = 0;
    const getToken = async () => ({ token: `${++asked}`, expiresOnTimestamp: Date.now() + 3_600_000 });
    groups = callsBy(authorizationByIdentity({ getToken }));
    answers = [status(401, {}, "no")];
    await expect(send("a", "x", 5_000)).rejects.toMatchObject({ statusCode: 401, message: "no" });
    await send("a", "x", 5_000);
    expect(calls.map(tokenOf)).toEqual(["1", "2"]);
  });
});

test.each([408, 500, 502, 503])("%i is tried again", async (code) => {
  answers = [status(code), status(code)];
  await send("a", "x", 5_000);
  expect(calls).toHaveLength(3);
});

test("a third failure is thrown", async () => {
  answers = [status(500), status(500), status(500, {}, "broken")];
  await expect(send("a", "x", 5_000)).rejects.toMatchObject({ statusCode: 500, message: "broken" });
});

test.each([400, 403, 404, 501])("%i is thrown at once", async (code) => {
  answers = [status(code)];
  await expect(send("a", "x", 5_000)).rejects.toMatchObject({ statusCode: code });
  expect(calls).toHaveLength(1);
});

test("a connection that is cut is another try", async () => {
  answers = [(response) => response.socket?.resetAndDestroy()];
  await send("a", "x", 5_000);
  expect(calls.map(({ body }) => body)).toEqual(["x", "x"]);
});

test("an answer that asks to wait keeps the calls away", async () => {
  const quiet = new Quiet();
  answers = [status(429, { "retry-after": "2" })];
  await expect(callsBy(authorizationByKey(secret), quiet).send("a", "x", 5_000)).rejects.toBeInstanceOf(
    Throttled,
  );
  expect(quiet.left).toBeGreaterThan(1_000);
});

test("a service that doesn't answer fails the call, and the next one goes", async () => {
  answers = [() => {}];
  await expect(send("a", "x", 100)).rejects.toThrow("did not answer in time");
  await send("a", "x", 5_000);
});

test("calls whose time is over before they have a connection cost none", async () => {
  let opened = 0;
  const count = (): void => {
    opened += 1;
  };
  server.on("connection", count);
  const held: ServerResponse[] = [];
  answers = Array.from({ length: 64 }, () => (response: ServerResponse) => void held.push(response));
  const first = Array.from({ length: 64 }, () => send("a", "x", 5_000));
  await vi.waitFor(() => expect(held).toHaveLength(64));
  const late = Array.from({ length: 50 }, () => send("a", "x", 50));
  for (const result of await Promise.allSettled(late)) expect(result.status).toBe("rejected");
  for (const response of held) response.writeHead(202).end();
  await Promise.all([...first, ...Array.from({ length: 64 }, () => send("a", "x", 5_000))]);
  server.off("connection", count);
  expect(opened).toBe(64);
  expect(calls).toHaveLength(128);
});

test("no call is repeated after its time", async () => {
  answers = [status(500)];
  await expect(send("a", "x", 1)).rejects.toThrow();
  const before = calls.length;
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(calls.length).toBeLessThanOrEqual(Math.max(1, before));
});
