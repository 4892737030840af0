import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeDemo } from "./demo.js";

const auth = {
  AUTH_JWT_SECRET: "a secret of this test, thirty-two bytes or more",
  AUTH_ISSUER: "issuer",
  AUTH_AUDIENCE: "audience",
};
const PREFIX = "/api/v1/chat";
let data: string;
let server: Server;
let calls: string[];
/** What the API answers to a call like `POST /rooms`; `{}` to all others. */
let answers: Record<string, [status: number, body: string]>;

beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), "nonstop-demo-"));
  calls = [];
  answers = {};
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const name = `${request.method} ${request.url?.replace(PREFIX, "")}`;
    calls.push(body ? `${name} ${body}` : name);
    const [status, text] = answers[name] ?? [200, "{}"];
    response.writeHead(status).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(data, { recursive: true, force: true });
});

const make = () =>
  makeDemo(data, { api: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, auth });

describe("the demo rooms", () => {
  test("are made once for a data folder", async () => {
    await make();
    expect(calls).toEqual([
      ...Array.from({ length: 6 }, () => "POST /negotiate"),
      "GET /rooms?limit=100",
      'POST /rooms {"targetUserId":2}',
      'POST /group-rooms {"roomName":"Nonstop","userIds":[2,3,4,5,6]}',
    ]);
    await make();
    expect(calls).toHaveLength(9);
  });

  test("are tried again after a failure, and what was made before is not made twice", async () => {
    answers = { "POST /group-rooms": [503, '{"code":"UNAVAILABLE"}'] };
    await expect(make()).rejects.toThrow('POST /group-rooms answered 503 {"code":"UNAVAILABLE"}');
    expect(existsSync(join(data, "demo.json"))).toBe(false);
    calls = [];
    answers = { "GET /rooms?limit=100": [200, '{"rooms":[{"name":"Ben"},{"name":"Nonstop"}]}'] };
    await make();
    expect(calls.filter((call) => call.startsWith("POST /group-rooms"))).toEqual([]);
    expect(existsSync(join(data, "demo.json"))).toBe(true);
  });
});
