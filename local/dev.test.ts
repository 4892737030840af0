import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { DevLoop, effectOf } from "./dev.js";

describe("a change", () => {
  test.each<[string, string[]]>([
    ["functions/clientEvent.ts", ["functionsHost"]],
    ["shared/app.ts", ["functionsHost"]],
    ["host.json", ["functionsHost"]],
    ["local/functionsHost/routes.ts", ["functionsHost"]],
    ["local/eventHubs/broker.ts", ["eventHubs"]],
    ["local/hubs.json", ["eventHubs"]],
    ["local/webPubSub/rest.ts", ["webPubSub"]],
    ["local/page/server.ts", ["page"]],
    ["web/src/main.tsx", ["page"]],
    ["client/index.ts", ["page"]],
    ["bench/codec.ts", []],
  ])("of %s restarts %j", (file, servers) => {
    expect(effectOf([file])).toEqual({
      servers,
      migrates: false,
      hasNewHubs: file === "local/hubs.json",
      atNextStart: [],
    });
  });

  test("of several files restarts each server once", () => {
    const { servers } = effectOf(["shared/app.ts", "functions/http.ts", "web/index.html", "client/link.ts"]);
    expect(servers).toEqual(["functionsHost", "page"]);
  });

  test("of a migration also brings the tables up to date", () => {
    expect(effectOf(["shared/store/migrations/0009_more.sql"])).toEqual({
      servers: ["functionsHost"],
      migrates: true,
      hasNewHubs: false,
      atNextStart: [],
    });
  });

  test.each(["local/stack.ts", "local/services/mysql.ts", "local.settings.json", "package-lock.json"])(
    "of %s waits for the next start",
    (file) => {
      expect(effectOf([file])).toEqual({
        servers: [],
        migrates: false,
        hasNewHubs: false,
        atNextStart: [file],
      });
    },
  );
});

test("a file that is looked at while it is being written is built once", async () => {
  const root = mkdtempSync(join(tmpdir(), "nonstop-dev-loop-"));
  mkdirSync(join(root, "dist"));
  const stamp = (size: number, time: number): void =>
    writeFileSync(join(root, "dist/.built"), JSON.stringify([["local/demo.ts", size, time]]));
  stamp(10, 1);
  let [looks, builds] = [0, 0];
  const build = {
    // Cut, and not written yet; whole from then on.
    sources: () => {
      looks += 1;
      return [["local/demo.ts", looks === 1 ? 0 : 12, 2]] as const;
    },
    stepsFor: () => [{ name: "local" }],
    buildSteps: async () => {
      builds += 1;
      stamp(12, 2);
      return undefined;
    },
    withLock: async <T>(_folder: string, work: () => Promise<T>) => work(),
  };
  const stack = {
    runs: () => false,
    restart: async () => {},
    migrate: async () => {},
    makeTopics: async () => {},
  };
  const said: string[] = [];
  const loop = new DevLoop(root, build, stack, (line) => said.push(line));
  onTestFinished(() => {
    loop.close();
    rmSync(root, { recursive: true, force: true });
  });
  await expect.poll(() => said.at(-1)).toContain("local/demo.ts: counts when you stop and start again");
  writeFileSync(join(root, "another file"), "");
  await expect.poll(() => looks).toBeGreaterThan(1);
  // The round goes on without waiting for anything.
  await new Promise((resolve) => setImmediate(resolve));
  expect(builds).toBe(1);
});
