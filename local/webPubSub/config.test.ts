import { describe, expect, test } from "vitest";
import { parseConfig } from "./config.js";
import { originAllowed } from "./hosts.js";

describe("a configuration", () => {
  test("needs keys and hubs only; the rest has defaults", () => {
    expect(parseConfig({ accessKeys: ["k"], hubs: { chat: {} } })).toEqual({
      accessKeys: ["k"],
      hubs: {
        chat: { anonymousConnectPolicy: "deny", eventHandlers: [], webSocketKeepAliveIntervalInSeconds: 30 },
      },
      disableLocalAuth: false,
    });
  });

  test("needs no keys where they are turned off, but an identity", () => {
    const managedIdentity = { issuer: "https://issuer/", audience: "api://chat", objectId: "o" };
    const off = { disableLocalAuth: true, hubs: {} };
    expect(parseConfig({ ...off, managedIdentity })).toEqual({
      ...off,
      accessKeys: [],
      managedIdentity: { ...managedIdentity, identityHeader: "local-use-only" },
    });
    expect(() => parseConfig(off)).toThrow("managedIdentity: is needed when disableLocalAuth is true");
    expect(() => parseConfig({ hubs: {} })).toThrow("accessKeys: must hold a key");
    expect(() => parseConfig({ ...off, managedIdentity: {} })).toThrow("managedIdentity.issuer");
  });

  test("names every wrong field at once", () => {
    const handler = { urlTemplate: "nowhere", systemEvents: ["conect"] };
    const parse = () =>
      parseConfig({ accessKeys: [], hubs: { chat: { eventHandlers: [handler], speed: 1 } } });
    for (const field of [
      "accessKeys",
      "eventHandlers.0.urlTemplate",
      "eventHandlers.0.systemEvents.0",
      "speed",
    ]) {
      expect(parse).toThrow(field);
    }
  });

  test.each([[undefined], [null], [7], ["{}"], [{ accessKeys: ["k"], hubs: { "a/b": {} } }]])(
    "can't be %j",
    (input) => {
      expect(() => parseConfig(input)).toThrow("The configuration is not usable.");
    },
  );
});

describe("WebHook-Allowed-Origin", () => {
  test.each([
    ["*", true],
    ["127.0.0.1:8080", true],
    ["localhost:8080", true],
    ["LOCALHOST", true],
    ["a.example, 127.0.0.1:8080", false],
    [["a.example", "*"], true],
    ["127.0.0.1:9090", false],
    ["a.example", false],
    ["", false],
    [undefined, false],
  ])("%j lets 127.0.0.1:8080 in: %s", (allowed, lets) => {
    expect(originAllowed(allowed, "127.0.0.1:8080")).toBe(lets);
  });
});
