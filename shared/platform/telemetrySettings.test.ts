import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { azureMonitorOf, delayOf, intervalOf, receiverOf, samplingOf } from "./telemetrySettings.js";

let warnings: string[];
beforeEach(() => {
  warnings = [];
  vi.spyOn(console, "warn").mockImplementation(
    (line: string) => void warnings.push(JSON.parse(line).message),
  );
});
afterEach(() => vi.restoreAllMocks());

describe("metrics go", () => {
  const own = "http://collector:4318/own";
  test.each([
    ["nowhere", {}, undefined],
    ["nowhere", { OTEL_EXPORTER_OTLP_ENDPOINT: "" }, undefined],
    ["nowhere", { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: own, OTEL_SDK_DISABLED: "True" }, undefined],
    ["nowhere", { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: own, OTEL_METRICS_EXPORTER: "none" }, undefined],
    ["below the endpoint", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318" }, "http://c:4318/v1/metrics"],
    ["below the endpoint", { OTEL_EXPORTER_OTLP_ENDPOINT: "https://c/x/" }, "https://c/x/v1/metrics"],
    ["to their own", { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: own, OTEL_EXPORTER_OTLP_ENDPOINT: "x" }, own],
  ])("%s with %o", (_where, env, url) => {
    expect(receiverOf(env)).toBe(url);
  });

  test.each([
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "secret"],
    ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "ftp://secret@collector/v1/metrics"],
  ])("nowhere with an error that names %s, but not its value: %s", (name, value) => {
    expect(() => receiverOf({ [name]: value })).toThrow(
      new Error(`${name} is no http or https address: set it to one like http://localhost:4318`),
    );
  });
});

describe("spans go", () => {
  const own = "http://collector:4318/own";
  test.each([
    ["nowhere", { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: own }, undefined],
    ["nowhere", { OTEL_EXPORTER_OTLP_ENDPOINT: own, OTEL_TRACES_EXPORTER: "none" }, undefined],
    ["nowhere", { OTEL_EXPORTER_OTLP_ENDPOINT: own, OTEL_SDK_DISABLED: "true" }, undefined],
    ["below the endpoint", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318" }, "http://c:4318/v1/traces"],
    ["to their own", { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own, OTEL_EXPORTER_OTLP_ENDPOINT: "x" }, own],
  ])("%s with %o", (_where, env, url) => {
    expect(receiverOf(env, "TRACES")).toBe(url);
  });

  test("after five seconds, or what is said", () => {
    expect([delayOf({}), delayOf({ OTEL_BSP_SCHEDULE_DELAY: "250" })]).toEqual([5_000, 250]);
  });
});

describe("of traces", () => {
  test.each<[string | undefined, string | undefined, number, boolean]>([
    [undefined, undefined, 1, true],
    ["", "0.5", 1, true],
    ["always_on", undefined, 1, false],
    ["always_off", undefined, 0, false],
    ["traceidratio", "0.25", 0.25, false],
    ["traceidratio", undefined, 1, false],
    ["parentbased_always_on", undefined, 1, true],
    ["parentbased_always_off", undefined, 0, true],
    ["parentbased_traceidratio", "0.01", 0.01, true],
    ["parentbased_traceidratio", "0", 0, true],
  ])("%s with %s records %d, as the caller says: %s", (sampler, arg, ratio, followsParent) => {
    const env = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: arg };
    expect(samplingOf(env)).toEqual({ ratio, followsParent });
    expect(warnings).toEqual([]);
  });

  test.each([
    ["jaeger_remote", "1", "OTEL_TRACES_SAMPLER must be"],
    ["traceidratio", "1.5", "OTEL_TRACES_SAMPLER_ARG must be"],
    ["parentbased_traceidratio", "half", "OTEL_TRACES_SAMPLER_ARG must be"],
  ])("%s with %s records all, and that is told", (sampler, arg, text) => {
    const env = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: arg };
    expect(samplingOf(env)).toEqual({ ratio: 1, followsParent: true });
    expect(warnings).toEqual([expect.stringContaining(text)]);
  });
});

describe("Application Insights", () => {
  const connectionString = "InstrumentationKey=00000000-0000-0000-0000-000000000000";
  const both = {
    APPLICATIONINSIGHTS_CONNECTION_STRING: connectionString,
    AzureFunctionsJobHost__telemetryMode: "OpenTelemetry",
  };
  const as = (text: string) => ({ ...both, APPLICATIONINSIGHTS_AUTHENTICATION_STRING: text });

  test.each<[string, Readonly<Record<string, string>>, object | undefined]>([
    ["gets nothing where nothing is set", {}, undefined],
    [
      "gets nothing where the host has its own way",
      { ...both, AzureFunctionsJobHost__telemetryMode: "" },
      undefined,
    ],
    ["gets nothing without its name", { AzureFunctionsJobHost__telemetryMode: "OpenTelemetry" }, undefined],
    ["gets nothing where OpenTelemetry is off", { ...both, OTEL_SDK_DISABLED: "true" }, undefined],
    ["is written to by its key", both, { connectionString }],
    [
      "is written to by an identity",
      as("ClientId=abc;Authorization=AAD"),
      { connectionString, identity: { clientId: "abc" } },
    ],
    ["is written to by the app's own identity", as("Authorization=AAD"), { connectionString, identity: {} }],
    ["is written to by its key where no token is asked for", as("ClientId=abc"), { connectionString }],
  ])("%s", (_what, env, expected) => {
    expect(azureMonitorOf(env)).toEqual(expected);
  });
});

describe("the interval", () => {
  test.each([
    [undefined, 60_000],
    ["", 60_000],
    ["100", 100],
    ["3600000", 3_600_000],
  ])("is for %o %i ms", (value, ms) => {
    expect(intervalOf({ OTEL_METRIC_EXPORT_INTERVAL: value })).toBe(ms);
    expect(warnings).toEqual([]);
  });

  test.each(["-5", "0", "99", "3600001", "soon", "1e15", "Infinity"])(
    "is a minute for %s, and that is told",
    (value) => {
      expect(intervalOf({ OTEL_METRIC_EXPORT_INTERVAL: value })).toBe(60_000);
      expect(warnings).toEqual([
        expect.stringContaining("OTEL_METRIC_EXPORT_INTERVAL must be 100 to 3600000"),
      ]);
    },
  );
});
