import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createConnection } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { appFolder, buildHost, type Running, runHost, scratchFolder } from "./processes.js";

/** Calls over HTTP, and what happens around them. */
export function httpCases(): void {
  let scratch: ReturnType<typeof scratchFolder>;
  let hookLog: string;
  let main: string;
  let host: Running;

  beforeAll(async () => {
    scratch = scratchFolder();
    hookLog = join(scratch.path, "hooks.log");
    main = await buildHost(scratch.path);
    writeFileSync(hookLog, "");
    host = await runHost(main, { HOOK_LOG: hookLog, OVERRIDDEN: "from the environment" }, "--app", appFolder);
  });
  afterAll(async () => {
    await host?.end();
    scratch.remove();
  });

  function call(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`http://127.0.0.1:${host.ready.port}${path}`, init);
  }

  /** Sends bytes as they are and resolves to all that comes back until the server closes. */
  async function raw(text: string): Promise<string> {
    const socket = createConnection(host.ready.port, "127.0.0.1");
    socket.write(text);
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    return answer;
  }

  describe("routes", () => {
    it.each([
      ["GET", "/api/rooms/7", "room", { id: "7" }],
      ["GET", "/api/rooms/7/", "room", { id: "7" }],
      ["GET", "/API/Rooms/Seven", "room", { id: "Seven" }],
      ["DELETE", "/api/rooms/7", "room", { id: "7" }],
      ["GET", "/api/rooms/search", "roomSearch", {}],
      ["GET", "/api/rooms/search?q=1", "roomSearch", {}],
      ["GET", "/api/rooms/%ED%95%9C%20a%2Fb%2525", "room", { id: "한 a%2Fb%25" }],
      ["GET", "/api/rooms/%zz", "room", { id: "%zz" }],
      ["GET", "/api/rooms/7/members", "member", { id: "7" }],
      ["GET", "/api/rooms/-7/members/ann", "member", { id: "-7", user: "ann" }],
      ["GET", "/api/files/a/b/c.txt", "files", { rest: "a/b/c.txt" }],
      ["GET", "/api/files", "files", {}],
      ["GET", "/api/defaultRoute", "defaultRoute", {}],
    ])("%s %s reaches %s", async (method, path, name, params) => {
      const response = await call(path, { method });
      expect(await response.json()).toEqual({ name, params });
    });

    it.each([
      ["GET", "/"],
      ["GET", "/rooms/7"],
      ["GET", "/api/rooms"],
      ["GET", "/api/rooms//members"],
      ["GET", "/api/rooms/seven/members"],
      ["GET", "/api/rooms/7/members/ann/x"],
      ["POST", "/api/rooms/7"],
      ["HEAD", "/api/rooms/7"],
      ["DELETE", "/api/rooms/search/x"],
    ])("%s %s is 404", async (method, path) => {
      expect((await call(path, { method })).status).toBe(404);
    });
  });

  describe("requests and answers", () => {
    it("hands over method, headers, query and the bytes of the body", async () => {
      const response = await call("/api/echo?a=1&b=x%20y&a=2", {
        method: "POST",
        headers: { "x-one": "1", "content-type": "application/x-bytes" },
        body: Buffer.from([0, 1, 254, 255]),
      });
      expect(response.status).toBe(201);
      expect(response.headers.get("x-method")).toBe("POST");
      expect(response.headers.get("x-query")).toBe("a=1%2C2&b=x+y");
      expect(response.headers.get("x-url")).toBe(
        `http://127.0.0.1:${host.ready.port}/api/echo?a=1&b=x%20y&a=2`,
      );
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(await response.json()).toMatchObject({
        headers: { "x-one": "1", "content-type": "application/x-bytes" },
        body: "0001feff",
      });
    });

    it("joins headers that come twice", async () => {
      const answer = await raw(
        "GET /api/echo HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nX-Empty:\r\nConnection: close\r\n\r\n",
      );
      expect(answer).toContain('"x-a":"1, 2"');
      expect(answer).not.toContain("x-empty");
    });

    it("takes a chunked body", async () => {
      const answer = await raw(
        "POST /api/echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n1\r\ny\r\n0\r\n\r\n",
      );
      expect(answer).toContain('"body":"686579"');
    });

    it("answers OPTIONS by the function that lists it", async () => {
      const response = await call("/api/echo", {
        method: "OPTIONS",
        headers: { "WebHook-Request-Origin": "x" },
      });
      expect([response.status, response.headers.get("x-method")]).toEqual([200, "OPTIONS"]);
    });

    it("answers HEAD without a body", async () => {
      const response = await call("/api/echo", { method: "HEAD" });
      expect([response.status, response.headers.get("x-method"), await response.text()]).toEqual([
        201,
        "HEAD",
        "",
      ]);
    });

    it("sets each cookie in a header of its own", async () => {
      const response = await call("/api/cookies");
      expect(response.headers.getSetCookie()).toEqual([
        "a=1%202; max-age=60; path=/; secure; samesite=strict; httponly",
        "b=2; expires=Tue, 01 Jan 2030 00:00:00 GMT; domain=example.test",
      ]);
    });

    it("sends bytes as they are", async () => {
      const response = await call("/api/binary");
      expect(response.headers.get("content-type")).toBe("application/octet-stream");
      expect(Buffer.from(await response.arrayBuffer()).toString("hex")).toBe("00ff800a");
    });

    it.each([
      ["/api/stream", 200, "first,second"],
      ["/api/nothing", 204, ""],
      ["/api/throws", 500, ""],
      ["/api/responseClass", 418, "tea"],
      ["/admin/host/status", 200, '{"state":"Running"}'],
    ])("%s answers %i", async (path, status, body) => {
      const response = await call(path);
      expect([response.status, await response.text()]).toEqual([status, body]);
    });

    it("logs what a function threw, which its client does not hear", async () => {
      await call("/api/throws");
      expect(host.log()).toMatch(
        /error functionsHost: throws [0-9a-f]{8} failed after .*a secret detail \| at /,
      );
    });

    it("goes on after a promise that was rejected unseen", async () => {
      expect(await (await call("/api/rejectsUnseen")).text()).toBe("still here");
      expect((await call("/api/nothing")).status).toBe(204);
      expect(host.log()).toContain("nobody waits for this");
    });

    it("refuses a body of more than 16 MiB, announced or not", async () => {
      const head = "POST /api/echo HTTP/1.1\r\nHost: h\r\n";
      expect(await raw(`${head}Content-Length: 16777217\r\n\r\n`)).toMatch(/^HTTP\/1.1 413 /);
      expect(await statusOfChunked(17)).toBe(413);
    });

    it.each(["GET /api/echo HTTP/1.1\r\nHost: a b\r\n", "GET http://x/api/echo HTTP/1.1\r\nHost: h\r\n"])(
      "refuses %j",
      async (head) => {
        expect(await raw(`${head}Connection: close\r\n\r\n`)).toMatch(/^HTTP\/1.1 40[04] /);
      },
    );
  });

  /** The status for a chunked body of so many MiB, read while it is still being sent. */
  function statusOfChunked(mebibytes: number): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const options = { port: host.ready.port, host: "127.0.0.1", path: "/api/echo", method: "POST" };
      const request = http.request(options, (response) => {
        resolve(response.statusCode);
        request.destroy();
      });
      request.on("error", reject);
      for (let i = 0; i < mebibytes; i++) request.write(Buffer.alloc(1 << 20));
    });
  }

  describe("the app", () => {
    it("is loaded from CommonJS and ESM files alike", () => {
      expect(host.ready.functions).toEqual(expect.arrayContaining(["binary", "echo", "room", "roomSearch"]));
    });

    it("gets settings from the file, but the environment wins", async () => {
      expect(await (await call("/api/settings")).json()).toEqual({
        greeting: "from the example file",
        overridden: "from the environment",
      });
    });

    it("runs hooks around calls, which can replace handler and result", async () => {
      const response = await call("/api/hooks");
      expect([response.status, await response.text()]).toEqual([202, "replaced by the hook"]);
      expect(readFileSync(hookLog, "utf8").split("\n").slice(0, 3)).toEqual([
        "appStart",
        "preInvocation",
        'postInvocation {"body":"replaced by the hook"}',
      ]);
    });

    it("finishes running calls and runs the appTerminate hooks before it ends", async () => {
      const log = join(scratch.path, "terminate.log");
      const other = await runHost(main, { HOOK_LOG: log }, "--app", appFolder);
      const slow = fetch(`http://127.0.0.1:${other.ready.port}/api/slow`);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const code = await other.end("SIGTERM");
      expect(await (await slow).text()).toBe("done");
      expect([code, readFileSync(log, "utf8")]).toEqual([0, "appStart\nappTerminate\n"]);
    });

    it("ends when its stdin does", async () => {
      const other = await runHost(main, {}, "--app", appFolder);
      other.child.stdin?.end();
      await new Promise((resolve) => other.child.once("exit", resolve));
      expect(other.child.exitCode).toBe(0);
    });

    it("goes down with a function that runs past functionTimeout", async () => {
      const env = { AzureFunctionsJobHost__functionTimeout: "00:00:01" };
      const other = await runHost(main, env, "--app", appFolder);
      await expect(fetch(`http://127.0.0.1:${other.ready.port}/api/tooSlow`)).rejects.toThrow();
      expect(await other.end()).toBe(1);
      expect(other.log()).toContain("ran past functionTimeout (1 s)");
    });
  });
}
