import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "./log.js";
import { startMeasuring } from "./measures.js";
import type { End, Export } from "./telemetryExport.js";
import { exportMetrics } from "./telemetryMetrics.js";
import { azureMonitorOf, type Environment, receiverOf } from "./telemetrySettings.js";
import { exportSpans } from "./telemetrySpans.js";
import { keepContexts } from "./traceContext.js";

/** Less than a host waits for this process when the host ends. */
const END_MS = 2_000;

/**
 * Has metrics and spans exported by OTLP over HTTP where OpenTelemetry's own variables name a receiver
 * (`OTEL_EXPORTER_OTLP_ENDPOINT`, or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` and
 * `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`), and to Application Insights where the Functions host's settings name
 * it. A provider that is registered already stays. Returns the function that exports the last of them and
 * ends the export, within `endMs`. Loads nothing where nothing is to be exported. Never rejects: an app starts
 * also without telemetry, so what is wrong is logged.
 */
export async function startTelemetry(env: Environment, { endMs = END_MS } = {}): Promise<End> {
  keepContexts();
  // Tells the series of processes apart. Without it a backend takes the sums of all for one that jumps about.
  const instance = randomUUID();
  const said = new Set<string>();
  const began = async (what: string, begin: () => Promise<Export>): Promise<Export> => {
    try {
      return await begin();
    } catch (error) {
      // Both of them read most settings.
      const text = String(error);
      if (!said.has(text)) log.warn(`${what} are not exported`, { error });
      said.add(text);
      return undefined;
    }
  };
  const azure = azureMonitorOf(env);
  const exports = await Promise.all([
    began("metrics", async () => exportMetrics({ url: receiverOf(env), azure, env, instance })),
    began("spans", async () => exportSpans({ url: receiverOf(env, "TRACES"), azure, env, instance })),
  ]);
  startMeasuring();
  return async () => {
    // A receiver that is away must not keep the process from ending.
    const ended = Promise.allSettled(exports.map((one) => one?.()));
    await Promise.race([ended, sleep(endMs, undefined, { ref: false })]);
  };
}
