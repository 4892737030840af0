import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createNoopMeter, metrics } from "@opentelemetry/api";
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import { atMostEvery, log } from "./log.js";

const USUAL_INTERVAL_MS = 60_000;
const EXPORT_MS = 5_000;
/** Less than a host waits for us when it ends. */
const END_MS = 2_000;
/** Of requests that are under way at a time, so that a receiver that never answers holds no more than these. */
const UNANSWERED = 2;

type Environment = Readonly<Record<string, string | undefined>>;
type End = () => Promise<void>;

const nothing: End = async () => {};

/**
 * Has metrics exported by OTLP over HTTP where OpenTelemetry's own variables name a receiver (`OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`; every
 * `OTEL_METRIC_EXPORT_INTERVAL` ms). A provider that is registered already stays. Returns what exports the last counts and ends it, in 2 seconds at most. Nothing is loaded where
 * nothing is to be exported. Never rejects: metrics are not worth an app that doesn't start, so what is wrong is logged.
 */
export async function startTelemetry(env: Environment): Promise<End> {
  try {
    const url = receiverOf(env);
    if (!url || hasProvider()) return nothing;
    return await exportTo(url, env);
  } catch (error) {
    log.warn("metrics are not exported", { error });
    return nothing;
  }
}

async function exportTo(url: string, env: Environment): Promise<End> {
  const [sdk, { OTLPMetricExporter }, resources] = await Promise.all([
    import("@opentelemetry/sdk-metrics"),
    import("@opentelemetry/exporter-metrics-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  const exportIntervalMillis = intervalOf(env);
  const exportTimeoutMillis = Math.min(EXPORT_MS, exportIntervalMillis);
  const exporter = new OTLPMetricExporter({
    url,
    timeoutMillis: exportTimeoutMillis,
    concurrencyLimit: UNANSWERED,
  });
  const resource = resources
    .resourceFromAttributes({
      "service.name": env["OTEL_SERVICE_NAME"] || "nonstop-chat",
      // Tells the series of processes apart: without it a backend takes their sums for one that jumps about.
      "service.instance.id": randomUUID(),
    })
    // What OTEL_RESOURCE_ATTRIBUTES of this process says wins.
    .merge(resources.detectResources({ detectors: [resources.envDetector] }));
  const reader = new sdk.PeriodicExportingMetricReader({
    exporter: reportingFailures(exporter),
    exportIntervalMillis,
    exportTimeoutMillis,
  });
  const provider = new sdk.MeterProvider({ resource, readers: [reader] });
  const end: End = async () => {
    // A receiver that is away must not keep anything from ending.
    const ended = provider.shutdown().catch(() => {});
    await Promise.race([ended, sleep(END_MS, undefined, { ref: false })]);
  };
  if (metrics.setGlobalMeterProvider(provider)) return end;
  await end();
  return nothing;
}

/** Whether somebody has registered an SDK. */
function hasProvider(): boolean {
  return metrics.getMeter("nonstop-chat") !== createNoopMeter();
}

/** Where metrics go, undefined for nowhere; throws, naming the variable, where it is no address. */
function receiverOf(env: Environment): string | undefined {
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true" || env["OTEL_METRICS_EXPORTER"] === "none")
    return undefined;
  const own = env["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"];
  if (own) return httpUrl("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", own);
  const base = env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  if (!base) return undefined;
  return `${httpUrl("OTEL_EXPORTER_OTLP_ENDPOINT", base).replace(/\/$/, "")}/v1/metrics`;
}

// The value stays out of the message: it may hold a password.
function httpUrl(name: string, value: string): string {
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
    throw new Error(`${name} is no http or https address: set it to one like http://localhost:4318`);
  return new URL(value).href;
}

/** Milliseconds between two exports. */
function intervalOf(env: Environment): number {
  const value = env["OTEL_METRIC_EXPORT_INTERVAL"];
  if (!value) return USUAL_INTERVAL_MS;
  const ms = Number(value);
  // More than a timer can hold would count as 1.
  if (ms >= 100 && ms <= 3_600_000) return ms;
  log.warn(`OTEL_METRIC_EXPORT_INTERVAL must be 100 to 3600000 milliseconds: ${USUAL_INTERVAL_MS} is used`);
  return USUAL_INTERVAL_MS;
}

/** The same exporter, which besides logs its failures, once a minute at most: the SDK tells them only its own diagnostics, which are somebody else's to set. */
function reportingFailures<T extends PushMetricExporter>(exporter: T): T {
  const limited = atMostEvery(60_000);
  const send = exporter.export.bind(exporter);
  exporter.export = (data, done) =>
    send(data, (result) => {
      const { error } = result;
      if (error) limited((suppressed) => log.warn("metrics could not be exported", { error, suppressed }));
      done(result);
    });
  return exporter;
}
