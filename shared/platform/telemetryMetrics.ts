import { metrics } from "@opentelemetry/api";
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import { loadAzureMonitor } from "./azureMonitor.js";
import { hasMeters } from "./instruments.js";
import {
  EXPORT_MS,
  type Export,
  reportFailures,
  resourceOf,
  type Target,
  UNANSWERED,
} from "./telemetryExport.js";
import { intervalOf } from "./telemetrySettings.js";

/** Exports metrics every `OTEL_METRIC_EXPORT_INTERVAL` ms, unless a provider is there already. */
export async function exportMetrics(target: Target): Promise<Export> {
  if ((!target.url && !target.azure) || hasMeters()) return undefined;
  const sdk = await import("@opentelemetry/sdk-metrics");
  const exportIntervalMillis = intervalOf(target.env);
  const exportTimeoutMillis = Math.min(EXPORT_MS, exportIntervalMillis);
  const exporters = await exportersOf(target, exportTimeoutMillis);
  const readers = exporters.map((exporter) => {
    reportFailures("metrics", exporter);
    tellOnlyWhatIs(exporter, sdk);
    return new sdk.PeriodicExportingMetricReader({ exporter, exportIntervalMillis, exportTimeoutMillis });
  });
  const provider = new sdk.MeterProvider({ resource: await resourceOf(target), readers });
  const end = () => provider.shutdown();
  if (metrics.setGlobalMeterProvider(provider)) return end;
  await end();
  return undefined;
}

async function exportersOf({ url, azure }: Target, timeoutMillis: number): Promise<PushMetricExporter[]> {
  const exporters: PushMetricExporter[] = [];
  if (url) {
    const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-http");
    exporters.push(new OTLPMetricExporter({ url, timeoutMillis, concurrencyLimit: UNANSWERED }));
  }
  if (azure) exporters.push((await loadAzureMonitor(azure)).metrics());
  return exporters;
}

/**
 * Of a gauge only what was observed for this export goes out. As cumulative ones the SDK would repeat the last
 * value of each series for ever, also after another instance has taken over.
 */
function tellOnlyWhatIs(
  exporter: PushMetricExporter,
  { AggregationTemporality, InstrumentType }: typeof import("@opentelemetry/sdk-metrics"),
): void {
  const usual = exporter.selectAggregationTemporality?.bind(exporter);
  exporter.selectAggregationTemporality = (type) =>
    type === InstrumentType.OBSERVABLE_GAUGE
      ? AggregationTemporality.DELTA
      : (usual?.(type) ?? AggregationTemporality.CUMULATIVE);
}
