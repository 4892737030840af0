import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createNoopMeter, metrics } from "@opentelemetry/api";
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import { atMostEvery, log } from "./log.js";
import { type Environment, intervalOf, receiverOf } from "./telemetrySettings.js";

const EXPORT_MS = 5_000;
/** Less than a host waits for this process when the host ends. */
const END_MS = 2_000;
/** The most requests under way at a time: a receiver that never answers holds no more. */
const UNANSWERED = 2;

type End = () => Promise<void>;

const nothing: End = async () => {};

/**
 * Has metrics exported by OTLP over HTTP where OpenTelemetry's own variables name a receiver
 * (`OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`), every
 * `OTEL_METRIC_EXPORT_INTERVAL` ms. A provider that is registered already stays. Returns the function that
 * exports the last counts and ends the export, within `endMs`. Loads nothing where nothing is to be exported.
 * Never rejects: an app starts also without metrics, so what is wrong is logged.
 */
export async function startTelemetry(env: Environment, { endMs = END_MS } = {}): Promise<End> {
  try {
    const url = receiverOf(env);
    if (!url || hasProvider()) return nothing;
    return await exportTo(url, env, endMs);
  } catch (error) {
    log.warn("metrics are not exported", { error });
    return nothing;
  }
}

async function exportTo(url: string, env: Environment, endMs: number): Promise<End> {
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
      // Tells the series of processes apart. Without it a backend takes the sums of all for one that jumps
      // about.
      "service.instance.id": randomUUID(),
    })
    // OTEL_RESOURCE_ATTRIBUTES of this process wins.
    .merge(resources.detectResources({ detectors: [resources.envDetector] }));
  const reader = new sdk.PeriodicExportingMetricReader({
    exporter: reportingFailures(exporter),
    exportIntervalMillis,
    exportTimeoutMillis,
  });
  const provider = new sdk.MeterProvider({ resource, readers: [reader] });
  const end: End = async () => {
    // A receiver that is away must not keep the process from ending.
    const ended = provider.shutdown().catch(() => {});
    await Promise.race([ended, sleep(endMs, undefined, { ref: false })]);
  };
  if (metrics.setGlobalMeterProvider(provider)) return end;
  await end();
  return nothing;
}

/** Whether an SDK is registered. */
function hasProvider(): boolean {
  return metrics.getMeter("nonstop-chat") !== createNoopMeter();
}

/**
 * The same exporter, which also logs its failures, once a minute at most. The SDK tells them only its own
 * diagnostics, and where those go is for the app to say.
 */
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
