import { describe, expect, test } from "vitest";
import { effectOf } from "./dev.js";

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
