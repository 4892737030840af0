import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appFolder, builtHost, type Running, runHost, scratchFolder } from "./functionsApp/processes.js";

const PAGE = "https://chat.example.com";

/** Calls from pages of other origins. */
describe("the Functions host, called by pages", () => {
  let scratch: ReturnType<typeof scratchFolder>;
  let main: string;

  beforeAll(async () => {
    scratch = scratchFolder();
    main = await builtHost();
  });
  afterAll(() => scratch.remove());

  describe.each([
    { cors: "*", origin: "*", vary: null },
    { cors: `http://127.0.0.1:7070,${PAGE}`, origin: PAGE, vary: "Origin" },
  ])("with $cors", ({ cors, origin, vary }) => {
    let host: Running;
    beforeAll(async () => {
      const file = join(scratch.path, "settings.json");
      writeFileSync(
        file,
        JSON.stringify({ Host: { CORS: cors }, Values: { ORDERS_HUB: "o", ORDERS_GROUP: "g" } }),
      );
      host = await runHost(main, {}, "--app", appFolder, "--settings", file, "--triggers", "http");
    });
    afterAll(async () => void (await host?.end()));

    const call = (method: string, path: string, headers: Record<string, string>) =>
      fetch(`http://127.0.0.1:${host.ready.port}${path}`, { method, headers });

    test.each(["/api/rooms/7", "/api/nowhere", "/api/echo"])(
      "a preflight for %s is answered by the host",
      async (path) => {
        const answer = await call("OPTIONS", path, {
          origin: PAGE,
          "access-control-request-method": "PATCH",
          "access-control-request-headers": "authorization,content-type",
        });
        expect(answer.status).toBe(204);
        // Of the function that would take OPTIONS.
        expect(answer.headers.get("x-method")).toBeNull();
        expect(Object.fromEntries(answer.headers)).toMatchObject({
          "access-control-allow-origin": origin,
          "access-control-allow-methods": "PATCH",
          "access-control-allow-headers": "authorization,content-type",
          "access-control-max-age": "600",
        });
      },
    );

    test.each([
      ["/api/rooms/7", 200],
      ["/api/nowhere", 404],
      ["/api/throws", 500],
    ])("the answer of %s may be read by the page", async (path, status) => {
      const answer = await call("GET", path, { origin: PAGE });
      expect(answer.status).toBe(status);
      expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
      expect(answer.headers.get("vary")).toBe(vary);
    });

    test("what the host has for itself is not for pages", async () => {
      const answer = await call("GET", "/admin/host/status", { origin: PAGE });
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
      const preflight = await call("OPTIONS", "/admin/functions/tick", {
        origin: PAGE,
        "access-control-request-method": "POST",
      });
      expect(preflight.status).toBe(404);
    });

    test("a call that no page makes is as without", async () => {
      const answer = await call("GET", "/api/rooms/7", {});
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    });

    test("OPTIONS that is no preflight is for the function that lists it", async () => {
      const answer = await call("OPTIONS", "/api/echo", { "webhook-request-origin": "127.0.0.1" });
      expect([answer.status, answer.headers.get("x-method")]).toEqual([200, "OPTIONS"]);
      const fromPage = await call("OPTIONS", "/api/echo", { origin: PAGE });
      expect([fromPage.status, fromPage.headers.get("x-method")]).toEqual([200, "OPTIONS"]);
    });

    test("what the function says of other origins does not count", async () => {
      const answer = await call("GET", "/api/ownLeave", { origin: PAGE });
      expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
      expect(answer.headers.get("vary")).toBe(vary === null ? "Accept" : "Origin, Accept");
    });

    test("another origin gets no leave", async () => {
      const elsewhere = { origin: "https://elsewhere.example.com" };
      const answer = await call("GET", "/api/rooms/7", elsewhere);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("access-control-allow-origin")).toBe(origin === "*" ? "*" : null);
      const preflight = await call("OPTIONS", "/api/echo", {
        ...elsewhere,
        "access-control-request-method": "POST",
      });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get("access-control-allow-origin")).toBe(origin === "*" ? "*" : null);
      expect(preflight.headers.get("x-method")).toBeNull();
    });
  });

  test("--cors counts instead of what the settings say", async () => {
    const file = join(scratch.path, "flag.json");
    const said = { CORS: "https://elsewhere.example.com", CORSCredentials: true };
    writeFileSync(file, JSON.stringify({ Host: said, Values: { ORDERS_HUB: "o", ORDERS_GROUP: "g" } }));
    const args = ["--app", appFolder, "--settings", file, "--triggers", "http", "--cors", PAGE];
    const host = await runHost(main, {}, ...args);
    const leave = async (origin: string) => {
      const url = `http://127.0.0.1:${host.ready.port}/api/rooms/7`;
      const { headers } = await fetch(url, { headers: { origin } });
      return [headers.get("access-control-allow-origin"), headers.get("access-control-allow-credentials")];
    };
    expect(await leave(PAGE)).toEqual([PAGE, "true"]);
    expect(await leave("https://elsewhere.example.com")).toEqual([null, null]);
    await host.end();
  });

  test("without a word nobody gets leave, and OPTIONS goes on to the function", async () => {
    const host = await runHost(main, {}, "--app", appFolder, "--triggers", "http");
    const answer = await fetch(`http://127.0.0.1:${host.ready.port}/api/echo`, {
      method: "OPTIONS",
      headers: { origin: PAGE, "access-control-request-method": "POST" },
    });
    expect([answer.status, answer.headers.get("x-method")]).toEqual([200, "OPTIONS"]);
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    await host.end();
  });
});
