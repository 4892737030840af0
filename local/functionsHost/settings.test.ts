import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  applyAppSettings,
  connectionString,
  disabledOf,
  eventHubsConnection,
  httpSettings,
  readCors,
  readHostSettings,
  resolveNames,
} from "./settings.js";

let app: string;
beforeEach(() => {
  app = mkdtempSync(join(tmpdir(), "functions-host-"));
});
afterEach(() => rmSync(app, { recursive: true }));

function put(name: string, text: string): void {
  writeFileSync(join(app, name), text);
}

describe("host.json", () => {
  test("need not be there: the defaults are the real host's", () => {
    expect(readHostSettings(app, {})).toEqual({
      routePrefix: "api",
      functionTimeout: 1_800_000,
      logLevel: "information",
      eventHubs: {
        maxEventBatchSize: 100,
        minEventBatchSize: 1,
        maxWaitTime: 60_000,
        prefetchCount: 300,
        batchCheckpointFrequency: 1,
        initialOffset: "fromStart",
      },
      // Without `subscriberIntervalInSeconds` events are collected for a moment only.
      kafka: {
        maxBatchSize: 64,
        subscriberInterval: 10,
        autoCommitInterval: 200,
        sessionTimeout: 10_000,
        autoOffsetReset: "earliest",
        commitOnFailure: true,
        maxRetries: 5,
        maxPartitionFetchBytes: 1_048_576,
        fetchMaxBytes: 8_388_608,
      },
      leases: { period: 60_000, pollingInterval: 60_000 },
    });
  });

  test("may begin with a byte order mark, and gives way to the environment", () => {
    put("host.json", '\uFEFF{"functionTimeout":"1.02:03:04","extensions":{"http":{"routePrefix":""}}}');
    const env = {
      AzureFunctionsJobHost__extensions__eventHubs__maxEventBatchSize: "7",
      AzureFunctionsJobHost__logging__logLevel__default: "Warning",
    };
    expect(readHostSettings(app, env)).toMatchObject({
      routePrefix: "",
      functionTimeout: (26 * 3600 + 3 * 60 + 4) * 1000,
      logLevel: "warning",
      eventHubs: { maxEventBatchSize: 7 },
    });
  });

  test("says how Kafka is read, the environment too", () => {
    put(
      "host.json",
      '{"extensions":{"kafka":{"subscriberIntervalInSeconds":2,"maxRetries":-1,"autoOffsetReset":"Latest"}}}',
    );
    const env = { AzureFunctionsJobHost__extensions__kafka__commitOnFailure: "False" };
    expect(readHostSettings(app, env).kafka).toMatchObject({
      subscriberInterval: 2_000,
      maxRetries: -1,
      autoOffsetReset: "latest",
      commitOnFailure: false,
    });
  });

  test.each([
    ['{"maxBatchSize":0}', "extensions.kafka.maxBatchSize is 0 but must be a whole number of at least 1"],
    ['{"maxRetries":-2}', "extensions.kafka.maxRetries is -2 but must be a whole number of at least -1"],
    ['{"commitOnFailure":"no"}', 'extensions.kafka.commitOnFailure is "no" but must be true or false'],
    ['{"autoOffsetReset":"none"}', 'autoOffsetReset is "none" but must be earliest or latest'],
    ['{"subscriberIntervalInSeconds":0}', "subscriberIntervalInSeconds is 0 but must be"],
  ])("says what is wrong with Kafka's %s", (kafka, message) => {
    put("host.json", `{"extensions":{"kafka":${kafka}}}`);
    expect(() => readHostSettings(app, {})).toThrow(message);
  });

  test("knows no limit as -1, and a time to start from", () => {
    const initialOffsetOptions = { type: "fromEnqueuedTime", enqueuedTimeUtc: "2025-01-31T00:00:00Z" };
    put(
      "host.json",
      JSON.stringify({ functionTimeout: "-1", extensions: { eventHubs: { initialOffsetOptions } } }),
    );
    const settings = readHostSettings(app, {});
    expect(settings.functionTimeout).toBeUndefined();
    expect(settings.eventHubs.initialOffset).toEqual({ enqueuedOn: new Date("2025-01-31T00:00:00Z") });
  });

  test.each([
    ['{"version": ', "host.json cannot be read as JSON"],
    ["[]", "host.json must hold one JSON object"],
    ['{"functionTimeout":"5 minutes"}', 'functionTimeout is "5 minutes" but must be a time like "00:05:00"'],
    ['{"singleton":{"listenerLockPeriod":"00:00:14"}}', "must be a time of at least 15 s and at most 60 s"],
    ['{"singleton":{"listenerLockPeriod":"00:01:01"}}', "must be a time of at least 15 s and at most 60 s"],
    [
      '{"singleton":{"listenerLockRecoveryPollingInterval":"00:00:01"}}',
      'listenerLockRecoveryPollingInterval is "00:00:01" but must be a time of at least 15 s',
    ],
    ['{"extensions":{"http":{"routePrefix":5}}}', "extensions.http.routePrefix is 5 but must be a string"],
    [
      '{"extensions":{"eventHubs":{"maxEventBatchSize":0}}}',
      "maxEventBatchSize is 0 but must be a whole number",
    ],
    ['{"logging":{"logLevel":{"default":"Loud"}}}', 'logLevel.default is "Loud" but must be a level'],
    [
      '{"extensions":{"eventHubs":{"initialOffsetOptions":{"type":"middle"}}}}',
      "must be fromStart, fromEnd or",
    ],
  ])("%s is refused with its name", (text, message) => {
    put("host.json", text);
    expect(() => readHostSettings(app, {})).toThrow(message);
  });
});

describe("app settings", () => {
  test("come from local.settings.json and not from the example, and never over the environment", () => {
    put("local.settings.example.json", '{"Values":{"A":"example","C":"example"}}');
    put("local.settings.json", '{"Values":{"A":"file","B":"file","N":5}}');
    const env: NodeJS.ProcessEnv = { B: "environment" };
    expect(applyAppSettings(app, env)).toBe(join(app, "local.settings.json"));
    expect(env).toEqual({ A: "file", B: "environment", N: "5" });
  });

  test("come from a file that is named", () => {
    put("other.json", '{"Values":{"A":"other"}}');
    const env: NodeJS.ProcessEnv = {};
    applyAppSettings(app, env, join(app, "other.json"));
    expect(env).toEqual({ A: "other" });
    expect(() => applyAppSettings(app, env, join(app, "none.json"))).toThrow("none.json does not exist");
  });

  test.each([
    ['{"Values":', "local.settings.json cannot be read as JSON"],
    ['{"Values":[]}', '"Values" must be an object'],
    ['{"Values":{"A":{}}}', 'the value of "A" must be a string'],
    ['{"IsEncrypted":true,"Values":{}}', "is encrypted"],
  ])("%s is refused", (text, message) => {
    put("local.settings.json", text);
    expect(() => applyAppSettings(app, {})).toThrow(message);
  });

  test("fill %NAMES% and connections, or are asked for", () => {
    expect(resolveNames("a-%X%-%Y%", { X: "1", Y: "2" }, "f")).toBe("a-1-2");
    expect(() => resolveNames("%X%", {}, 'function "f"')).toThrow('function "f": "%X%" needs the setting X');
    expect(connectionString("Storage", { AzureWebJobsStorage: "s" }, "f")).toBe("s");
    expect(() => connectionString("HUB", {}, "f")).toThrow(
      "f: the setting HUB must hold a connection string",
    );
    const identity = { HUB__fullyQualifiedNamespace: "x.servicebus.windows.net" };
    expect(() => eventHubsConnection("HUB", identity, "f")).toThrow(
      "f: HUB__credential must be managedidentity: this host knows no other identity",
    );
    expect(eventHubsConnection("HUB", { ...identity, HUB__credential: "managedidentity" }, "f")).toEqual({
      kind: "identity",
      namespace: "x.servicebus.windows.net",
      clientId: undefined,
    });
    expect(eventHubsConnection("HUB", { ...identity, HUB: "Endpoint=sb://y" }, "f")).toEqual({
      kind: "key",
      text: "Endpoint=sb://y",
    });
    expect(() => eventHubsConnection("HUB", {}, "f")).toThrow(
      "f: the setting HUB must hold a connection string",
    );
  });
});

test.each([
  ["AzureWebJobs.sweep.Disabled", "true", ["sweep"]],
  ["AzureWebJobs.sweep.Disabled", "TRUE", ["sweep"]],
  ["AZUREWEBJOBS_Sweep_DISABLED", "1", ["sweep"]],
  ["AzureWebJobs.sweep.Disabled", "yes", []],
  ["AzureWebJobs.sweep.Disabled", "", []],
  ["AzureWebJobs__sweep__Disabled", "true", []],
  ["AzureWebJobs.swee.Disabled", "true", []],
])("%s=%s disables %j", (name, value, expected) => {
  expect(disabledOf(["health", "sweep"], { [name]: value })).toEqual(expected);
});

test("HTTP takes 100 MB and shows a page, unless told", () => {
  expect(httpSettings({})).toEqual({ maxBody: 104_857_600, homePage: true });
  const told = { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: "7", AzureWebJobsDisableHomepage: "True" };
  expect(httpSettings(told)).toEqual({ maxBody: 7, homePage: false });
  expect(httpSettings({ FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: "7 MB" }).maxBody).toBe(104_857_600);
});

describe("the pages that may call", () => {
  const cors = (host: string) => {
    put("settings.json", `{"Host":${host}}`);
    return readCors(join(app, "settings.json"));
  };

  test.each([
    ["{}", undefined],
    ['{"CORS":""}', undefined],
    ['{"CORS":"*"}', { origins: ["*"], credentials: false }],
    ['{"cors":"HTTPS://Chat.example.com"}', { origins: ["https://chat.example.com"], credentials: false }],
    [
      '{"CORS":"http://127.0.0.1:7070, https://chat.example.com/","CORSCredentials":true}',
      { origins: ["http://127.0.0.1:7070", "https://chat.example.com"], credentials: true },
    ],
  ])("%s", (host, expected) => expect(cors(host)).toEqual(expected));

  test("are not said where there is no Host", () => {
    put("settings.json", "{}");
    expect(readCors(join(app, "settings.json"))).toBeUndefined();
    expect(readCors(undefined)).toBeUndefined();
  });

  test("are named in any letter case, and --cors counts for more", () => {
    put("settings.json", '{"host":{"Cors":"https://a.example.com","corsCredentials":true}}');
    const file = join(app, "settings.json");
    expect(readCors(file)).toEqual({ origins: ["https://a.example.com"], credentials: true });
    expect(readCors(file, "http://b")).toEqual({ origins: ["http://b"], credentials: true });
    expect(readCors(file, "")).toBeUndefined();
    expect(readCors(undefined, "*")).toEqual({ origins: ["*"], credentials: false });
    expect(() => readCors(undefined, "b.example.com")).toThrow('--cors has "b.example.com"');
  });

  test.each([
    ["[]", '"Host" must be an object'],
    ['{"CORS":7}', '"CORS" must be origins separated by commas'],
    ['{"CORS":"chat.example.com"}', '"CORS" has "chat.example.com" but must have origins like'],
    ['{"CORS":"https://chat.example.com/page"}', "must have origins like"],
    ['{"CORSCredentials":"yes"}', '"CORSCredentials" must be true or false'],
    ['{"CORS":"*","CORSCredentials":true}', 'not with "*"'],
  ])("can't be %s", (host, message) => expect(() => cors(host)).toThrow(message));
});
