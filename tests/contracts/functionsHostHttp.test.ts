import { readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appFolder, builtHost, type Running, runHost, scratchFolder } from "./functionsApp/processes.js";

/** Calls over HTTP, and what happens around them. */
describe("the Functions host, serving HTTP", () => {
  let scratch: ReturnType<typeof scratchFolder>;
  let hookLog: string;
  let main: string;
  let host: Running;

  beforeAll(async () => {
    scratch = scratchFolder();
    hookLog = join(scratch.path, "hooks.log");
    main = await builtHost();
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

  /** The end of a request's head. */
  const close = "Connection: close\r\n\r\n";

  /** A request's head, not yet ended. */
  const head = (method: string, target: string, more = "") =>
    `${method} ${target} HTTP/1.1\r\nHost: h\r\n${more}`;

  /** Sends bytes as they are and resolves to all that comes back until the server closes. */
  async function raw(text: string | Buffer): Promise<string> {
    const socket = createConnection(host.ready.port, "127.0.0.1");
    socket.write(text);
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    return answer;
  }

  describe("routes", () => {
    test.each([
      ["GET", "/api/rooms/7", "room", { id: "7" }],
      ["GET", "/api/rooms/7/", "room", { id: "7" }],
      ["GET", "/API/Rooms/Seven", "room", { id: "Seven" }],
      ["DELETE", "/api/rooms/7", "room", { id: "7" }],
      ["GET", "/api/rooms/7?q=1", "room", { id: "7" }],
      // By the order of their names: "room" comes before "roomSearch", and its parameter takes whatever
      // comes.
      ["GET", "/api/rooms/search", "room", { id: "search" }],
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

    test.each([
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
    test("hands over method, headers, query and the bytes of the body", async () => {
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

    test.each([
      ["X-A: 1", "x-a: 2", '"x-a":"1,2"'],
      ["Authorization: Bearer a", "Authorization: Bearer b", '"authorization":"Bearer a,Bearer b"'],
      ["Cookie: a=1", "Cookie: b=2", '"cookie":"a=1,b=2"'],
      ["User-Agent: a", "User-Agent: b", '"user-agent":"a,b"'],
    ])("joins %s and %s by a comma alone", async (one, other, seen) => {
      const answer = await raw(`GET /api/echo HTTP/1.1\r\nHost: h\r\n${one}\r\n${other}\r\n${close}`);
      expect(answer).toContain(seen);
    });

    test("keeps a header that is empty, and reads headers as UTF-8", async () => {
      const answer = await raw(`GET /api/echo HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nX-E: é\r\n${close}`);
      expect(answer).toContain('"x-empty":""');
      expect(answer).toContain('"x-e":"é"');
    });

    test.each([
      ["a=1&A=2", "A=1%2C2"],
      ["a=1&A=2&a=3&b=", "A=1%2C2%2C3&b="],
      ["a=x+y", "a=x+y"],
    ])("counts names of ?%s as one in any letter case", async (query, seen) => {
      expect((await call(`/api/echo?${query}`)).headers.get("x-query")).toBe(seen);
    });

    test("takes a chunked body for none, though its header is seen", async () => {
      const answer = await raw(
        `POST /api/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n${close}2\r\nhe\r\n1\r\ny\r\n0\r\n\r\n`,
      );
      expect(answer).toContain('"transfer-encoding":"chunked"');
      expect(answer).toContain('"body":""');
    });

    test("goes on with the connection after a chunked body that nobody read", async () => {
      const head = "POST /api/echo HTTP/1.1\r\nHost: h\r\n";
      const answer = await raw(
        `${head}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n${head}Content-Length: 1\r\n${close}x`,
      );
      expect(answer).toMatch(/"body":"".*"body":"78"/s);
    });

    test.each(["/api/rooms/../rooms/./7", "/x/%2e%2e/api/rooms/7", "/%61pi/rooms/%37"])(
      "finds the way of %s",
      async (path) => {
        const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: h\r\n${close}`);
        expect(answer).toContain('{"name":"room","params":{"id":"7"}}');
      },
    );

    test("tells the function the address it found", async () => {
      const answer = await raw(`GET /x/../api/ech%6f?%6f HTTP/1.1\r\nHost: h\r\n${close}`);
      expect(answer).toContain("x-url: http://h/api/echo?%6f\r\n");
      const encoded = await raw(`GET /api/rooms/1%252F2 HTTP/1.1\r\nHost: h\r\n${close}`);
      expect(encoded).toContain('{"id":"1%2F2"}');
    });

    test("tells of no trace, whatever the request's headers say", async () => {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      const answer = await call("/api/trace", { headers: { traceparent, tracestate: "a=1" } });
      expect(await answer.json()).toEqual({ traceParent: "", traceState: "", attributes: {} });
    });

    test("writes the headers of an answer as Kestrel does, and a body in chunks", async () => {
      const answer = await raw(`GET /api/headers?value=1 HTTP/1.1\r\nHost: h\r\n${close}`);
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      for (const line of ["x-own: 1", 'ETag: "1"', "WWW-Authenticate: Basic", "Transfer-Encoding: chunked"])
        expect(answer).toContain(`\r\n${line}\r\n`);
      expect(answer).not.toMatch(/content-length/i);
      expect(answer).toContain("\r\n\r\n9\r\nread them\r\n0\r\n\r\n");
    });

    test("cannot send a header that is not ASCII", async () => {
      expect((await call("/api/headers?value=%C3%A9")).status).toBe(500);
    });

    test("answers OPTIONS by the function that lists it", async () => {
      const response = await call("/api/echo", {
        method: "OPTIONS",
        headers: { "WebHook-Request-Origin": "x" },
      });
      expect([response.status, response.headers.get("x-method")]).toEqual([200, "OPTIONS"]);
    });

    test("answers HEAD without a body", async () => {
      const response = await call("/api/echo", { method: "HEAD" });
      expect([response.status, response.headers.get("x-method"), await response.text()]).toEqual([
        201,
        "HEAD",
        "",
      ]);
    });

    test("sets each cookie in a header of its own", async () => {
      const response = await call("/api/cookies");
      expect(response.headers.getSetCookie()).toEqual([
        "a=1%202; max-age=60; path=/; secure; samesite=strict; httponly",
        "b=2; expires=Tue, 01 Jan 2030 00:00:00 GMT; domain=example.test",
      ]);
    });

    test("sends bytes as they are", async () => {
      const response = await call("/api/binary");
      expect(response.headers.get("content-type")).toBe("application/octet-stream");
      expect(Buffer.from(await response.arrayBuffer()).toString("hex")).toBe("00ff800a");
    });

    test.each([
      ["/api/stream", 200, "first,second"],
      ["/api/nothing", 204, ""],
      ["/api/throws", 500, ""],
      ["/api/responseClass", 418, "tea"],
      ["/admin/host/status", 200, '{"state":"Running"}'],
    ])("%s answers %i", async (path, status, body) => {
      const response = await call(path);
      expect([response.status, await response.text()]).toEqual([status, body]);
    });

    test("logs what a function threw, which its client does not hear", async () => {
      await call("/api/throws");
      expect(host.log()).toMatch(
        /error functionsHost: throws [0-9a-f]{8} failed after .*a secret detail \| at /,
      );
    });

    test.each([
      { what: "of an address of 15 KB", head: head("GET", `/api/echo?${"a".repeat(15_000)}`), status: 414 },
      { what: "of 101 headers", head: head("GET", "/api/echo", "a: b\r\n".repeat(99)), status: 431 },
      {
        what: "of 33 KB of headers",
        head: head("GET", "/api/echo", `a: ${"a".repeat(33_000)}\r\n`),
        status: 431,
      },
      { what: "for %00", head: head("GET", "/api/rooms/%00"), status: 400 },
      { what: "for two hosts", head: head("GET", "/api/echo", "Host: h\r\n"), status: 400 },
      { what: "for a host that is none", head: "GET /api/echo HTTP/1.1\r\nHost: a b\r\n", status: 400 },
      { what: "for another host", head: head("GET", "http://x/api/echo"), status: 400 },
      {
        what: "of a Latin-1 byte",
        head: Buffer.from(head("GET", "/api/echo", "a: é\r\n"), "latin1"),
        status: 400,
      },
      {
        what: "of a header that Headers cannot hold",
        head: head("GET", "/api/echo", "a: 한\r\n"),
        status: 500,
      },
      { what: "of HTTP/1.0 without a host", head: "GET /api/echo HTTP/1.0\r\n", status: 500 },
      { what: "of 200 MB", head: head("POST", "/api/echo", "Content-Length: 200000000\r\n"), status: 500 },
    ])("a request $what is answered $status", async ({ head, status }) => {
      const answer = await raw(Buffer.concat([Buffer.from(head), Buffer.from(close)]));
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\w ]+\\r\\n`));
      expect(answer).toMatch(/\r\nConnection: close\r\n/i);
    });

    test("takes a body of 30 MiB", async () => {
      const body = Buffer.alloc(30 << 20, "a");
      const answer = await call("/api/echo", { method: "POST", body });
      expect(answer.status).toBe(201);
      expect((await answer.text()).length).toBeGreaterThan(2 * body.length);
    });
  });

  describe("preflights that nobody was told to answer", () => {
    test.each([
      ["/api/rooms/7", 404],
      ["/api/nowhere", 404],
      ["/api/echo", 200],
    ])("%s: %i", async (path, status) => {
      const headers = { origin: "https://chat.example.com", "access-control-request-method": "GET" };
      const answer = await call(path, { method: "OPTIONS", headers });
      expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([status, null]);
    });
  });

  describe("what the host has for itself", () => {
    const keyed = { "x-functions-key": "open-sesame" };
    const json = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };

    test.each([
      ["/", 200],
      ["/admin/host/ping", 200],
      ["/admin/host/status", 200],
      ["/Admin/Host/Status/", 200],
      ["/admin/functions", 200],
      ["/admin/functions/ECHO", 200],
      ["/admin/functions/nobody", 404],
      ["/admin/functions/echo/status/x", 404],
      ["/admin/host", 404],
      ["/admin/nothing", 404],
      ["/admin", 404],
      ["/api/locked", 200],
    ])("GET %s is %i for everybody of this machine", async (path, status) => {
      expect((await call(path)).status).toBe(status);
    });

    test("tells of functions", async () => {
      const all = (await (await call("/admin/functions")).json()) as { name: string }[];
      expect(all.map(({ name }) => name).sort()).toEqual(host.ready.functions);
      const httpTrigger = { type: "httpTrigger", direction: "in", methods: ["GET"], authLevel: "function" };
      expect(await (await call("/admin/functions/locked")).json()).toMatchObject({
        name: "locked",
        language: "node",
        isDisabled: false,
        config: { name: "locked", bindings: [expect.objectContaining(httpTrigger), expect.anything()] },
      });
    });

    test("asks for the key that --key names, as do functions whose authLevel says so", async () => {
      const other = await runHost(main, {}, "--app", appFolder, "--triggers", "http", "--key", "open-sesame");
      const base = `http://127.0.0.1:${other.ready.port}`;
      const closed = ["/admin/host/status", "/admin/functions", "/admin/functions/echo", "/api/locked"];
      for (const path of closed) {
        expect((await fetch(`${base}${path}`)).status).toBe(401);
        expect((await fetch(`${base}${path}?code=open`)).status).toBe(401);
        expect((await fetch(`${base}${path}?code=open-sesame`)).status).toBe(200);
        expect((await fetch(`${base}${path}`, { headers: keyed })).status).toBe(200);
      }
      const timer = `${base}/admin/functions/sweep`;
      expect((await fetch(timer, json)).status).toBe(401);
      expect((await fetch(timer, { ...json, headers: { ...json.headers, ...keyed } })).status).toBe(404);
      for (const path of ["/", "/admin/host/ping", "/api/nothing"])
        expect((await fetch(`${base}${path}`)).ok).toBe(true);
      await other.end();
    });

    test("shows no page when the settings say so", async () => {
      const off = { AzureWebJobsDisableHomepage: "True" };
      const other = await runHost(main, off, "--app", appFolder, "--triggers", "http");
      expect((await fetch(`http://127.0.0.1:${other.ready.port}/`)).status).toBe(204);
      await other.end();
    });
  });

  describe("a function that is disabled", () => {
    test.each([
      ["AzureWebJobs.echo.Disabled", "1", 404],
      ["AzureWebJobs_Echo_Disabled", "TRUE", 404],
      ["azurewebjobs.ECHO.disabled", "true", 404],
      ["AzureWebJobs.echo.Disabled", "false", 201],
      ["AzureWebJobs__echo__Disabled", "true", 201],
    ])("by %s=%s is answered %i", async (name, value, status) => {
      const other = await runHost(main, { [name]: value }, "--app", appFolder, "--triggers", "http");
      const base = `http://127.0.0.1:${other.ready.port}`;
      expect((await fetch(`${base}/api/echo`)).status).toBe(status);
      const isDisabled = status === 404;
      expect(other.log().includes("Function 'Functions.echo' is disabled")).toBe(isDisabled);
      expect(await (await fetch(`${base}/admin/functions/echo`)).json()).toMatchObject({ isDisabled });
      await other.end();
    });
  });

  describe("the app", () => {
    test("is loaded from CommonJS and ESM files alike", () => {
      expect(host.ready.functions).toEqual(expect.arrayContaining(["binary", "echo", "room", "roomSearch"]));
    });

    test("gets settings from the file, but the environment wins", async () => {
      expect(await (await call("/api/settings")).json()).toEqual({
        greeting: "from the example file",
        overridden: "from the environment",
      });
    });

    test("runs hooks around calls, which can replace handler and result", async () => {
      const response = await call("/api/hooks");
      expect([response.status, await response.text()]).toEqual([202, "replaced by the hook"]);
      expect(readFileSync(hookLog, "utf8").split("\n").slice(0, 3)).toEqual([
        "appStart",
        "preInvocation",
        'postInvocation {"body":"replaced by the hook"}',
      ]);
    });

    test("finishes running calls and runs the appTerminate hooks before it ends", async () => {
      const log = join(scratch.path, "terminate.log");
      const other = await runHost(main, { HOOK_LOG: log }, "--app", appFolder);
      const slow = fetch(`http://127.0.0.1:${other.ready.port}/api/slow`);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const code = await other.end("SIGTERM");
      expect(await (await slow).text()).toBe("done");
      expect([code, readFileSync(log, "utf8")]).toEqual([0, "appStart\nappTerminate\n"]);
    });

    test("has some seconds for its appTerminate hooks", async () => {
      const log = join(scratch.path, "late.log");
      const other = await runHost(main, { HOOK_LOG: log, TERMINATE_MS: "1500" }, "--app", appFolder);
      expect(await other.end("SIGTERM")).toBe(0);
      expect(readFileSync(log, "utf8")).toContain("appTerminate");
    });

    test.each([
      ["rejectsUnseen", "a promise was rejected and nobody handles it", "nobody waits for this"],
      ["throwsLater", "an error was thrown and nobody catches it", "nobody catches this"],
    ])("takes its host along when one of its functions %s", async (name, what, why) => {
      const other = await runHost(main, {}, "--app", appFolder);
      await expect(fetch(`http://127.0.0.1:${other.ready.port}/api/${name}`)).rejects.toThrow();
      expect(await other.ended()).toBe(1);
      expect(other.log()).toMatch(new RegExp(`critical functionsHost: ${what}, the process ends: .*${why}`));
    });

    test("ends when its stdin does", async () => {
      const other = await runHost(main, {}, "--app", appFolder);
      other.child.stdin?.end();
      await new Promise((resolve) => other.child.once("exit", resolve));
      expect(other.child.exitCode).toBe(0);
    });

    test("goes down with a function that runs past functionTimeout", async () => {
      const env = { AzureFunctionsJobHost__functionTimeout: "00:00:01" };
      const other = await runHost(main, env, "--app", appFolder);
      await expect(fetch(`http://127.0.0.1:${other.ready.port}/api/tooSlow`)).rejects.toThrow();
      expect(await other.end()).toBe(1);
      expect(other.log()).toContain("ran past functionTimeout (1 s)");
    });
  });
});
