import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
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

test("can be started after a start that failed", async () => {
  await expect(start({ ...quiet, app, main: "none.mjs" })).rejects.toThrow("matches no file");
  writeFileSync(join(app, "throws.mjs"), "throw new Error('boo');");
  await expect(start({ ...quiet, app, main: "throws.mjs" })).rejects.toThrow(/throws\.mjs failed .*boo/);
  const host = await start({ ...quiet, app });
  await host.close();
});
