import { log } from "./log.js";

const USUAL_INTERVAL_MS = 60_000;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The address that metrics go to; `undefined` for none. Throws, naming the variable, where it is no address.
 */
export function receiverOf(env: Environment): string | undefined {
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true" || env["OTEL_METRICS_EXPORTER"] === "none")
    return undefined;
  const own = env["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"];
  if (own) return httpUrl("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", own);
  const base = env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  if (!base) return undefined;
  return `${httpUrl("OTEL_EXPORTER_OTLP_ENDPOINT", base).replace(/\/$/, "")}/v1/metrics`;
}

/** The value stays out of the message, as it may hold a password. */
function httpUrl(name: string, value: string): string {
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
    throw new Error(`${name} is no http or https address: set it to one like http://localhost:4318`);
  return new URL(value).href;
}

/** Milliseconds between two exports. A value that can't be used is told of in the log. */
export function intervalOf(env: Environment): number {
  const value = env["OTEL_METRIC_EXPORT_INTERVAL"];
  if (!value) return USUAL_INTERVAL_MS;
  const ms = Number(value);
  // A timer takes more than it can hold for 1 ms.
  if (ms >= 100 && ms <= 3_600_000) return ms;
  log.warn(`OTEL_METRIC_EXPORT_INTERVAL must be 100 to 3600000 milliseconds: ${USUAL_INTERVAL_MS} is used`);
  return USUAL_INTERVAL_MS;
}
