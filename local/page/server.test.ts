import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readHosts } from "./security.js";
import { type Server, start } from "./server.js";

const folder = mkdtempSync(join(tmpdir(), "nonstop-page-"));
const auth = {
  AUTH_JWT_SECRET: "a secret of this test, thirty-two bytes or more",
  AUTH_ISSUER: "issuer",
  AUTH_AUDIENCE: "audience",
};
const elsewhere = {
  api: "http://127.0.0.1:7071",
  sockets: "ws://127.0.0.1:8080/client/hubs/chat",
  imageHosts: ["pictures.example", "*.faces.example"],
};
const index = `<!doctype html><title>Chat</title>${" ".repeat(500)}`;
let server: Server;

beforeAll(async () => {
  mkdirSync(join(folder, "page/assets"), { recursive: true });
  writeFileSync(join(folder, "secret.txt"), "not for anyone");
  writeFileSync(join(folder, "page/index.html"), index);
  writeFileSync(join(folder, "page/assets/main-a1b2.js"), "1;");
  writeFileSync(join(folder, "page/picture.html"), "<!doctype html><title>Picture</title>");
  server = await start({ port: 0, folder: join(folder, "page"), ...elsewhere, auth });
});
afterAll(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

const url = (path: string) => `http://127.0.0.1:${server.port}${path}`;
const post = (body: unknown, type = "application/json") =>
  fetch(url("/demo/token"), {
    method: "POST",
    headers: { "content-type": type },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

/** A request whose path goes out as it is written. */
function raw(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port: server.port, path, headers }, async (response) => {
      let body = "";
      for await (const chunk of response) body += chunk;
      resolve({ status: response.statusCode ?? 0, body });
    })
      .on("error", reject)
      .end();
  });
}

describe("the page", () => {
  test.each(["/", "/index.html", "/rooms/7", "/?lang=ko"])(
    "is at %s, never kept without asking",
    async (path) => {
      const answer = await fetch(url(path));
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe(index);
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-cache",
        "content-encoding": "gzip",
        "x-content-type-options": "nosniff",
      });
      expect(answer.headers.get("content-security-policy")).toContain("script-src 'self';");
    },
  );

  test("talks to the two addresses it needs, and loads pictures of the hosts it was set to", async () => {
    const policy = (await fetch(url("/"))).headers.get("content-security-policy") ?? "";
    const directives = Object.fromEntries(
      policy.split("; ").map((one) => [one.split(" ")[0], one.split(" ").slice(1).join(" ")]),
    );
    expect(directives).toMatchObject({
      "default-src": "'none'",
      "connect-src": "'self' http://127.0.0.1:7071 ws://127.0.0.1:8080",
      "img-src": "'self' https://pictures.example https://*.faces.example",
      "style-src": "'self'",
      "frame-ancestors": "'none'",
    });
    expect(policy).not.toContain("unsafe");
  });

  test("has a frame for pictures of any host, that can do nothing else", async () => {
    const policy = (await fetch(url("/picture.html"))).headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/^sandbox allow-scripts; default-src 'none';/);
    expect(policy).toContain("img-src https:;");
    expect(policy).not.toContain("connect-src");
  });

  test("has files whose names change with their content, kept for ever", async () => {
    const answer = await fetch(url("/assets/main-a1b2.js"));
    expect(answer.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(answer.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(await answer.text()).toBe("1;");
  });

  test("is told without its body to HEAD", async () => {
    const answer = await fetch(url("/"), { method: "HEAD", headers: { "accept-encoding": "identity" } });
    expect(answer.headers.get("content-length")).toBe(String(index.length));
    expect(await answer.text()).toBe("");
  });

  test.each([
    "/secret.txt",
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/assets/../../secret.txt",
    "/nowhere.js",
  ])("has nothing at %s", async (path) => expect((await raw(path)).status).toBe(404));

  test("can't be written", async () => {
    const answer = await fetch(url("/"), { method: "PUT" });
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("GET, HEAD");
  });

  test.each([
    (port: number) => `evil.example.com:${port}`,
    (port: number) => `127.0.0.1.evil.example.com:${port}`,
    (port: number) => `evil.example.com#127.0.0.1:${port}`,
    () => "127.0.0.1",
    (port: number) => `localhost:${port + 1}`,
  ])("is not given under a foreign name, case %#", async (host) => {
    for (const path of ["/", "/demo/users", "/demo/token"])
      expect((await raw(path, { host: host(server.port) })).status).toBe(400);
  });

  test("lets no other page read it", async () => {
    const answer = await fetch(url("/demo/users"), { headers: { origin: "https://evil.example.com" } });
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    const preflight = await fetch(url("/demo/token"), {
      method: "OPTIONS",
      headers: { origin: "https://evil.example.com", "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(405);
    expect(preflight.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("may be called localhost", async () => {
    expect((await raw("/demo/users", { host: `localhost:${server.port}` })).status).toBe(200);
  });
});

describe("what the page needs on a developer's machine", () => {
  test("is where the API is, and who can be chosen", async () => {
    expect(await (await fetch(url("/config.json"))).json()).toEqual({
      api: "http://127.0.0.1:7071",
      imageHosts: ["pictures.example", "*.faces.example"],
    });
    const { users } = (await (await fetch(url("/demo/users"))).json()) as { users: object[] };
    expect(users).toContainEqual({ userId: 1, nickname: "Ann" });
    expect(users).toContainEqual({ userId: 4, nickname: "민준" });
  });

  test("is a token for one of them", async () => {
    const answer = await post({ userId: 4 });
    const { token, expiresAt } = (await answer.json()) as { token: string; expiresAt: string };
    const key = new TextEncoder().encode(auth.AUTH_JWT_SECRET);
    const { payload } = await jwtVerify(token, key, { issuer: "issuer", audience: "audience" });
    expect(payload).toMatchObject({ sub: "4", nickname: "민준" });
    expect(payload.exp! - payload.iat!).toBe(3_600);
    expect(Math.abs(Date.parse(expiresAt) - payload.exp! * 1_000)).toBeLessThanOrEqual(1_000);
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });

  test("may be a short one", async () => {
    const { token } = (await (await post({ userId: 1, seconds: 30 })).json()) as { token: string };
    const { exp, iat } = decodeJwt(token);
    expect(exp! - iat!).toBe(30);
  });

  test.each([
    [{ userId: 7 }, "must be one of the demo users' ids: 1, 2, 3, 4, 5, 6"],
    [{}, "must be one of the demo users' ids"],
    [{ userId: "1" }, "must be one of the demo users' ids"],
    [{ userId: 1, seconds: 29 }, "seconds"],
    [{ userId: 1, seconds: 86_401 }, "seconds"],
    [{ userId: 1, seconds: 30.5 }, "seconds"],
    ["null", "expected object"],
    ["{", "must be JSON of at most 1024 bytes"],
    [JSON.stringify({ userId: 1, more: "x".repeat(2_000) }), "must be JSON of at most 1024 bytes"],
  ])("is refused for %j", async (body, message) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { error: string }).error).toContain(message);
  });

  test("is not for a form of another page", async () => {
    expect((await post({ userId: 1 }, "text/plain")).status).toBe(415);
    expect((await fetch(url("/demo/token"))).status).toBe(405);
  });
});

test("does not start without the built page", async () => {
  await expect(start({ port: 0, folder: join(folder, "nowhere"), ...elsewhere, auth })).rejects.toThrow(
    "has no index.html: build the page, which npm start does first",
  );
});

describe("hosts of pictures", () => {
  test("are read from a list", () => {
    expect(readHosts(" pictures.example, *.Faces.example,a.example:8443,")).toEqual([
      "pictures.example",
      "*.faces.example",
      "a.example:8443",
    ]);
    expect(readHosts("")).toEqual([]);
  });

  test.each([
    "*",
    "https://a.example",
    "a.example/b",
    "a.example; script-src *",
    "*.*.example",
    "'self'",
    "localhost",
  ])("%s is none", (text) => expect(() => readHosts(text)).toThrow("is no host"));
});
