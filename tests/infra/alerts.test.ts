import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import workbook from "../../infra/workbook.json" with { type: "json" };
import { HUBS } from "../../shared/events/hubs.js";
import { APP_METRICS, CLOSE_CATEGORIES, METRICS, TABLES } from "./azureNames.js";
import { at, ofType, SIZES, snapshotOf, textsOf } from "./snapshots.js";

/** What somebody has to be woken or told for. */
const WANTED: readonly string[] = [
  "connection-quota",
  "connections-throttled",
  "dead-letters",
  "dead-letters-by-code",
  "errors-in-the-log",
  "event-hubs-quota",
  "event-hubs-server-errors",
  "event-hubs-throttled",
  "failed-executions",
  "lag",
  "lag-events",
  "mysql-connections",
  "mysql-cpu",
  "mysql-io",
  "mysql-memory",
  "mysql-storage",
  "not-up",
  "redis-cpu",
  "redis-errors",
  "redis-memory",
  "storage-unavailable",
  "telemetry-is-silent",
  "web-pubsub-load",
  "web-pubsub-refuses-calls",
];

/** Words of the query language that stand where a column could. */
const OPERATORS: readonly string[] = ["by", "and", "or", "in", "has", "asc", "union", "isnotempty"];

/** What a query asks: its tables, the app's metrics in it, and the columns that it uses. */
function asked(query: string) {
  const tables = Object.keys(TABLES).filter((table) => new RegExp(`\\b${table}\\b`).test(query));
  const names = [...query.matchAll(/Name == "([^"]+)"/g)].map(([, name]) => name ?? "");
  const attributes = [...query.matchAll(/Properties\["([^"]+)"\]/g)].map(([, name]) => name ?? "");
  const metrics = [...query.matchAll(/MetricName in \(([^)]*)\)/g)].flatMap(([, list]) =>
    [...(list ?? "").matchAll(/"([^"]+)"/g)].map(([, name]) => name ?? ""),
  );
  return { tables, names, attributes, metrics, columns: columnsOf(query) };
}

/** Words with a capital that are no part of a text, and are not made by the query itself. */
function columnsOf(query: string): string[] {
  const bare = query.replace(/"[^"]*"/g, '""');
  const made = [...bare.matchAll(/(\w+) = /g)].map(([, name]) => name);
  const words = [...bare.matchAll(/\b_?[A-Z]\w*\b/g)].map(([word]) => word);
  return [...new Set(words)].filter((word) => !made.includes(word) && !(word in TABLES));
}

/** What the app tells as a gauge. */
const GAUGES = [...readFileSync("shared/platform/measures.ts", "utf8").matchAll(/\bgauge\("([^"]+)"/g)].map(
  ([, name]) => name ?? "",
);

/**
 * Columns that are empty of what the query asks for. The exporter for Azure Monitor sends `min` and `max` of
 * histograms only (resourceMetricsToEnvelope of version 1.0.0-beta); a gauge has its value in `Sum`.
 */
const emptyIn = (query: string): string[] =>
  asked(query).names.some((name) => GAUGES.includes(name))
    ? columnsOf(query).filter((name) => ["Min", "Max"].includes(name))
    : [];

function wrongIn(query: string): string[] {
  const { tables, names, attributes, metrics, columns } = asked(query);
  const known = tables.flatMap((table) => TABLES[table] ?? []);
  const all = Object.values(METRICS).flatMap((each) => Object.keys(each));
  const ours = names.flatMap((name) => APP_METRICS[name] ?? []);
  return [
    ...(tables.length === 0 ? [`no table in ${query}`] : []),
    ...emptyIn(query).map((name) => `${name} of a gauge`),
    ...columns.filter((name) => !known.includes(name) && !OPERATORS.includes(name)),
    ...names.filter((name) => !(name in APP_METRICS)),
    ...attributes.filter((name) => !ours.includes(name) && name !== "_MS.links"),
    ...metrics.filter((name) => !all.includes(name)),
  ];
}

describe.each(SIZES)("the alerts of %s", (size) => {
  const snapshot = snapshotOf(size);
  const onMetrics = ofType(snapshot, "Microsoft.Insights/metricAlerts");
  const onLogs = ofType(snapshot, "Microsoft.Insights/scheduledQueryRules");
  const criteria = onMetrics
    .map((alert) => ({ alert, criterion: at(alert, "properties", "criteria", "allOf", "0") }))
    .filter(({ criterion }) => criterion !== undefined);

  test("are all that are wanted", () => {
    expect([...onMetrics, ...onLogs].map(({ name }) => name).sort()).toEqual(WANTED);
  });

  test("are on metrics that there are, of what they watch", () => {
    expect(criteria).toHaveLength(16);
    for (const { alert, criterion } of criteria) {
      const namespace = String(at(criterion, "metricNamespace"));
      const metrics = METRICS[namespace] ?? {};
      const metric = String(at(criterion, "metricName"));
      expect(Object.keys(metrics), alert.name).toContain(metric);
      expect(String(at(alert, "properties", "scopes", "0")), alert.name).toContain(
        `/providers/${namespace}/`,
      );
      const dimensions = at(criterion, "dimensions");
      const names = Array.isArray(dimensions) ? dimensions.map((each) => at(each, "name")) : [];
      expect(
        names.filter((name) => !metrics[metric]?.includes(String(name))),
        alert.name,
      ).toEqual([]);
    }
  });

  test("on dead letters watch the hubs that these go to", () => {
    const found = criteria.find(({ alert }) => alert.name === "dead-letters")?.criterion;
    expect(at(found, "dimensions", "0", "values")).toEqual(
      Object.keys(HUBS)
        .filter((hub) => hub.endsWith("-dlt"))
        .sort(),
    );
  });

  test("on closed connections know why Web PubSub closes them", () => {
    const found = criteria.find(({ alert }) => alert.name === "connections-throttled")?.criterion;
    const values = textsOf(at(found, "dimensions", "0", "values")).map(([, value]) => value);
    expect(values.filter((value) => !CLOSE_CATEGORIES.includes(value))).toEqual([]);
  });

  test("look back as far as Redis measures: every five minutes", () => {
    for (const { alert } of criteria) {
      expect(["PT5M", "PT15M"]).toContain(at(alert, "properties", "windowSize"));
      if (alert.name.startsWith("redis")) expect(at(alert, "properties", "windowSize")).toBe("PT15M");
    }
  });

  test("ask logs for what there is in them", () => {
    for (const alert of onLogs) {
      const criterion = at(alert, "properties", "criteria", "allOf", "0");
      const query = String(at(criterion, "query"));
      expect(wrongIn(query), alert.name).toEqual([]);
      // The rule itself sums or takes the most, by the time of the rows.
      expect(query, alert.name).toMatch(/\| project TimeGenerated, Value = /);
      if (textsOf(at(criterion, "dimensions")).length > 0) expect(query, alert.name).toMatch(/\bPart = /);
    }
  });

  test("on silence wait for an app that has told something", () => {
    const silence = onLogs.find(({ name }) => name === "telemetry-is-silent");
    // A day before its end is looked through: without code there is no row, and a row is what wakes somebody.
    expect(at(silence, "properties", "windowSize")).toBe("P1D");
    expect(at(silence, "properties", "criteria", "allOf", "0")).toMatchObject({
      timeAggregation: "Count",
      operator: "GreaterThan",
      threshold: 0,
      query:
        'AppMetrics\n| where Name == "chat.health"\n| summarize TimeGenerated = max(TimeGenerated)\n' +
        "| where TimeGenerated < ago(15m)\n| project TimeGenerated, Value = 1",
    });
  });

  test("tell the action group, each of them", () => {
    const [group] = ofType(snapshot, "Microsoft.Insights/actionGroups");
    for (const alert of [...onMetrics, ...onLogs])
      expect(
        textsOf(at(alert, "properties", "actions")).map(([, id]) => id),
        alert.name,
      ).toEqual([group?.id]);
  });
});

test("the app has gauges, which the queries are looked through for", () => {
  expect(GAUGES.sort()).toEqual(["chat.health", "chat.lag.age", "chat.lag.events", "chat.mysql.connections"]);
  expect(wrongIn('AppMetrics | where Name == "chat.lag.age" | project Value = Max')).toEqual([
    "Max of a gauge",
  ]);
});

describe("the workbook", () => {
  const queries = workbook.items.flatMap((item) =>
    textsOf(item.content).filter(([path]) => path === "/query"),
  );

  test("asks for what there is", () => {
    expect(queries.length).toBeGreaterThan(8);
    for (const [, query] of queries) expect(wrongIn(query), query).toEqual([]);
  });

  test("is about this workspace, each part of it", () => {
    const places = textsOf(workbook).filter(([path]) => path.includes("crossComponentResources"));
    expect(places.length).toBe(queries.length + 1);
    expect(places.filter(([, place]) => place !== "WORKSPACE_ID")).toEqual([]);
    for (const size of SIZES) {
      const [deployed] = ofType(snapshotOf(size), "Microsoft.Insights/workbooks");
      const [workspace] = ofType(snapshotOf(size), "Microsoft.OperationalInsights/workspaces");
      const text = String(at(deployed, "properties", "serializedData"));
      expect(text).not.toContain("WORKSPACE_ID");
      expect(text).toContain(workspace?.id);
      expect(() => JSON.parse(text)).not.toThrow();
    }
  });
});
