import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { intervalOf, receiverOf } from "./telemetrySettings.js";

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
