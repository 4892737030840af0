import { DiagLogLevel, diag, metrics } from "@opentelemetry/api";
import { atMostEvery, log } from "./log.js";

const USUAL_INTERVAL_MS = 60_000;
const EXPORT_MS = 5_000;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Has metrics exported by OTLP over HTTP where OpenTelemetry's own variables name a receiver (`OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`; every
 * `OTEL_METRIC_EXPORT_INTERVAL` ms). A provider that is registered already stays. Returns what exports the last counts and ends it. Nothing is loaded where nothing is to be exported.
 */
export async function startTelemetry(env: Environment): Promise<() => Promise<void>> {
  if (!env["OTEL_EXPORTER_OTLP_ENDPOINT"] && !env["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"])
    return async () => {};
  const [sdk, { OTLPMetricExporter }, { resourceFromAttributes }] = await Promise.all([
    import("@opentelemetry/sdk-metrics"),
    import("@opentelemetry/exporter-metrics-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  const exportIntervalMillis = Number(env["OTEL_METRIC_EXPORT_INTERVAL"]) || USUAL_INTERVAL_MS;
  const provider = new sdk.MeterProvider({
    resource: resourceFromAttributes({ "service.name": env["OTEL_SERVICE_NAME"] || "nonstop-chat" }),
    readers: [
      new sdk.PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter({ timeoutMillis: EXPORT_MS }),
        exportIntervalMillis,
        exportTimeoutMillis: Math.min(EXPORT_MS, exportIntervalMillis),
      }),
    ],
  });
  if (!metrics.setGlobalMeterProvider(provider)) {
    await provider.shutdown();
    return async () => {};
  }
  reportFailures();
  // A receiver that is away must not keep anything from ending.
  return () => provider.shutdown().catch(() => {});
}

/** What the SDK can't do goes to its diagnostics, which nobody hears of if nobody listens. */
function reportFailures(): void {
  const limited = atMostEvery(60_000);
  const silent = (): void => {};
  const error = (message: string): void =>
    limited((left) => log.warn("metrics could not be exported", { why: message, left }));
  const logger = { error, warn: silent, info: silent, debug: silent, verbose: silent };
  diag.setLogger(logger, { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true });
}
