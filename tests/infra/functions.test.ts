import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import host from "../../host.json" with { type: "json" };
import hub from "../../infra/webPubSubHub.snapshot.json" with { type: "json" };
import { HUB } from "../../shared/adapters.js";
import { CALLS } from "../../shared/calls/table.js";
import { REFUSED_SITE_CONFIG } from "./azureNames.js";
import { at, ofType, SIZES, snapshotOf, theOnly } from "./snapshots.js";

const sources = readdirSync("functions")
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .map((name) => readFileSync(`functions/${name}`, "utf8"))
  .join("\n");
/** The functions that scale each by itself; those of HTTP are one group. */
const alone = [...sources.matchAll(/app\.(?:eventHub|timer)\("([^"]+)"/g)].map(([, name]) => name ?? "");

describe.each(SIZES)("the function app of %s", (size) => {
  const app = theOnly(snapshotOf(size), "Microsoft.Web/sites");
  const config = (...path: string[]) => at(app, "properties", "functionAppConfig", ...path);

  test("keeps ready what there is, by the names that the platform has", () => {
    const names = [at(config("scaleAndConcurrency", "alwaysReady"), "0", "name"), "http"];
    const known = ["http", ...alone.map((name) => `function:${name.toLowerCase()}`)];
    expect(alone.sort()).toEqual(["chatMessages", "heartBeat", "readEvents", "sweep"]);
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
    const partitions = ofType(snapshot, "Microsoft.EventHub/namespaces/eventhubs")
      .filter(({ name }) => !name.endsWith("-dlt"))
      .map(({ properties }) => Math.min(most, Number(at(properties, "partitionCount"))));
    const timers = alone.filter((name) => ["heartBeat", "sweep"].includes(name)).length;
    const instances = most + partitions.reduce((sum, each) => sum + each, 0) + timers;
    const pool = at(app, "properties", "siteConfig", "appSettings");
    const poolSize = Number(poolSizeIn(pool));
    const sku = String(theOnly(snapshot, "Microsoft.DBforMySQL/flexibleServers").sku?.["name"]);
    expect(instances * poolSize).toBeLessThanOrEqual(0.8 * (CONNECTIONS[sku] ?? 0));
  });
});

const poolSizeIn = (settings: unknown): unknown =>
  Array.isArray(settings)
    ? at(
        settings.find((each) => at(each, "name") === "MYSQL_POOL_SIZE"),
        "value",
      )
    : undefined;

/**
 * `max_connections` of a server by its size. Source:
 * https://learn.microsoft.com/azure/mysql/flexible-server/concepts-server-parameters.
 */
const CONNECTIONS: Readonly<Record<string, number>> = {
  Standard_B1ms: 341,
  Standard_B2s: 683,
  Standard_B2ms: 1365,
  Standard_D2ads_v5: 1365,
  Standard_D4ads_v5: 2731,
  Standard_D8ads_v5: 5461,
  Standard_D16ads_v5: 10923,
};

test("the templates know the same numbers of connections", () => {
  const [, table = ""] =
    /var mysqlConnections = \{([^}]*)\}/.exec(readFileSync("infra/types.bicep", "utf8")) ?? [];
  const rows = [...table.matchAll(/(\w+): (\d+)/g)].map(([, sku, number]) => [sku, Number(number)]);
  expect(Object.fromEntries(rows)).toEqual(CONNECTIONS);
});

describe("the hub's event handler", () => {
  const [resource] = hub.predictedResources;
  const handler = resource?.properties.eventHandlers[0];

  test("is of the hub that clients connect to", () => {
    expect(resource?.name.split("/").at(-1)).toBe(HUB);
  });

  test("lets clients bring the identity provider's token alone, which the app checks", () => {
    expect(resource?.properties.anonymousConnectPolicy).toBe("allow");
  });

  test("calls the address of functions/clientEvent.ts", () => {
    const [, route] = /app\.http\("clientEvent", \{\s*route: "([^"]+)"/.exec(sources) ?? [];
    expect(handler?.urlTemplate).toBe(
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

test.each(SIZES)("%s is asked from outside whether it is up", (size) => {
  const check = theOnly(snapshotOf(size), "Microsoft.Insights/webtests");
  const route = CALLS["health"]?.route;
  // The app's address is known when there is an app.
  expect(at(check, "properties", "Request", "RequestUrl")).toMatch(
    new RegExp(`^\\[format\\('\\{0\\}/\\{1\\}/${route}', .*, '${host.extensions.http.routePrefix}'\\)\\]$`),
  );
  // A state that is not up answers 200, too.
  expect(at(check, "properties", "ValidationRules", "ContentValidation")).toEqual({
    ContentMatch: '"status":"up"',
    PassIfTextFound: true,
    IgnoreCase: false,
  });
});
