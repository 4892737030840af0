import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import { createCredential } from "./credential.js";
import type { AzureMonitor } from "./telemetrySettings.js";

/** What sends to Application Insights. */
interface AzureExporters {
  spans(): SpanExporter;
  metrics(): PushMetricExporter;
}

/** Loads the exporters of Application Insights. */
export async function loadAzureMonitor({
  connectionString,
  identity,
}: AzureMonitor): Promise<AzureExporters> {
  const monitor = await import("@azure/monitor-opentelemetry-exporter");
  const options = {
    connectionString,
    // An instance's disk goes with it, so nothing is kept there for later.
    disableOfflineStorage: true,
    ...(identity && { credential: createCredential(identity.clientId) }),
  };
  return {
    spans: () => new monitor.AzureMonitorTraceExporter(options),
    metrics: () => new monitor.AzureMonitorMetricExporter(options),
  };
}
