import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { freePort } from "../ports.js";
import { type Answer, createHttpServer } from "./httpTriggers.js";
import { createLog } from "./log.js";
import { start } from "./server.js";

let app: string;
beforeAll(() => {
  // Below this folder, so that the app finds the project's packages.
  app = mkdtempSync(join(import.meta.dirname, "../../node_modules/.functions-host-"));
  writeFileSync(join(app, "package.json"), '{"type":"module","main":"app.mjs"}');
  writeFileSync(
    join(app, "app.mjs"),
    'import { app } from "@azure/functions"; app.http("hello", { handler: () => ({ body: "hello" }) });',
  );
});
afterAll(() => rmSync(app, { recursive: true }));

const quiet = { port: 0, log: createLog("none") };

test("runs in the process of a test, one app at a time, again after it was closed", async () => {
  for (let round = 0; round < 2; round += 1) {
    const host = await start({ ...quiet, app });
    try {
      expect(host.functions).toEqual(["hello"]);
      expect(await (await fetch(`http://127.0.0.1:${host.port}/api/hello`)).text()).toBe("hello");
      await expect(start({ ...quiet, app })).rejects.toThrow("one process runs one Functions app");
    } finally {
      await host.close();
    }
    await expect(fetch(`http://127.0.0.1:${host.port}/api/hello`)).rejects.toThrow();
  }
});

test("holds what is called while the app is loaded, and answers it then", async () => {
  writeFileSync(
    join(app, "slow.mjs"),
    `import { app } from "@azure/functions";
     await new Promise((resolve) => setTimeout(resolve, 300));
     app.http("echo", { methods: ["POST"], handler: async (request) => ({ body: await request.text() }) });`,
  );
  const port = await freePort();
  let calls: Promise<string[]> | undefined;
  const call = async (body: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/echo`, { method: "POST", body });
    return `${response.status} ${await response.text()}`;
  };
  const onListening = (): void => {
    calls = Promise.all(["a", "b"].map(call));
  };
  const host = await start({ ...quiet, port, app, main: "slow.mjs", onListening });
  try {
    expect(await calls).toEqual(["200 a", "200 b"]);
  } finally {
    await host.close();
  }
});

test("what is called while an app is loaded that can't be loaded ends with its connection", async () => {
  writeFileSync(
    join(app, "fails.mjs"),
    "await new Promise((resolve) => setTimeout(resolve, 200)); throw new Error('boo');",
  );
  const port = await freePort();
  let call: Promise<unknown> | undefined;
  const onListening = (): void => {
    call = fetch(`http://127.0.0.1:${port}/api/echo`).catch((error: Error) => error.cause);
  };
  await expect(start({ ...quiet, port, app, main: "fails.mjs", onListening })).rejects.toThrow("boo");
  // It had a connection.
  expect(await call).toMatchObject({ code: expect.stringMatching(/^(UND_ERR_SOCKET|ECONNRESET)$/) });
});

/** A server that holds no more than this until it is ready. */
async function holding(ready: Promise<Answer>, held: Parameters<typeof createHttpServer>[2]) {
  const server = createHttpServer(ready, createLog("none"), held).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

test("does not call a function for who is gone before the app is loaded", async () => {
  let load: (answer: Answer) => void = () => {};
  const ready = new Promise<Answer>((resolve) => {
    load = resolve;
  });
  const { server, port } = await holding(ready, { atMost: 1, milliseconds: 10_000 });
  const call = (method: string, signal?: AbortSignal) =>
    fetch(`http://127.0.0.1:${port}/`, { method, ...(signal && { signal }) }).then(({ status }) => status);
  const hanging = new AbortController();
  const first = call("DELETE", hanging.signal).catch(() => "gone");
  await once(server, "request");
  hanging.abort();
  expect(await first).toBe("gone");
  // The place is free again once the server knows.
  let second: Promise<number> | undefined;
  await vi.waitFor(async () => {
    second = call("PUT");
    expect(await Promise.race([second, new Promise((resolve) => setTimeout(resolve, 200, "held"))])).toBe(
      "held",
    );
  }, 5_000);
  const called: (string | undefined)[] = [];
  load(async (request, response) => {
    called.push(request.method);
    response.end();
  });
  expect(await second).toBe(200);
  expect(called).toEqual(["PUT"]);
  server.close();
});

test("holds no more than so many calls, and none for longer than so long", async () => {
  const held = { atMost: 2, milliseconds: 2_000 };
  const { server, port } = await holding(new Promise(() => {}), held);
  let requests = 0;
  server.on("request", () => {
    requests += 1;
  });
  const ends: string[] = [];
  const call = async (name: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    ends.push(`${name} ${response.status} ${await response.text()}`);
  };
  const first = [call("first"), call("first")];
  await vi.waitFor(() => expect(requests).toBe(2));
  await call("third");
  expect(ends).toEqual(["third 503 Function host is not running."]);
  await Promise.all(first);
  const before = performance.now();
  await call("late");
  // A timer may come a little early.
  expect(performance.now() - before).toBeGreaterThan(held.milliseconds / 2);
  const late = ["first", "first", "late"].map((name) => `${name} 503 Function host is not running.`);
  expect(ends.slice(1)).toEqual(late);
  server.close();
});

test("can be started after a start that failed", async () => {
  await expect(start({ ...quiet, app, main: "none.mjs" })).rejects.toThrow("matches no file");
  writeFileSync(join(app, "throws.mjs"), "throw new Error('boo');");
  await expect(start({ ...quiet, app, main: "throws.mjs" })).rejects.toThrow(/throws\.mjs failed .*boo/);
  const host = await start({ ...quiet, app });
  await host.close();
});
