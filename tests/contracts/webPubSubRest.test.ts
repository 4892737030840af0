import { once } from "node:events";
import { connect } from "node:net";
import { SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Server, start } from "../../local/webPubSub/server.js";
import { open, opened } from "./webPubSubHandler.js";

/**
 * The data plane call by call, as the REST reference and the vendor's emulator have it; against this server
 * only.
 */

const KEY = "access-key-of-the-rest-suite";
let server: Server;
let id = "";

beforeAll(async () => {
  server = await start({ config: { accessKeys: [KEY], hubs: { rest: {} } } });
});
afterEach(() => {
  for (const socket of opened.splice(0)) socket.terminate();
});
afterAll(() => server.close());

const LATEST = "api-version=2024-12-01";
const sign = (claims: Record<string, unknown>, aud: string, lifetime = "1h"): Promise<string> =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256" })
    .setAudience(aud)
    .setExpirationTime(lifetime)
    .sign(new TextEncoder().encode(KEY));

/**
 * A call with a token for its URL. `LONG` stands for the longest name of a group, `ID` for ann's connection.
 */
async function call(method: string, path: string, text?: string, type?: string): Promise<Response> {
  const filled = path.replace("LONG", "g".repeat(1024)).replace("ID", id);
  const url = `http://127.0.0.1:${server.port}/api/hubs/${filled}`;
  const body = text?.replace("LONG", "g".repeat(1024));
  const authorization = `Bearer ${await sign({}, url)}`;
  const headers = { authorization, ...(type === undefined ? {} : { "content-type": type }) };
  // Bytes, as a text would be given a type of its own.
  return fetch(url, { method, headers, ...(body === undefined ? {} : { body: Buffer.from(body) }) });
}

/** Ann's connection in group g. */
async function join() {
  const url = `http://127.0.0.1:${server.port}/client/hubs/rest`;
  const token = await sign({ sub: "ann", "webpubsub.group": ["g"] }, url);
  const ann = await open(`${url.replace("http", "ws")}?access_token=${token}`);
  const listed = (await (await call("GET", "rest/groups/g/connections")).json()) as {
    value: { connectionId: string }[];
  };
  id = listed.value[0]!.connectionId;
  return ann;
}

const JSON_TYPE = "application/json";
const groups = (value: object): string => JSON.stringify(value);

describe("a call that is right", () => {
  test.each([
    ["POST", ":send", "text/plain", "x", 202],
    ["POST", ":send", undefined, "bytes", 202],
    ["POST", ":send", JSON_TYPE, "{}", 202],
    ["POST", ":send?excluded=a&excluded=b&messageTtlSeconds=300", "text/plain", "x", 202],
    ["POST", "groups/nobody/:send", "text/plain", "x", 202],
    ["POST", "groups/LONG/:send", "text/plain", "x", 202],
    ["POST", "users/nobody/:send?messageTtlSeconds=0", "text/plain", "x", 202],
    ["POST", "connections/nobody/:send", "text/plain", "x", 202],
    ["POST", "groups/nobody/:closeConnections?excluded=a&reason=r", undefined, undefined, 204],
    ["POST", "users/nobody/:closeConnections", undefined, undefined, 204],
    ["DELETE", "connections/nobody?reason=r", undefined, undefined, 204],
    ["DELETE", "connections/nobody/groups", undefined, undefined, 204],
    ["DELETE", "groups/g/connections/nobody", undefined, undefined, 204],
    ["DELETE", "users/nobody/groups", undefined, undefined, 204],
    ["DELETE", "users/nobody/groups/g", undefined, undefined, 204],
    ["DELETE", "permissions/sendToGroup/connections/nobody?targetName=g", undefined, undefined, 204],
    ["PUT", "users/ann/groups/h", undefined, undefined, 200],
    ["PUT", "groups/h/connections/ID", undefined, undefined, 200],
    ["PUT", "permissions/joinLeaveGroup/connections/ID?targetName=g", undefined, undefined, 200],
    ["POST", ":addToGroups", JSON_TYPE, groups({ groups: ["h"], filter: "userId eq 'ann'" }), 200],
    ["POST", ":removeFromGroups", JSON_TYPE, groups({ groups: ["h", "none"], filter: null }), 200],
    ["POST", ":generateToken?clientType=default&minutesToExpire=1&group=g", undefined, undefined, 200],
    ["GET", "groups/nobody/connections?maxpagesize=200&top=1", undefined, undefined, 200],
    ["HEAD", "connections/ID", undefined, undefined, 200],
    ["HEAD", "groups/g", undefined, undefined, 200],
    ["HEAD", "users/ann", undefined, undefined, 200],
  ])("%s %s of %s %s is answered %i%s", async (method, path, type, body, status) => {
    await join();
    const response = await call(method, `rest/${path}`, body, type);
    expect(response.status).toBe(status);
    expect(response.headers.get("api-supported-versions")).toContain("2024-12-01");
  });
});

test("a token that was taken is taken again, for its URL alone, and until it expires", async () => {
  const url = `http://127.0.0.1:${server.port}/api/hubs/rest/groups/g`;
  const token = await sign({}, url, "5s");
  const ask = async (of = url, bearer = token): Promise<number> => {
    const headers = { authorization: `Bearer ${bearer}` };
    return (await fetch(`${of}?${LATEST}`, { method: "HEAD", headers })).status;
  };
  expect([await ask(), await ask()]).toEqual([404, 404]);
  const changed = token.replace(/.$/, (last) => (last === "A" ? "Q" : "A"));
  expect([await ask(`${url}h`), await ask(url, changed)]).toEqual([401, 401]);
  await expect.poll(() => ask(), { timeout: 15_000 }).toBe(401);
});

describe("a call that is wrong", () => {
  test.each([
    ["POST", "1hub/:send", "text/plain", "x"],
    ["POST", `${"h".repeat(129)}/:send`, "text/plain", "x"],
    ["POST", "a%20hub/:send", "text/plain", "x"],
    ["POST", "%zz/:send", "text/plain", "x"],
    ["POST", "rest/groups/LONGg/:send", "text/plain", "x"],
    ["POST", "rest/groups/%20%09/:send", "text/plain", "x"],
    ["POST", "rest/groups//:send", "text/plain", "x"],
    ["HEAD", "rest/groups/LONGg", undefined, undefined],
    ["PUT", "rest/users/ann/groups/%20", undefined, undefined],
    ["PUT", "rest/groups/%20/connections/x", undefined, undefined],
    ["HEAD", "rest/users/", undefined, undefined],
    ["DELETE", "rest/connections/", undefined, undefined],
    ["PUT", "rest/permissions/fly/connections/x?targetName=g", undefined, undefined],
    ["HEAD", "rest/permissions/fly/connections/x", undefined, undefined],
    ["PUT", "rest/permissions/sendToGroup/connections/x?targetName=%20", undefined, undefined],
    ["POST", "rest/:send?api-version=2020-01-01", "text/plain", "x"],
    ["POST", `rest/:send?${LATEST}&${LATEST}`, "text/plain", "x"],
    ["POST", "rest/:send?api-version=", "text/plain", "x"],
    ["POST", "rest/:send?messageTtlSeconds=301", "text/plain", "x"],
    ["POST", "rest/:send?messageTtlSeconds=-1", "text/plain", "x"],
    ["POST", "rest/users/u/:send?messageTtlSeconds=soon", "text/plain", "x"],
    ["POST", "rest/connections/c/:send?messageTtlSeconds=1.5", "text/plain", "x"],
    ["POST", "rest/:send?filter=userId%20is%20%27ann%27", "text/plain", "x"],
    ["POST", "rest/users/u/:send?filter=(", "text/plain", "x"],
    ["POST", "rest/:send", JSON_TYPE, "{"],
    ["POST", "rest/:addToGroups", JSON_TYPE, "{"],
    ["POST", "rest/:addToGroups", JSON_TYPE, "null"],
    ["POST", "rest/:addToGroups", JSON_TYPE, groups({ groups: [] })],
    ["POST", "rest/:addToGroups", JSON_TYPE, groups({ groups: ["g", " "] })],
    ["POST", "rest/:removeFromGroups", JSON_TYPE, groups({ groups: ["LONGg"] })],
    ["POST", "rest/:removeFromGroups", JSON_TYPE, groups({ groups: ["g"], filter: "userId eq" })],
    ["POST", "rest/:removeFromGroups", JSON_TYPE, groups({ groups: ["g"], filter: 7 })],
    ["POST", "rest/:generateToken?minutesToExpire=0", undefined, undefined],
    ["POST", "rest/:generateToken?minutesToExpire=1e3", undefined, undefined],
    ["POST", "rest/:generateToken?group=%20", undefined, undefined],
    ["POST", "rest/:generateToken?clientType=other", undefined, undefined],
    ["GET", "rest/groups/g/connections?maxpagesize=201", undefined, undefined],
    ["GET", "rest/groups/g/connections?maxpagesize=0", undefined, undefined],
    ["GET", "rest/groups/g/connections?top=0", undefined, undefined],
    ["GET", "rest/groups/g/connections?top=1&top=2", undefined, undefined],
    ["GET", "rest/groups/g/connections?continuationToken=made.up", undefined, undefined],
  ])("%s %s of %s %s is a bad request", async (method, path, type, body) => {
    const response = await call(method, path, body, type);
    expect(response.status).toBe(400);
    expect(response.headers.get("x-ms-error-code")).toBe("Error.BadRequest");
    if (method !== "HEAD")
      expect(await response.json()).toEqual({
        code: "Error.BadRequest",
        message: expect.any(String),
        target: expect.any(String),
      });
  });

  test.each([
    ["POST", ":send", "text/html", "<p>", 415, "UnsupportedMediaType"],
    ["POST", ":addToGroups", "text/plain", groups({ groups: ["g"] }), 415, "UnsupportedMediaType"],
    ["POST", ":generateToken?clientType=MQTT", undefined, undefined, 501, "NotImplemented"],
    ["PUT", "groups/g/connections/nobody", undefined, undefined, 404, "Error.Connection.NotExisted"],
    [
      "PUT",
      "permissions/sendToGroup/connections/nobody",
      undefined,
      undefined,
      404,
      "Error.Connection.NotExisted",
    ],
    ["HEAD", "connections/nobody", undefined, undefined, 404, "Warning.Connection.NotExisted"],
    ["HEAD", "groups/nobody", undefined, undefined, 404, "Warning.Group.NotExisted"],
    ["HEAD", "users/nobody", undefined, undefined, 404, "Warning.User.NotExisted"],
  ])("%s %s of %s %s is answered %i %s", async (method, path, type, body, status, code) => {
    const response = await call(method, `rest/${path}`, body, type);
    expect([response.status, response.headers.get("x-ms-error-code")]).toEqual([status, code]);
  });

  test("is one that does not say how long its body is", async () => {
    const url = `http://127.0.0.1:${server.port}/api/hubs/rest/:send`;
    const socket = connect(server.port, "127.0.0.1");
    socket.write(
      `POST /api/hubs/rest/:send HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n` +
        `Authorization: Bearer ${await sign({}, url)}\r\nContent-Type: text/plain\r\n` +
        "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    );
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
  });
});

test("a continuation counts for the group and hub that it was given for", async () => {
  await Promise.all([join(), join()]);
  const page = (await (await call("GET", "rest/groups/g/connections?maxpagesize=1")).json()) as {
    nextLink: string;
  };
  const token = new URL(page.nextLink).searchParams.get("continuationToken");
  const at = (group: string) => call("GET", `rest/groups/${group}/connections?continuationToken=${token}`);
  expect((await at("g")).status).toBe(200);
  expect((await at("other")).status).toBe(400);
});

test("a version is looked at in the health check, too", async () => {
  const check = async (query: string) =>
    (await fetch(`http://127.0.0.1:${server.port}/api/health${query}`, { method: "HEAD" })).status;
  expect([await check(""), await check(`?${LATEST}`), await check("?api-version=1")]).toEqual([
    200, 200, 400,
  ]);
});
