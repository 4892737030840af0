import { createRequire } from "node:module";
import { metrics } from "@opentelemetry/api";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { freePort } from "../../local/ports.js";
import { type OtlpReceiver, startOtlpReceiver } from "../../tests/support/otlpReceiver.js";
import { startTelemetry } from "./telemetry.js";

let receiver: OtlpReceiver;
let warnings: Record<string, unknown>[];

beforeEach(async () => {
  receiver = await startOtlpReceiver();
  warnings = [];
  vi.spyOn(console, "warn").mockImplementation((line: string) => void warnings.push(JSON.parse(line)));
});
afterEach(async () => {
  metrics.disable();
  await receiver.close();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const addOne = (): void => metrics.getMeter("test").createCounter("things").add(1);

const sdkIsLoaded = (): boolean =>
  Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes("sdk-metrics"));

// First, since what was loaded once stays loaded.
test.each([
  {},
  { OTEL_EXPORTER_OTLP_ENDPOINT: "" },
  { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318", OTEL_SDK_DISABLED: "true" },
  { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318", OTEL_METRICS_EXPORTER: "none" },
])("nothing is loaded or registered with %o", async (env) => {
  const end = await startTelemetry(env);
  expect(sdkIsLoaded()).toBe(false);
  await end();
  expect(warnings).toEqual([]);
});

describe("with a receiver", () => {
  test("what was counted is exported again and again, and the last of it at the end", async () => {
    const end = await startTelemetry({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_METRIC_EXPORT_INTERVAL: "100",
    });
    expect(sdkIsLoaded()).toBe(true);
    const counter = metrics.getMeter("test").createCounter("things");
    counter.add(1);
    await expect.poll(() => receiver.value("things")).toBe(1);
    counter.add(2);
    await expect.poll(() => receiver.value("things")).toBe(3);
    counter.add(3);
    await end();
    // The end waits a moment only, which may be too short on a busy machine: the request is under way.
    await expect.poll(() => receiver.value("things")).toBe(6);
  });

  test("each process says which it is, so that their sums add up", async () => {
    vi.stubEnv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    for (const OTEL_SERVICE_NAME of [undefined, "other"]) {
      const end = await startTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_SERVICE_NAME });
      addOne();
      await end();
      metrics.disable();
    }
    await expect.poll(() => receiver.resources.length).toBe(2);
    expect(receiver.resources).toMatchObject([
      { "service.name": "nonstop-chat", "deployment.environment.name": "test" },
      { "service.name": "other" },
    ]);
    const [one, other] = receiver.resources.map((attributes) => attributes["service.instance.id"]);
    expect(one).toMatch(/^[0-9a-f-]{36}$/);
    expect(other).not.toBe(one);
    // Not where exports end after 100 ms: on a busy machine that is too short, which is told.
    expect(warnings).toEqual([]);
  });

  test("a provider that is registered already stays, and nothing is sent", async () => {
    const { MeterProvider } = await import("@opentelemetry/sdk-metrics");
    const theirs = new MeterProvider();
    metrics.setGlobalMeterProvider(theirs);
    const end = await startTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    expect(metrics.getMeterProvider()).toBe(theirs);
    await end();
    expect(receiver.requests).toBe(0);
    await theirs.shutdown();
  });
});

test("a setting that can't be used is told once, and stops nothing", async () => {
  const end = await startTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" });
  addOne();
  await end();
  expect(warnings).toMatchObject([
    {
      message: "metrics are not exported",
      error: { message: expect.stringContaining("OTEL_EXPORTER_OTLP_ENDPOINT is no http") },
    },
  ]);
});

describe("a receiver that takes nothing", () => {
  test("is warned of once over many exports, and what was counted arrives when it takes it again", async () => {
    receiver.answer = 503;
    const end = await startTelemetry({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_METRIC_EXPORT_INTERVAL: "100",
    });
    addOne();
    await expect.poll(() => receiver.requests >= 5 && warnings.length > 0).toBe(true);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ message: "metrics could not be exported", suppressed: 0 });
    receiver.answer = 200;
    await expect.poll(() => receiver.value("things")).toBe(1);
    await end();
  });

  test("and never answers keeps nothing from ending", async () => {
    receiver.answer = "nothing";
    const end = await startTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }, { endMs: 20 });
    addOne();
    await end();
    await expect.poll(() => receiver.requests).toBe(1);
  });

  test("and isn't there is told once", async () => {
    const end = await startTelemetry({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
      OTEL_METRIC_EXPORT_INTERVAL: "100",
    });
    addOne();
    await expect.poll(() => warnings.length > 0).toBe(true);
    await end();
    expect(warnings).toMatchObject([{ error: { code: "ECONNREFUSED" } }]);
  });
});
