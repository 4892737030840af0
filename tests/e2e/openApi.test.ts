import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, inject, test } from "vitest";
import { provideCoreModule } from "../../local/functionsHost/coreModule.js";
import settings from "../../local.settings.example.json" with { type: "json" };
import { busSettings } from "../support/bus.js";
import { call, makeRoom, newUsers } from "../support/client.js";
import { checkerOf, fetchOpenApi, type OpenApi, operationsOf, schemasOf } from "../support/openApi.js";

interface HttpFunction {
  readonly name: string;
  readonly method: string;
  readonly path: string;
}

/** What the functions register of HTTP, read by running their files with the stack's settings. */
async function registeredFunctions(): Promise<readonly HttpFunction[]> {
  const { mysql, redis, webPubSubConnection } = inject("stack");
  Object.assign(process.env, settings.Values, {
    MYSQL_URL: mysql,
    REDIS_URL: redis,
    ...busSettings(inject("stack")),
    WEB_PUBSUB_CONNECTION: webPubSubConnection,
  });
  const registered: HttpFunction[] = [];
  const release = provideCoreModule({
    registerFunction({ name, bindings }) {
      for (const { type, route, methods } of Object.values(bindings))
        if (type === "httpTrigger")
          for (const method of methods ?? ["GET", "POST"])
            registered.push({ name, method: method.toUpperCase(), path: `/${route || name}` });
    },
    removeFunction: () => {},
    hooks: new Map(),
    log: () => {},
  });
  const folder = new URL("../../functions/", import.meta.url);
  try {
    for (const file of readdirSync(folder))
      if (file.endsWith(".ts") && !file.endsWith(".test.ts")) await import(new URL(file, folder).href);
  } finally {
    release();
    const { getApp } = await import("../../shared/app.js");
    await getApp().close();
  }
  return registered;
}

let document: OpenApi;
beforeAll(async () => {
  document = await fetchOpenApi(`${inject("stack").api}/api/v1/chat`);
});

/** Every schema of the document: its place, and it. */
function schemas(): [pointer: readonly string[], schema: unknown][] {
  const found: [readonly string[], unknown][] = [];
  const walk = (value: unknown, pointer: readonly string[]): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      const place = [...pointer, key];
      const isSchema = key === "schema" || (pointer.at(-1) === "schemas" && pointer.length === 2);
      if (isSchema) found.push([place, inner]);
      else walk(inner, place);
    }
  };
  walk(document, []);
  return found;
}

/** All `$ref` within a value. */
function refs(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === "$ref" && typeof inner === "string" ? [inner] : refs(inner),
  );
}

describe("GET /openapi.json", () => {
  test("answers an OpenAPI 3.1 document to everybody", async () => {
    const response = await fetch(`${inject("stack").api}/api/v1/chat/openapi.json`);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toMatch(/^application\/json/);
    expect(await response.json()).toMatchObject({
      openapi: expect.stringMatching(/^3\.1\.\d+$/),
      info: { title: expect.any(String), version: expect.any(String) },
      servers: [{ url: "/api/v1/chat" }],
      security: [{ jwt: [] }],
      components: { securitySchemes: { jwt: { type: "http", scheme: "bearer" } } },
    });
  });

  test("has only schemas that a JSON Schema 2020-12 validator accepts, strictly", () => {
    const compile = schemasOf(document);
    const places = schemas();
    expect(places.length).toBeGreaterThan(50);
    for (const [pointer] of places) expect(compile(pointer), pointer.join("/")).toBeTypeOf("function");
  });

  test("refers only to what it has", () => {
    const targets = refs(document);
    expect(targets).toContain("#/components/schemas/Problem");
    for (const target of targets) {
      const parts = target.split("/").slice(1);
      const found = parts.reduce<unknown>((at, part) => (at as Record<string, unknown>)?.[part], document);
      expect(found, target).toBeDefined();
    }
  });

  test("has exactly the HTTP functions that are registered, each under its own name; the socket service's excepted", async () => {
    const registered = await registeredFunctions();
    const known = (list: readonly { name: string; method: string; path: string }[]): string[] =>
      list.map(({ name, method, path }) => `${name}: ${method} ${path}`).sort();
    const documented = operationsOf(document).map(({ method, path, operation }) => ({
      name: operation.operationId,
      method,
      path,
    }));
    const ofClients = registered.filter(({ path }) => !path.startsWith("/upstream/"));
    expect(registered.length).toBeGreaterThan(ofClients.length);
    expect(known(documented)).toEqual(known(ofClients));
  });

  test("names every parameter of a path, and no other, and requires it", () => {
    for (const { path, operation } of operationsOf(document)) {
      const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(inPath.map(({ name }) => name).sort(), path).toEqual(names.sort());
      expect(inPath.every(({ required }) => required === true)).toBe(true);
    }
  });

  test("documents a 401 of every operation that needs a token, and of no other", () => {
    for (const { path, operation } of operationsOf(document)) {
      const isOpen = operation.security?.length === 0;
      expect("401" in operation.responses, path).toBe(!isOpen);
    }
  });

  test("documents that health answers 503, with the same body as 200", () => {
    const { responses } = document.paths["/health"]!["get"]!;
    expect(Object.keys(responses).sort()).toEqual(["200", "503"]);
    expect(responses["503"]?.content).toEqual(responses["200"]?.content);
  });
});

describe("the check of every call by the document", () => {
  const request = { method: "GET", path: "/rooms", hasToken: true, body: undefined };
  const json = "application/json";
  const page = { rooms: [], cursor: null };

  test("passes what is documented", () => {
    const check = checkerOf(document);
    check(request, { status: 200, contentType: `${json}; charset=utf-8`, body: page });
    check({ ...request, path: "/rooms?limit=3" }, { status: 200, contentType: json, body: page });
  });

  test.each<[what: string, request: object, answer: object, error: RegExp]>([
    ["a path that is not documented", { path: "/nothing" }, {}, /not in the document/],
    ["a method that is not documented", { method: "PUT" }, {}, /not in the document/],
    ["a status that is not documented", {}, { status: 404 }, /no answer 404/],
    ["another media type", {}, { contentType: "text/plain" }, /no text\/plain/],
    ["an error that is no problem", {}, { status: 400 }, /no application\/json with status 400/],
    ["a missing field", {}, { body: { rooms: [] } }, /cursor/],
    ["an additional field", {}, { body: { ...page, more: 1 } }, /additional/],
    ["a field of another type", {}, { body: { rooms: {}, cursor: null } }, /array/],
    ["a success without a token", { hasToken: false }, {}, /without a token/],
    ["a success with a wrong parameter", { path: "/rooms?limit=101" }, {}, /limit/],
    ["a success with a parameter of another type", { path: "/rooms?limit=0x1" }, {}, /limit/],
    ["a success with a wrong body", { method: "POST", body: {} }, { body: { roomId: 1 } }, /targetUserId/],
  ])("finds %s", (_what, wrongRequest, wrongAnswer, error) => {
    const check = checkerOf(document);
    const answer = { status: 200, contentType: json, body: page, ...wrongAnswer };
    expect(() => check({ ...request, ...wrongRequest }, answer)).toThrow(error);
  });

  test("is made of the calls of the tests themselves", async () => {
    const [ann] = newUsers(1) as [number];
    await makeRoom([ann]);
    await expect(call("GET", "/nothing", ann)).rejects.toThrow(/not in the document/);
    await expect(call("PUT", "/rooms", ann)).rejects.toThrow(/not in the document/);
  });
});
