import { log } from "./log.js";

const USUAL_INTERVAL_MS = 60_000;
const USUAL_DELAY_MS = 5_000;

export type Environment = Readonly<Record<string, string | undefined>>;

type Signal = "METRICS" | "TRACES";

const isOff = (env: Environment): boolean => env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true";

/**
 * The address that metrics, or spans, go to; `undefined` for none. Throws, naming the variable, where it is
 * no address.
 */
export function receiverOf(env: Environment, signal: Signal = "METRICS"): string | undefined {
  if (isOff(env) || env[`OTEL_${signal}_EXPORTER`] === "none") return undefined;
  const name = `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`;
  const own = env[name];
  if (own) return httpUrl(name, own);
  const base = env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  if (!base) return undefined;
  return `${httpUrl("OTEL_EXPORTER_OTLP_ENDPOINT", base).replace(/\/$/, "")}/v1/${signal.toLowerCase()}`;
}

/** The value stays out of the message, as it may hold a password. */
function httpUrl(name: string, value: string): string {
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
    throw new Error(`${name} is no http or https address: set it to one like http://localhost:4318`);
  return new URL(value).href;
}

/** Milliseconds between two exports of metrics. A value that can't be used is told of in the log. */
export const intervalOf = (env: Environment): number =>
  millisecondsOf(env, "OTEL_METRIC_EXPORT_INTERVAL", USUAL_INTERVAL_MS);

/** The longest that a span waits for others, in milliseconds. */
export const delayOf = (env: Environment): number =>
  millisecondsOf(env, "OTEL_BSP_SCHEDULE_DELAY", USUAL_DELAY_MS);

function millisecondsOf(env: Environment, name: string, usual: number): number {
  const value = env[name];
  if (!value) return usual;
  const ms = Number(value);
  // A timer takes more than it can hold for 1 ms.
  if (ms >= 100 && ms <= 3_600_000) return ms;
  log.warn(`${name} must be 100 to 3600000 milliseconds: ${usual} is used`);
  return usual;
}

/** Which traces are recorded. */
export interface Sampling {
  /** Of the traces that begin here. */
  readonly ratio: number;
  /** Whether a trace that a caller has begun is recorded as the caller says. */
  readonly followsParent: boolean;
}

const ALL: Sampling = { ratio: 1, followsParent: true };

/**
 * What OpenTelemetry's `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say; all traces where they say
 * nothing. A value that can't be used is told of in the log.
 */
export function samplingOf(env: Environment): Sampling {
  const name = env["OTEL_TRACES_SAMPLER"];
  if (!name) return ALL;
  const [, parent, kind] = /^(parentbased_)?(always_on|always_off|traceidratio)$/.exec(name) ?? [];
  const ratio = kind === "traceidratio" ? ratioOf(env) : kind === "always_off" ? 0 : 1;
  if (kind !== undefined && ratio !== undefined) return { ratio, followsParent: parent !== undefined };
  log.warn(
    kind === undefined
      ? "OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio, or one of them behind parentbased_: all traces are recorded"
      : "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1: all traces are recorded",
  );
  return ALL;
}

function ratioOf(env: Environment): number | undefined {
  const value = env["OTEL_TRACES_SAMPLER_ARG"];
  if (!value) return 1;
  const ratio = Number(value);
  return ratio >= 0 && ratio <= 1 ? ratio : undefined;
}

/** Application Insights, and the identity that may write to it. */
export interface AzureMonitor {
  readonly connectionString: string;
  /** Without one the connection string's key counts. An empty client id is the system-assigned identity. */
  readonly identity?: { readonly clientId: string | undefined };
}

/**
 * Where the Functions host itself speaks OpenTelemetry (`telemetryMode`), this process sends its spans and
 * metrics to the same Application Insights resource, as the host's settings name it. `undefined` elsewhere.
 */
export function azureMonitorOf(env: Environment): AzureMonitor | undefined {
  const connectionString = env["APPLICATIONINSIGHTS_CONNECTION_STRING"];
  const mode = env["AzureFunctionsJobHost__telemetryMode"]?.toLowerCase();
  if (!connectionString || mode !== "opentelemetry" || isOff(env)) return undefined;
  const authentication = new Map(
    (env["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] ?? "").split(";").map((part) => {
      const [name = "", value = ""] = part.split("=").map((text) => text.trim());
      return [name.toLowerCase(), value];
    }),
  );
  if (authentication.get("authorization")?.toLowerCase() !== "aad") return { connectionString };
  return { connectionString, identity: { clientId: authentication.get("clientid") || undefined } };
}
