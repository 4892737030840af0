import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readConfig, settingNames } from "./config.js";

const example: Record<string, string> = JSON.parse(
  readFileSync(new URL("../local.settings.example.json", import.meta.url), "utf8"),
).Values;

/** The message that these settings are refused with. */
function refusalOf(env: Record<string, string | undefined>): string {
  try {
    readConfig(env);
  } catch (error) {
    return (error as Error).message;
  }
  return "not refused";
}

test("the names are those of local.settings.example.json apart from the host's own", () => {
  const hostsOwn = ["FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"];
  const names = Object.keys(example).filter((name) => !hostsOwn.includes(name));
  expect([...settingNames].sort()).toEqual(names.sort());
});

test("the example itself is right", () => {
  const config = readConfig(example);
  expect(config).toMatchObject({
    webPubSub: {
      endpoint: "http://127.0.0.1:8080",
      accessKeys: [/AccessKey=([^;]+)/.exec(example["WEB_PUBSUB_CONNECTION"]!)?.[1]],
    },
    mysqlUrl: "mysql://chat:chat@127.0.0.1:3307/chat",
    redisUrl: "redis://127.0.0.1:6380",
  });
  expect(config.auth).toEqual({
    issuer: "nonstop-chat-local",
    audience: "nonstop-chat",
    jwtSecret: "local-use-only-secret-of-nonstop-chat-0123456789",
  });
  expect(Object.isFrozen(config)).toBe(true);
});

describe("what is missing", () => {
  test("is named all together, the need of a key for tokens included", () => {
    expect(refusalOf({}).split("\n")).toEqual([
      "Settings are missing or wrong:",
      "  WEB_PUBSUB_CONNECTION is missing",
      "  EVENT_HUBS_CONNECTION is missing",
      "  MYSQL_URL is missing",
      "  REDIS_URL is missing",
      "  AUTH_ISSUER is missing",
      "  AUTH_AUDIENCE is missing",
      "  AUTH_JWKS_URI is missing: set it, or AUTH_JWT_SECRET for local use",
    ]);
  });

  test("may also be there but empty", () => {
    const empty = Object.fromEntries(settingNames.map((name) => [name, ""]));
    expect(refusalOf(empty)).toBe(refusalOf({}));
  });

  test("is named together with what is wrong", () => {
    const message = refusalOf({ ...example, MYSQL_URL: undefined, REDIS_URL: "http://127.0.0.1" });
    expect(message).toContain("  MYSQL_URL is missing\n");
    expect(message).toContain("  REDIS_URL must be redis://HOST:PORT or rediss://…");
  });
});

test.each([
  ["WEB_PUBSUB_CONNECTION", "https://x.webpubsub.azure.com"],
  ["WEB_PUBSUB_CONNECTION", "Endpoint=https://x.webpubsub.azure.com;Version=1.0;"],
  ["EVENT_HUBS_CONNECTION", "Endpoint=https://x.servicebus.windows.net;SharedAccessKey=k"],
  ["MYSQL_URL", "postgres://chat:chat@127.0.0.1/chat"],
  ["MYSQL_URL", "not a url"],
  ["REDIS_URL", "127.0.0.1:6380"],
  ["AUTH_JWT_SECRET", "thirty-one bytes are one too few"],
  ["AUTH_JWKS_URI", "keys.example.com/jwks"],
  ["AUTH_JWKS_URI", "file:///etc/keys.json"],
])("%s is refused as %s", (name, value) => {
  const wrong = name === "AUTH_JWT_SECRET" ? value.slice(0, 31) : value;
  const [, ...lines] = refusalOf({ ...example, [name]: wrong }).split("\n");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(new RegExp(`^  ${name} must `));
});

test("a secret is measured in bytes", () => {
  const secret = "비".repeat(11);
  expect(readConfig({ ...example, AUTH_JWT_SECRET: secret }).auth.jwtSecret).toBe(secret);
});

test("both access keys count, and both kinds of keys for tokens", () => {
  const config = readConfig({
    ...example,
    WEB_PUBSUB_CONNECTION: "Endpoint=https://x.webpubsub.azure.com;AccessKey=first==;Version=1.0;",
    WEB_PUBSUB_SECONDARY_KEY: "second==",
    AUTH_JWKS_URI: "https://id.example.com/keys",
  });
  expect(config.webPubSub.accessKeys).toEqual(["first==", "second=="]);
  expect(config.auth.jwksUri).toBe("https://id.example.com/keys");
  expect(config.auth.jwtSecret).toBe(example["AUTH_JWT_SECRET"]);
});

test("the key of a token is enough by JWKS alone", () => {
  const auth = readConfig({
    ...example,
    AUTH_JWT_SECRET: "",
    AUTH_JWKS_URI: "https://id.example.com/keys",
  }).auth;
  expect(auth).toEqual({
    issuer: "nonstop-chat-local",
    audience: "nonstop-chat",
    jwksUri: "https://id.example.com/keys",
  });
});
