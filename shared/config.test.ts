import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readBusConfig, readConfig, readMysqlConfig } from "./config.js";
import { settingNames } from "./settings.js";

const example: Record<string, string> = JSON.parse(
  readFileSync(new URL("../local.settings.example.json", import.meta.url), "utf8"),
).Values;

/** The message with which `readConfig` refuses these settings. */
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
    eventBus: { kind: "key", connectionString: example["EVENT_HUBS_CONNECTION"] },
    trigger: "eventhubs",
    mysql: { url: "mysql://chat:chat@127.0.0.1:3307/chat", entra: false, poolSize: 16 },
    redis: { urls: ["redis://127.0.0.1:6380"], cluster: false, entra: false },
    allowedOrigins: [],
    limits: { sessions: 3, messages: 0, reads: 0, subscribes: 0, negotiates: 0, writes: 0 },
  });
  expect(config.webPubSub).not.toHaveProperty("entra");
  expect(config).not.toHaveProperty("clientId");
  expect(config.auth).toEqual({
    issuer: "nonstop-chat-local",
    audience: "nonstop-chat",
    jwtSecret: "local-use-only-secret-of-nonstop-chat-0123456789",
  });
  expect(Object.isFrozen(config)).toBe(true);
});

describe("missing settings", () => {
  test("are named all together, including the key for tokens", () => {
    expect(refusalOf({}).split("\n")).toEqual([
      "Settings are missing or wrong:",
      "  WEB_PUBSUB_CONNECTION is missing",
      "  EVENT_HUBS_CONNECTION is missing: set it, or EVENT_HUBS_CONNECTION__fullyQualifiedNamespace for an identity",
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

  test("are named together with wrong settings", () => {
    const message = refusalOf({ ...example, MYSQL_URL: undefined, REDIS_URL: "http://127.0.0.1" });
    expect(message).toContain("  MYSQL_URL is missing\n");
    expect(message).toContain("  REDIS_URL must be redis://HOST:PORT or rediss://…");
  });
});

test.each([
  ["WEB_PUBSUB_CONNECTION", "https://x.webpubsub.azure.com"],
  ["WEB_PUBSUB_CONNECTION", "Endpoint=;AccessKey=k;"],
  ["WEB_PUBSUB_CONNECTION", "AccessKey=k;Endpoint=https://x.webpubsub.azure.com;"],
  ["EVENT_HUBS_CONNECTION", "Endpoint=https://x.servicebus.windows.net;SharedAccessKey=k"],
  ["MYSQL_URL", "postgres://chat:chat@127.0.0.1/chat"],
  ["MYSQL_URL", "not a url"],
  ["REDIS_URL", "127.0.0.1:6380"],
  ["AUTH_JWT_SECRET", "thirty-one bytes are one too few"],
  ["AUTH_JWKS_URI", "keys.example.com/jwks"],
  ["AUTH_JWKS_URI", "file:///etc/keys.json"],
  ["AUTH_JWKS_URI", "http://id.example.com/keys"],
  ["AUTH_JWKS_URI", "http://127.0.0.1.example.com/keys"],
  ["AUTH_JWKS_URI", "http://localhost@id.example.com/keys"],
  ["REDIS_URL", "redis://"],
  ["REDIS_URL", "redis://127.0.0.1:6380,http://127.0.0.1"],
  ["REDIS_URL", "redis://127.0.0.1:6380,"],
  ["REDIS_CLUSTER", "yes"],
  ["REDIS_ENTRA", "1"],
  ["MYSQL_ENTRA", "TRUE"],
  ["MYSQL_POOL_SIZE", "3"],
  ["MYSQL_POOL_SIZE", "201"],
  ["MYSQL_POOL_SIZE", "1e2"],
  ["MYSQL_POOL_SIZE", "16.5"],
  ["AZURE_CLIENT_ID", "id-app"],
  ["AZURE_CLIENT_ID", "1b4f5a3e00004000800000000000000a"],
  ["ALLOWED_ORIGINS", "chat.example.com"],
  ["ALLOWED_ORIGINS", "https://chat.example.com/chat"],
  ["ALLOWED_ORIGINS", "https://chat.example.com/?"],
  ["ALLOWED_ORIGINS", "https://me@chat.example.com"],
  ["ALLOWED_ORIGINS", "https://chat.example.com:port"],
  ["ALLOWED_ORIGINS", "https://chat.example.com https://other.example.com/x"],
  ["ALLOWED_ORIGINS", "*"],
  ["ALLOWED_ORIGINS", "capacitor://"],
  ["ALLOWED_ORIGINS", "capacitor://localhost/index.html"],
  ["ALLOWED_ORIGINS", "chrome-extension:abc"],
  ["ALLOWED_ORIGINS", "wss://chat.example.com"],
  ["ALLOWED_ORIGINS", "javascript://chat.example.com"],
  ["ALLOWED_ORIGINS", "file:///home"],
  ["ALLOWED_ORIGINS", "undefined"],
  ["SESSION_LIMIT", "-1"],
  ["SESSION_LIMIT", "three"],
  ["AUDIT", "yes"],
  ["AUDIT_SCHEDULE", "every night"],
  ["RATE_LIMIT_PER_MINUTE", "1e3"],
  ["RATE_LIMIT_READS_PER_MINUTE", "0.5"],
  ["RATE_LIMIT_SUBSCRIBES_PER_MINUTE", " 5"],
  ["RATE_LIMIT_NEGOTIATES_PER_MINUTE", "1000000"],
  ["RATE_LIMIT_WRITES_PER_MINUTE", "\u0665"],
])("%s is refused as %s", (name, value) => {
  const wrong = name === "AUTH_JWT_SECRET" ? value.slice(0, 31) : value;
  // For a connection string without a readable key the refusal names the settings of the identity, too.
  const lines = refusalOf({ ...example, [name]: wrong })
    .split("\n")
    .slice(1);
  const others = lines.filter((line) => !line.startsWith("  WEB_PUBSUB_ENTRA_"));
  expect(others).toHaveLength(1);
  expect(others[0]).toMatch(new RegExp(`^  ${name} must `));
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

test("a JWKS alone is enough to verify tokens", () => {
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

describe("the settings of the service's identity", () => {
  const entra = {
    WEB_PUBSUB_ENTRA_ISSUER: "https://sts.windows.net/tenant/",
    WEB_PUBSUB_ENTRA_AUDIENCE: "api://chat",
    WEB_PUBSUB_ENTRA_OBJECT_ID: "1b4f5a3e-0000-4000-8000-000000000001",
    WEB_PUBSUB_ENTRA_JWKS_URI: "https://login.microsoftonline.com/tenant/discovery/v2.0/keys",
  };
  const names = Object.keys(entra);
  const withoutKey = {
    ...example,
    WEB_PUBSUB_CONNECTION: "Endpoint=https://x.webpubsub.azure.com;Version=1.0;",
  };

  test("are enough without an access key", () => {
    expect(readConfig({ ...withoutKey, ...entra }).webPubSub).toEqual({
      endpoint: "https://x.webpubsub.azure.com",
      accessKeys: [],
      entra: {
        issuer: entra.WEB_PUBSUB_ENTRA_ISSUER,
        audience: entra.WEB_PUBSUB_ENTRA_AUDIENCE,
        objectId: entra.WEB_PUBSUB_ENTRA_OBJECT_ID,
        jwksUri: entra.WEB_PUBSUB_ENTRA_JWKS_URI,
      },
    });
  });

  test("may stand beside an access key", () => {
    const { entra: caller, accessKeys } = readConfig({ ...example, ...entra }).webPubSub;
    expect(caller).toMatchObject({ objectId: entra.WEB_PUBSUB_ENTRA_OBJECT_ID });
    expect(accessKeys).toHaveLength(1);
  });

  test("are needed, all of them, without an access key", () => {
    expect(refusalOf(withoutKey).split("\n").slice(1)).toEqual(
      names.map((name) => `  ${name} is missing: set it, or an AccessKey in WEB_PUBSUB_CONNECTION`),
    );
  });

  test.each(names)(
    "go together: without %s the others are refused, whether or not there is a key",
    (name) => {
      const others = { ...entra, [name]: "" };
      expect(
        refusalOf({ ...example, ...others })
          .split("\n")
          .slice(1),
      ).toEqual([`  ${name} is missing: the WEB_PUBSUB_ENTRA_ settings go together`]);
      expect(
        refusalOf({ ...withoutKey, ...others })
          .split("\n")
          .slice(1),
      ).toEqual([`  ${name} is missing: set it, or an AccessKey in WEB_PUBSUB_CONNECTION`]);
    },
  );

  test("take keys over https only, but on this machine", () => {
    const at = (uri: string) => refusalOf({ ...example, ...entra, WEB_PUBSUB_ENTRA_JWKS_URI: uri });
    expect(at("http://127.0.0.1:8080/keys")).toBe("not refused");
    expect(at("http://id.example.com/keys")).toContain("  WEB_PUBSUB_ENTRA_JWKS_URI must be https://");
  });
});

test("Redis may be a cluster of several nodes", () => {
  const env = { ...example, REDIS_URL: "rediss://a:1, redis://b:2", REDIS_CLUSTER: "true" };
  expect(readConfig(env).redis).toEqual({
    urls: ["rediss://a:1", "redis://b:2"],
    cluster: true,
    entra: false,
  });
});

const CLIENT_ID = "1b4f5a3e-0000-4000-8000-00000000000a";

/** The settings of a deployment in which nothing has a password or a key. */
const identity = {
  ...example,
  WEB_PUBSUB_CONNECTION: "Endpoint=https://x.webpubsub.azure.com;Version=1.0;",
  WEB_PUBSUB_ENTRA_ISSUER: "https://sts.windows.net/tenant/",
  WEB_PUBSUB_ENTRA_AUDIENCE: "api://AzureADTokenExchange",
  WEB_PUBSUB_ENTRA_OBJECT_ID: "1b4f5a3e-0000-4000-8000-000000000001",
  WEB_PUBSUB_ENTRA_JWKS_URI: "https://login.microsoftonline.com/tenant/discovery/v2.0/keys",
  EVENT_HUBS_CONNECTION: "",
  EVENT_HUBS_CONNECTION__fullyQualifiedNamespace: "x.servicebus.windows.net",
  EVENT_HUBS_CONNECTION__credential: "managedidentity",
  EVENT_HUBS_CONNECTION__clientId: CLIENT_ID,
  MYSQL_URL: "mysql://nonstop-app@x.mysql.database.azure.com:3306/chat",
  MYSQL_ENTRA: "true",
  MYSQL_POOL_SIZE: "8",
  REDIS_URL: "rediss://x.koreacentral.redis.azure.net:10000",
  REDIS_ENTRA: "true",
  AZURE_CLIENT_ID: CLIENT_ID,
};

test("everything may go by one identity", () => {
  expect(readConfig(identity)).toMatchObject({
    eventBus: { kind: "entra", namespace: "x.servicebus.windows.net" },
    mysql: { url: identity.MYSQL_URL, entra: true, poolSize: 8 },
    redis: { urls: [identity.REDIS_URL], cluster: false, entra: true },
    clientId: CLIENT_ID,
  });
});

const MANY = "EVENT_HUBS_CONNECTION__fullyQualifiedNamespace";

describe("settings of the identity that don't go together are refused, by what is to be done", () => {
  test.each<[string, Record<string, string>, string]>([
    [
      "both ways to Event Hubs",
      { EVENT_HUBS_CONNECTION: example["EVENT_HUBS_CONNECTION"]! },
      `${MANY} is set beside EVENT_HUBS_CONNECTION: set one of them, as only one can count`,
    ],
    [
      "neither way",
      { [MANY]: "", EVENT_HUBS_CONNECTION__credential: "", EVENT_HUBS_CONNECTION__clientId: "" },
      `EVENT_HUBS_CONNECTION is missing: set it, or ${MANY} for an identity`,
    ],
    [
      "a URL in place of the namespace",
      { [MANY]: "sb://x.servicebus.windows.net/" },
      `${MANY} must be a host name like NAME.servicebus.windows.net, without sb://`,
    ],
    [
      "a credential of another kind",
      { EVENT_HUBS_CONNECTION__credential: "clientSecret" },
      "EVENT_HUBS_CONNECTION__credential must be managedidentity, or not set",
    ],
    [
      "a trigger with another identity",
      { EVENT_HUBS_CONNECTION__clientId: "1b4f5a3e-0000-4000-8000-00000000000b" },
      "EVENT_HUBS_CONNECTION__clientId must be that of AZURE_CLIENT_ID: the trigger and the app are one identity",
    ],
    [
      "a trigger with the system's identity",
      { EVENT_HUBS_CONNECTION__clientId: "" },
      "EVENT_HUBS_CONNECTION__clientId is missing: set it to AZURE_CLIENT_ID, or the trigger uses another identity",
    ],
    [
      "an identity that the host doesn't look at",
      { EVENT_HUBS_CONNECTION__credential: "" },
      "EVENT_HUBS_CONNECTION__credential is missing: set it to managedidentity, or EVENT_HUBS_CONNECTION__clientId does not count",
    ],
    [
      "an app without the trigger's identity",
      { AZURE_CLIENT_ID: "" },
      "AZURE_CLIENT_ID is missing: set it to EVENT_HUBS_CONNECTION__clientId",
    ],
    [
      "a password beside tokens for MySQL",
      { MYSQL_URL: "mysql://app:secret@x.mysql.database.azure.com/chat" },
      "MYSQL_URL has a password: leave it out, or set MYSQL_ENTRA to false",
    ],
    [
      "tokens for nobody",
      { MYSQL_URL: "mysql://x.mysql.database.azure.com/chat" },
      "MYSQL_URL must name the user that the token is for: mysql://USER@HOST/DATABASE",
    ],
    [
      "tokens over TLS that isn't checked",
      { MYSQL_URL: `mysql://app@x.mysql.database.azure.com/chat?ssl=${encodeURIComponent("{}")}` },
      "MYSQL_URL has an option ssl: leave it out, as tokens go over verified TLS only",
    ],
    [
      "neither a password nor tokens for MySQL",
      { MYSQL_ENTRA: "false" },
      "MYSQL_URL has no password: set one, or MYSQL_ENTRA to true for this app's identity",
    ],
    [
      "an address in place of MySQL's name",
      { MYSQL_URL: "mysql://app@10.0.0.4/chat" },
      "MYSQL_URL must name its host: the server's certificate is for a name, not for an address",
    ],
    [
      "a password beside tokens for Redis",
      { REDIS_URL: "rediss://:secret@x.redis.azure.net:10000" },
      "REDIS_URL has a password: leave it out, or set REDIS_ENTRA to false",
    ],
    [
      "tokens for Redis without TLS",
      { REDIS_URL: "redis://x.redis.azure.net:10000" },
      "REDIS_URL must begin with rediss://, as tokens go over TLS only",
    ],
  ])("%s", (_what, wrong, message) => {
    expect(refusalOf({ ...identity, ...wrong }).split("\n")).toEqual([
      "Settings are missing or wrong:",
      `  ${message}`,
    ]);
  });

  test("the trigger's identity beside a connection string", () => {
    const env = { ...identity, EVENT_HUBS_CONNECTION: example["EVENT_HUBS_CONNECTION"], [MANY]: "" };
    expect(refusalOf(env).split("\n").slice(1)).toEqual([
      `  EVENT_HUBS_CONNECTION__credential counts only beside ${MANY}: set that, or leave this out`,
      `  EVENT_HUBS_CONNECTION__clientId counts only beside ${MANY}: set that, or leave this out`,
    ]);
  });

  test("all mistakes are named in one error, in the order of the settings", () => {
    const env = { ...identity, MYSQL_ENTRA: "false", REDIS_URL: "redis://a:1,redis://b:2", AUTH_ISSUER: "" };
    expect(
      refusalOf({ ...env, AZURE_CLIENT_ID: "" })
        .split("\n")
        .slice(1),
    ).toEqual([
      "  MYSQL_URL has no password: set one, or MYSQL_ENTRA to true for this app's identity",
      "  AZURE_CLIENT_ID is missing: set it to EVENT_HUBS_CONNECTION__clientId",
      "  REDIS_URL must begin with rediss://, as tokens go over TLS only",
      "  REDIS_URL names several nodes: set REDIS_CLUSTER to true if they are of one cluster, or name one",
      "  AUTH_ISSUER is missing",
    ]);
  });
});

test("a process that uses the database alone needs nothing else", () => {
  expect(readMysqlConfig({ MYSQL_URL: identity.MYSQL_URL, MYSQL_ENTRA: "true" })).toEqual({
    url: identity.MYSQL_URL,
    entra: true,
    poolSize: 16,
  });
  expect(() => readMysqlConfig({ MYSQL_ENTRA: "true" })).toThrow("  MYSQL_URL is missing");
});

test("several nodes of Redis that are no cluster are refused: only one of them would be used", () => {
  const env = { ...example, REDIS_URL: "redis://a:1,redis://b:2" };
  expect(refusalOf(env)).toContain("  REDIS_URL names several nodes: set REDIS_CLUSTER to true");
  expect(refusalOf({ ...env, REDIS_CLUSTER: "true" })).toBe("not refused");
});

test("origins are separated by commas, with or without spaces", () => {
  const env = { ...example, ALLOWED_ORIGINS: " https://chat.example.com ,http://localhost:5173,, " };
  expect(readConfig(env).allowedOrigins).toEqual(["https://chat.example.com", "http://localhost:5173"]);
});

test("each wrong origin is named", () => {
  const env = {
    ...example,
    ALLOWED_ORIGINS: "https://a.example,chat.example.com,app://x/y,capacitor://localhost",
  };
  const lines = refusalOf(env).split("\n").slice(1);
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^ {2}ALLOWED_ORIGINS must be origins like .*; "chat\.example\.com" is none$/);
  expect(lines[1]).toMatch(/; "app:\/\/x\/y" is none$/);
});

test("origins of web views and extensions are kept as those write them", () => {
  const origins = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "app://.",
    "app://obsidian.md",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    "moz-extension://1b4f5a3e-0000-4000-8000-000000000001",
    "file://",
    "null",
  ];
  expect(readConfig({ ...example, ALLOWED_ORIGINS: origins.join(", ") }).allowedOrigins).toEqual(origins);
});

test("origins are kept as browsers write them", () => {
  const env = {
    ...example,
    ALLOWED_ORIGINS: "HTTPS://Chat.Example.com/,https://a.example:443,http://a:8080",
  };
  const origins = ["https://chat.example.com", "https://a.example", "http://a:8080"];
  expect(readConfig(env).allowedOrigins).toEqual(origins);
});

test("limits that are not set have their usual values, and 0 is no limit", () => {
  const limits = settingNames.filter((name) => name.includes("LIMIT"));
  const unset = Object.fromEntries(limits.map((name) => [name, ""]));
  expect(readConfig({ ...example, ...unset }).limits).toEqual({
    sessions: 3,
    messages: 60,
    reads: 600,
    subscribes: 600,
    negotiates: 30,
    writes: 60,
    lookups: 600,
    unsubscribes: 600,
    handshakes: 120,
    heartBeats: 120,
    pieces: 1_200,
  });
  const none = Object.fromEntries(limits.map((name) => [name, "0"]));
  expect(new Set(Object.values(readConfig({ ...example, ...none }).limits))).toEqual(new Set([0]));
});

describe("Kafka", () => {
  const kafka = {
    ...example,
    EVENT_BUS: "kafka",
    EVENT_HUBS_CONNECTION: "",
    KAFKA_BROKERS: "a:9092, b.example:9093",
  };
  const CONNECTION = "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=a2V5";
  const endpoint = {
    ...kafka,
    KAFKA_BROKERS: "x.servicebus.windows.net:9093",
    KAFKA_SECURITY_PROTOCOL: "SASL_SSL",
    KAFKA_SASL_MECHANISM: "PLAIN",
    KAFKA_PASSWORD: CONNECTION,
  };
  const plain = { kind: "kafka", brokers: ["a:9092", "b.example:9093"], security: "PLAINTEXT" };

  test("by itself: it is published on, and its trigger hands events over", () => {
    const { eventBus, trigger, formerBus } = readConfig(kafka);
    expect({ eventBus, trigger, formerBus }).toEqual({
      eventBus: plain,
      trigger: plain,
      formerBus: undefined,
    });
    expect(readBusConfig(kafka)).toEqual({ eventBus: plain, trigger: plain });
  });

  test("beside Event Hubs elsewhere, which are emptied first, and the other way round", () => {
    const both = { ...kafka, EVENT_HUBS_CONNECTION: CONNECTION };
    const hubs = { kind: "key", connectionString: CONNECTION };
    expect(readConfig(both)).toMatchObject({ eventBus: plain, trigger: plain, formerBus: hubs });
    const back = readConfig({ ...both, EVENT_BUS: "eventhubs" });
    expect(back).toMatchObject({ eventBus: hubs, trigger: "eventhubs", formerBus: plain });
  });

  test("as the endpoint of Event Hubs, with a connection string", () => {
    const eventHubs = { kind: "key", connectionString: CONNECTION };
    const login = { mechanism: "PLAIN", username: "$ConnectionString", password: CONNECTION };
    expect(readConfig(endpoint).eventBus).toMatchObject({ security: "SASL_SSL", login, eventHubs });
  });

  test("of one namespace the trigger may be either, and none is a former bus", () => {
    const both = { ...endpoint, EVENT_HUBS_CONNECTION: CONNECTION };
    expect(readConfig(both).formerBus).toBeUndefined();
    const byHubs = readConfig({ ...both, EVENT_TRIGGER: "eventhubs" });
    expect(byHubs).toMatchObject({ eventBus: { kind: "kafka" }, trigger: "eventhubs" });
    const byKafka = readConfig({ ...both, EVENT_BUS: "eventhubs", EVENT_TRIGGER: "kafka" });
    expect(byKafka).toMatchObject({ eventBus: { kind: "key" }, trigger: { kind: "kafka" } });
    expect(byKafka.formerBus).toBeUndefined();
  });

  test("with this app's identity, by the trigger of Event Hubs", () => {
    const env = {
      ...identity,
      EVENT_BUS: "kafka",
      EVENT_TRIGGER: "eventhubs",
      KAFKA_BROKERS: "X.servicebus.windows.net:9093",
      KAFKA_SECURITY_PROTOCOL: "SASL_SSL",
      KAFKA_SASL_MECHANISM: "OAUTHBEARER",
    };
    const eventHubs = { kind: "entra", namespace: "X.servicebus.windows.net" };
    expect(readConfig(env)).toMatchObject({ eventBus: { login: { mechanism: "OAUTHBEARER" }, eventHubs } });
  });

  test.each<[string, Record<string, string>, string]>([
    [
      "without brokers",
      { KAFKA_BROKERS: "" },
      "KAFKA_BROKERS is missing: set it to HOST:PORT, or EVENT_BUS to eventhubs",
    ],
    [
      "without a port",
      { KAFKA_BROKERS: "a" },
      "KAFKA_BROKERS must be HOST:PORT, several separated by commas",
    ],
    [
      "with a comma too many",
      { KAFKA_BROKERS: "a:1," },
      "KAFKA_BROKERS must be HOST:PORT, several separated by commas",
    ],
    [
      "with an address",
      { KAFKA_BROKERS: "kafka://a:1" },
      "KAFKA_BROKERS must be HOST:PORT, several separated by commas",
    ],
    ["on another bus", { EVENT_BUS: "rabbit" }, "EVENT_BUS must be eventhubs or kafka"],
    [
      "with a password that would be sent in the clear",
      { KAFKA_PASSWORD: "p" },
      "KAFKA_PASSWORD counts only where KAFKA_SECURITY_PROTOCOL is SASL_SSL: set that, or leave this out",
    ],
    [
      "without a mechanism",
      { KAFKA_SECURITY_PROTOCOL: "SASL_SSL" },
      "KAFKA_SASL_MECHANISM is missing: set it to PLAIN or OAUTHBEARER",
    ],
    [
      "without a password",
      { KAFKA_SECURITY_PROTOCOL: "SASL_SSL", KAFKA_SASL_MECHANISM: "PLAIN" },
      "KAFKA_PASSWORD is missing: of Event Hubs it is the connection string",
    ],
    [
      "with a token for brokers that take none",
      {
        KAFKA_SECURITY_PROTOCOL: "SASL_SSL",
        KAFKA_SASL_MECHANISM: "OAUTHBEARER",
        EVENT_TRIGGER: "eventhubs",
      },
      "KAFKA_SASL_MECHANISM must be PLAIN: only Event Hubs take this app's tokens",
    ],
    [
      "with the Kafka trigger and a token",
      {
        KAFKA_BROKERS: "x.servicebus.windows.net:9093",
        KAFKA_SECURITY_PROTOCOL: "SASL_SSL",
        KAFKA_SASL_MECHANISM: "OAUTHBEARER",
      },
      "EVENT_TRIGGER must be eventhubs: the Kafka trigger of Azure Functions can't use an identity's token",
    ],
    [
      "with the trigger of another place",
      { EVENT_HUBS_CONNECTION: CONNECTION, EVENT_TRIGGER: "eventhubs" },
      "EVENT_TRIGGER must be kafka, or KAFKA_BROKERS and EVENT_HUBS_CONNECTION must lead to the same Event Hubs namespace",
    ],
  ])("%s is refused", (_what, settings, message) => {
    expect(() => readConfig({ ...kafka, ...settings })).toThrow(`\n  ${message}`);
  });

  test("settings of Kafka without brokers are refused, whatever the bus", () => {
    const settings = { KAFKA_SECURITY_PROTOCOL: "SSL", KAFKA_USERNAME: "u" };
    expect(() => readConfig({ ...example, ...settings })).toThrow(
      "\n  KAFKA_SECURITY_PROTOCOL counts only beside KAFKA_BROKERS: set that, or leave this out" +
        "\n  KAFKA_USERNAME counts only beside KAFKA_BROKERS: set that, or leave this out",
    );
  });
});
