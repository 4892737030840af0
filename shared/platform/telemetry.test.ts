import { createServer, type Server } from "node:https";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { context, metrics, SpanKind, trace } from "@opentelemetry/api";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { freePort } from "../../local/ports.js";
import { makeAuthority } from "../../tests/support/certificates.js";
import { type OtlpReceiver, startOtlpReceiver } from "../../tests/support/otlpReceiver.js";
import { measure } from "./measures.js";
import { startTelemetry } from "./telemetry.js";
import { inSpan, linksTo } from "./trace.js";

let receiver: OtlpReceiver;
let warnings: Record<string, unknown>[];

beforeEach(async () => {
  receiver = await startOtlpReceiver();
  warnings = [];
  vi.spyOn(console, "warn").mockImplementation((line: string) => void warnings.push(JSON.parse(line)));
});
afterEach(async () => {
  metrics.disable();
  trace.disable();
  context.disable();
  await receiver.close();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const addOne = (): void => metrics.getMeter("test").createCounter("things").add(1);

const sdkIsLoaded = (): boolean =>
  Object.keys(createRequire(import.meta.url).cache).some((file) =>
    /sdk-(metrics|trace)|exporter-|monitor-opentelemetry/.test(file),
  );

// First, since what was loaded once stays loaded.
test.each([
  {},
  { OTEL_EXPORTER_OTLP_ENDPOINT: "" },
  { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318", OTEL_SDK_DISABLED: "true" },
  {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318",
    OTEL_METRICS_EXPORTER: "none",
    OTEL_TRACES_EXPORTER: "none",
  },
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

  test("a gauge tells what is, and repeats nothing that another instance may tell now", async () => {
    const end = await startTelemetry({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_METRIC_EXPORT_INTERVAL: "100",
    });
    const lag = (partition: string) => receiver.hasNow("chat.lag.events", { hub: "h", partition });
    const found = (partitionId: string) =>
      measure.lag([{ hub: "h", partitionId, events: 3, ageSeconds: 1.5 }]);
    found("0");
    await expect.poll(() => lag("0")).toBe(true);
    found("1");
    await expect.poll(() => lag("1") && !lag("0")).toBe(true);
    await end();
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

describe("spans", () => {
  const settings = () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: "100" });
  const named = (name: string) => receiver.spans.filter((span) => span.name === name);
  const one = (name: string, parent?: string) =>
    inSpan(
      () => ({ name, kind: SpanKind.SERVER, parent }),
      async () => {},
    );

  test("are exported while all goes on, and the last of them at the end", async () => {
    const end = await startTelemetry(settings());
    await one("first");
    await expect.poll(() => named("first").length).toBe(1);
    await one("last");
    await end();
    await expect.poll(() => named("last").length).toBe(1);
    expect(named("first")).toMatchObject([{ kind: 2, status: {} }]);
  });

  test("of a provider that is registered already stay its own", async () => {
    const { TracerProvider } = await import("@opentelemetry/sdk-trace");
    const theirs = new TracerProvider();
    trace.setGlobalTracerProvider(theirs);
    const end = await startTelemetry(settings());
    await one("theirs");
    await end();
    expect(named("theirs")).toEqual([]);
    await theirs.shutdown();
  });

  test("that nobody takes are told of once, and stop nothing", async () => {
    receiver.answer = 400;
    const end = await startTelemetry({ ...settings(), OTEL_METRICS_EXPORTER: "none" });
    for (let times = 0; times < 5; times += 1) {
      await one("lost");
      const { requests } = receiver;
      await expect.poll(() => receiver.requests).toBeGreaterThan(requests);
    }
    await end();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ message: "spans could not be exported" });
  });

  test("follow what callers and the messages of a batch say, whatever the ratio", async () => {
    const end = await startTelemetry({
      ...settings(),
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0",
    });
    const of = (flags: string) => `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`;
    const batch = (name: string, ...traceparents: readonly string[]) =>
      inSpan(
        () => ({ name, links: linksTo(traceparents.map((traceparent) => ({ traceparent }))) }),
        async () => {},
      );
    await one("own");
    await one("unsampled caller", of("00"));
    await batch("unsampled batch", of("00"));
    await batch("mixed batch", of("00"), of("01"));
    await one("sampled caller", of("01"));
    await end();
    await expect
      .poll(() => receiver.spans.map(({ name }) => name))
      .toEqual(["mixed batch", "sampled caller"]);
  });
});

describe("Application Insights", () => {
  let server: Server;
  const items: { name: string; data: { baseType: string; baseData: Record<string, unknown> } }[] = [];
  const received = (type: string) =>
    items.filter(({ data }) => data.baseType === type).map(({ data }) => data.baseData);

  beforeEach(async () => {
    items.length = 0;
    const authority = await makeAuthority();
    authority.close();
    server = createServer(await authority.certify("127.0.0.1"), async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const got: unknown[] = JSON.parse(Buffer.concat(chunks).toString());
      items.push(...(got as typeof items));
      const body = { itemsReceived: got.length, itemsAccepted: got.length, errors: [] };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  test("gets spans and metrics where the host speaks OpenTelemetry", async () => {
    vi.stubEnv("APPLICATION_INSIGHTS_NO_STATSBEAT", "true");
    // The exporter sends by HTTPS alone, and no system knows the authority.
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const end = await startTelemetry({
      AzureFunctionsJobHost__telemetryMode: "OpenTelemetry",
      APPLICATIONINSIGHTS_CONNECTION_STRING: `InstrumentationKey=11111111-2222-3333-4444-555555555555;IngestionEndpoint=${endpoint}`,
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_METRIC_EXPORT_INTERVAL: "100",
    });
    addOne();
    const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await inSpan(
      () => ({ name: "SEND /pub/chat/message", kind: SpanKind.SERVER, parent }),
      () =>
        inSpan(
          () => ({ name: "send chat-messages", kind: SpanKind.PRODUCER }),
          async () => {},
        ),
    );
    await expect.poll(() => received("RequestData").length).toBe(1);
    expect(received("RequestData")).toMatchObject([{ name: "SEND /pub/chat/message" }]);
    expect(received("RemoteDependencyData")).toMatchObject([{ name: "send chat-messages" }]);
    await expect
      .poll(() => received("MetricData").flatMap(({ metrics: all }) => all))
      .toContainEqual(expect.objectContaining({ name: "things", value: 1 }));
    await end();
    expect(JSON.stringify(items)).toContain("0af7651916cd43dd8448eb211c80319c");
    expect(warnings).toEqual([]);
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
