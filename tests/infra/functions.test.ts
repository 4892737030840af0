import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import host from "../../host.json" with { type: "json" };
import { HUB } from "../../shared/broadcast/broadcaster.js";
import { CALLS } from "../../shared/calls/table.js";
import { DatabaseSettings } from "../../shared/settings.js";
import { REFUSED_SITE_CONFIG } from "./azureNames.js";
import { at, ofType, SIZES, snapshotOf, theOnly } from "./snapshots.js";

const sources = readdirSync("functions")
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .map((name) => readFileSync(`functions/${name}`, "utf8"))
  .join("\n");
/** The functions that scale each by itself; those of HTTP are one group. */
const alone = [...sources.matchAll(/(?:app\.timer|^storeHub)\("([^"]+)"/gm)].map(([, name]) => name ?? "");

describe.each(SIZES)("the function app of %s", (size) => {
  const app = theOnly(snapshotOf(size), "Microsoft.Web/sites");
  const config = (...path: string[]) => at(app, "properties", "functionAppConfig", ...path);

  test("keeps ready what there is, by the names that the platform has", () => {
    const names = [at(config("scaleAndConcurrency", "alwaysReady"), "0", "name"), "http"];
    const known = ["http", ...alone.map((name) => `function:${name.toLowerCase()}`)];
    expect(alone.sort()).toEqual(["audit", "chatMessages", "heartBeat", "readEvents", "sweep"]);
    if (size === "dev") expect(config("scaleAndConcurrency", "alwaysReady")).toEqual([]);
    else expect(names.filter((name) => !known.includes(String(name)))).toEqual([]);
  });

  test("sizes its instances as the plan can", () => {
    expect([512, 2048, 4096]).toContain(config("scaleAndConcurrency", "instanceMemoryMB"));
    expect(config("scaleAndConcurrency", "maximumInstanceCount")).toBeLessThanOrEqual(1_000);
    expect(config("scaleAndConcurrency", "triggers", "http", "perInstanceConcurrency")).toBe(
      size === "dev" ? 16 : 32,
    );
  });

  test("has no property that the plan refuses", () => {
    const given = Object.keys(at(app, "properties", "siteConfig") ?? {});
    expect(given.filter((name) => REFUSED_SITE_CONFIG.includes(name))).toEqual([]);
  });

  test("answers pages of the origins that may connect", () => {
    expect(at(app, "properties", "siteConfig", "cors")).toEqual({
      allowedOrigins: size === "dev" ? ["*"] : ["https://chat.example.com", "capacitor://localhost"],
      supportCredentials: false,
    });
  });

  test("is found by azd", () => {
    expect(at(app, "tags", "azd-service-name")).toBe("api");
  });

  test("can open no more connections than four fifths of what the database server takes", () => {
    const snapshot = snapshotOf(size);
    const most = Number(config("scaleAndConcurrency", "maximumInstanceCount"));
    const isZonal =
      at(theOnly(snapshot, "Microsoft.Web/serverfarms"), "properties", "zoneRedundant") === true;
    const ready = readyIn(config("scaleAndConcurrency", "alwaysReady"));
    // In several zones two of every group are ready.
    const readyOf = (group: string): number => Math.max(ready[group] ?? 0, isZonal ? 2 : 0);
    const partitions = ofType(snapshot, "Microsoft.EventHub/namespaces/eventhubs")
      .filter(({ name }) => !name.endsWith("-dlt"))
      .map(({ name, properties }) => {
        const group = name.endsWith("/chat-messages") ? "function:chatmessages" : "function:readevents";
        return Math.min(most + readyOf(group), Number(at(properties, "partitionCount")));
      });
    const timers =
      alone.filter((name) => ["audit", "heartBeat", "sweep"].includes(name)).length * (isZonal ? 2 : 1);
    const instances = most + readyOf("http") + partitions.reduce((sum, each) => sum + each, 0) + timers;
    expect(instances).toBe(size === "dev" ? 31 : 116);
    const pool = at(app, "properties", "siteConfig", "appSettings");
    const poolSize = Number(poolSizeIn(pool));
    const sku = String(theOnly(snapshot, "Microsoft.DBforMySQL/flexibleServers").sku?.["name"]);
    expect(instances * poolSize).toBeLessThanOrEqual(0.8 * (CONNECTIONS[sku] ?? 0));
  });
});

const readyIn = (groups: unknown): Record<string, number> =>
  Object.fromEntries(
    Array.isArray(groups) ? groups.map((each) => [at(each, "name"), Number(at(each, "instanceCount"))]) : [],
  );

const poolSizeIn = (settings: unknown): unknown =>
  Array.isArray(settings)
    ? at(
        settings.find((each) => at(each, "name") === "MYSQL_POOL_SIZE"),
        "value",
      )
    : undefined;

/**
 * `max_connections` of a server by its size, where nobody sets it ("Default value"). Source:
 * https://learn.microsoft.com/azure/mysql/flexible-server/concepts-server-parameters.
 */
const CONNECTIONS: Readonly<Record<string, number>> = {
  Standard_B1ms: 171,
  Standard_B2s: 341,
  Standard_B2ms: 683,
  Standard_D2ads_v5: 683,
  Standard_D4ads_v5: 1365,
  Standard_D8ads_v5: 2731,
  Standard_D16ads_v5: 5461,
};

test("the templates know the same numbers of connections", () => {
  const [, table = ""] =
    /var mysqlConnections = \{([^}]*)\}/.exec(readFileSync("infra/types.bicep", "utf8")) ?? [];
  const rows = [...table.matchAll(/(\w+): (\d+)/g)].map(([, sku, number]) => [sku, Number(number)]);
  expect(Object.fromEntries(rows)).toEqual(CONNECTIONS);
});

test("the templates take the pool sizes that the app takes", () => {
  const [, least, most] =
    /@minValue\((\d+)\)\n {2}@maxValue\((\d+)\)\n {2}poolSize: int/.exec(
      readFileSync("infra/types.bicep", "utf8"),
    ) ?? [];
  const { MYSQL_POOL_SIZE } = DatabaseSettings.shape;
  const taken = Array.from({ length: 1_000 }, (_, size) => size).filter(
    (size) => MYSQL_POOL_SIZE.safeParse(String(size)).success,
  );
  expect([Number(least), Number(most)]).toEqual([taken.at(0), taken.at(-1)]);
});

const afterCode = snapshotOf("webPubSubHub");

describe("the hub's event handler", () => {
  const resource = theOnly(afterCode, "Microsoft.SignalRService/webPubSub/hubs");
  const handler = at(resource, "properties", "eventHandlers", "0");

  test("is of the hub that clients connect to", () => {
    expect(resource.name.split("/").at(-1)).toBe(HUB);
  });

  test("lets clients bring the identity provider's token alone, which the app checks", () => {
    expect(at(resource, "properties", "anonymousConnectPolicy")).toBe("allow");
  });

  test("calls the address of functions/clientEvent.ts", () => {
    const [, route] = /app\.http\("clientEvent", \{\s*route: "([^"]+)"/.exec(sources) ?? [];
    expect(at(handler, "urlTemplate")).toBe(
      `https://func-test.azurewebsites.net/${host.extensions.http.routePrefix}/${route}`,
    );
  });

  test("sends every event that the app answers, with a token", () => {
    expect(handler).toMatchObject({
      userEventPattern: "*",
      systemEvents: ["connect", "connected", "disconnected"],
      auth: { type: "ManagedIdentity", managedIdentity: { resource: "api://AzureADTokenExchange" } },
    });
  });
});

describe("the test from outside", () => {
  const check = theOnly(afterCode, "Microsoft.Insights/webtests");
  const alert = theOnly(afterCode, "Microsoft.Insights/metricAlerts");

  // Without code it would wake somebody for nothing.
  test.each(SIZES)("is not made with %s, but after the code", (size) => {
    expect(ofType(snapshotOf(size), "Microsoft.Insights/webtests")).toEqual([]);
  });

  test("asks whether the app is up", () => {
    expect([check.kind, at(check, "properties", "Kind")]).toEqual(["standard", "standard"]);
    expect(at(check, "properties", "Request", "RequestUrl")).toBe(
      `https://func-test.azurewebsites.net/${host.extensions.http.routePrefix}/${CALLS["health"]?.route}`,
    );
    // A state that is not up answers 200, too.
    expect(at(check, "properties", "ValidationRules", "ContentValidation")).toEqual({
      ContentMatch: '"status":"up"',
      PassIfTextFound: true,
      IgnoreCase: false,
    });
  });

  test("tells whom the other alerts tell", () => {
    expect(alert.name).toBe("health-from-outside");
    expect(at(alert, "properties", "scopes", "0")).toBe(check.id);
    expect(at(alert, "properties", "actions", "0", "actionGroupId")).toMatch(/\/actionGroups\/ag-test$/);
    expect(at(alert, "properties", "criteria", "componentId")).toMatch(/\/components\/appi-test$/);
  });

  test.each(SIZES)("finds the parts of %s by the name of its Web PubSub", (size) => {
    const nameOf = (type: string): string => theOnly(snapshotOf(size), type).name;
    const hash = nameOf("Microsoft.SignalRService/webPubSub").replace("wps-", "");
    expect(nameOf("Microsoft.Insights/components")).toBe(`appi-${hash}`);
    expect(nameOf("Microsoft.Insights/actionGroups")).toBe(`ag-${hash}`);
  });
});
