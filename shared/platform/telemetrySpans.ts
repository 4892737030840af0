import { type Link, TraceFlags, trace } from "@opentelemetry/api";
import type { Sampler, SpanExporter } from "@opentelemetry/sdk-trace";
import { loadAzureMonitor } from "./azureMonitor.js";
import {
  EXPORT_MS,
  type Export,
  reportFailures,
  resourceOf,
  type Target,
  UNANSWERED,
} from "./telemetryExport.js";
import { delayOf, type Environment, samplingOf } from "./telemetrySettings.js";
import { hasTracers } from "./trace.js";

type Sdk = typeof import("@opentelemetry/sdk-trace");

/**
 * Makes spans and exports those that `OTEL_TRACES_SAMPLER` picks, together after `OTEL_BSP_SCHEDULE_DELAY` ms
 * at most, unless a provider is there already. More than the SDK's queue holds (2,048) are dropped.
 */
export async function exportSpans(target: Target): Promise<Export> {
  if ((!target.url && !target.azure) || hasTracers()) return undefined;
  const sdk = await import("@opentelemetry/sdk-trace");
  const scheduledDelayMillis = delayOf(target.env);
  const spanProcessors = (await exportersOf(target)).map((exporter) => {
    reportFailures("spans", exporter);
    return new sdk.BatchSpanProcessor({ exporter, scheduledDelayMillis, exportTimeoutMillis: EXPORT_MS });
  });
  const sampler = samplerOf(target.env, sdk);
  const provider = new sdk.TracerProvider({ resource: await resourceOf(target), spanProcessors, sampler });
  const end = () => provider.shutdown();
  if (trace.setGlobalTracerProvider(provider)) return end;
  await end();
  return undefined;
}

async function exportersOf({ url, azure }: Target): Promise<SpanExporter[]> {
  const exporters: SpanExporter[] = [];
  if (url) {
    const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
    exporters.push(new OTLPTraceExporter({ url, timeoutMillis: EXPORT_MS, concurrencyLimit: UNANSWERED }));
  }
  if (azure) exporters.push((await loadAzureMonitor(azure)).spans());
  return exporters;
}

/**
 * The sampler of the settings. A trace that begins with links, as that of a batch does, is recorded where one
 * of the traces that it links to is: so a message that is recorded is recorded to its end.
 */
function samplerOf(env: Environment, sdk: Sdk): Sampler {
  const { ratio, followsParent } = samplingOf(env);
  const byRatio = new sdk.TraceIdRatioBasedSampler(ratio);
  const decisionOf = (isRecorded: boolean) => ({
    decision: isRecorded ? sdk.SamplingDecision.RECORD_AND_SAMPLED : sdk.SamplingDecision.NOT_RECORD,
  });
  const root: Sampler = {
    shouldSample: (context, traceId, _name, _kind, _attributes, links) =>
      links.length > 0 ? decisionOf(links.some(isSampled)) : byRatio.shouldSample(context, traceId),
    toString: () => `LinkBased{${byRatio}}`,
  };
  return followsParent ? new sdk.ParentBasedSampler({ root }) : root;
}

const isSampled = ({ context: { traceFlags } }: Link): boolean => (traceFlags & TraceFlags.SAMPLED) !== 0;
