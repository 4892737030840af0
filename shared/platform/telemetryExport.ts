import type { Resource } from "@opentelemetry/resources";
import { atMostEvery, log } from "./log.js";
import type { AzureMonitor, Environment } from "./telemetrySettings.js";
import { detached } from "./trace.js";

export const EXPORT_MS = 5_000;
/** The most requests under way at a time: a receiver that never answers holds no more. */
export const UNANSWERED = 2;

export type End = () => Promise<void>;

/** What ends an export, after its last. Nothing where nothing is exported. */
export type Export = End | undefined;

/** Where something is exported to, and by whom. */
export interface Target {
  /** Of an OTLP receiver. */
  readonly url: string | undefined;
  readonly azure: AzureMonitor | undefined;
  readonly env: Environment;
  /** Of this process alone. */
  readonly instance: string;
}

/** What all that this process exports is said to come from. */
export async function resourceOf({ env, instance }: Target): Promise<Resource> {
  const { detectResources, envDetector, resourceFromAttributes } = await import("@opentelemetry/resources");
  return (
    resourceFromAttributes({
      "service.name": env["OTEL_SERVICE_NAME"] || "nonstop-chat",
      "service.instance.id": instance,
    })
      // OTEL_RESOURCE_ATTRIBUTES of this process wins.
      .merge(detectResources({ detectors: [envDetector] }))
  );
}

interface Result {
  readonly error?: Error;
}

interface Exporter<Data> {
  export(data: Data, done: (result: Result) => void): void;
}

/**
 * Has an exporter log its failures, once a minute at most. The SDK tells them only its own diagnostics, and
 * where those go is for the app to say.
 */
export function reportFailures<Data>(what: string, exporter: Exporter<Data>): void {
  const limited = atMostEvery(60_000);
  const send = exporter.export.bind(exporter);
  exporter.export = (data, done) =>
    detached(() =>
      send(data, (result) => {
        const { error } = result;
        if (error) limited((suppressed) => log.warn(`${what} could not be exported`, { error, suppressed }));
        done(result);
      }),
    );
}
