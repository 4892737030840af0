import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Cors } from "./cors.js";
import { isObject, type Json, type Reader, reader, readJson } from "./hostJson.js";
import { type KafkaSettings, readKafkaSettings } from "./kafkaSettings.js";
import { type Level, parseLevel } from "./log.js";

/** The settings of host.json that this host follows; times in milliseconds. */
export interface HostSettings {
  readonly routePrefix: string;
  /** `undefined`: no limit. */
  readonly functionTimeout: number | undefined;
  readonly logLevel: Level;
  readonly eventHubs: EventHubSettings;
  readonly kafka: KafkaSettings;
  readonly leases: LeaseSettings;
}

/** The lease that a timer runs under; times in milliseconds. */
export interface LeaseSettings {
  /** How long the lease lasts unless it is renewed. */
  readonly period: number;
  /** How often a host without the lease asks for it. */
  readonly pollingInterval: number;
}

export interface EventHubSettings {
  readonly maxEventBatchSize: number;
  readonly minEventBatchSize: number;
  readonly maxWaitTime: number;
  readonly prefetchCount: number;
  readonly batchCheckpointFrequency: number;
  readonly initialOffset: "fromStart" | "fromEnd" | { readonly enqueuedOn: Date };
}

/**
 * Reads `host.json` below `app`. Environment variables `AzureFunctionsJobHost__a__b` win over its `a.b`, as
 * in Azure. Throws an error that names the file and the setting when something in it is wrong.
 */
export function readHostSettings(app: string, env: NodeJS.ProcessEnv): HostSettings {
  const file = join(app, "host.json");
  const root = existsSync(file) ? readJson(file) : {};
  applyOverrides(root, env);
  const read = reader(root, file);
  const level = read.text("logging.logLevel.default", "Information");
  const hub = "extensions.eventHubs";
  return {
    routePrefix: read.text("extensions.http.routePrefix", "api"),
    functionTimeout: read.duration("functionTimeout", 30 * 60_000),
    logLevel: parseLevel(level) ?? read.fail("logging.logLevel.default", level, "a level like Information"),
    eventHubs: {
      maxEventBatchSize: read.count(`${hub}.maxEventBatchSize`, 100, 1),
      minEventBatchSize: read.count(`${hub}.minEventBatchSize`, 1, 1),
      maxWaitTime: read.duration(`${hub}.maxWaitTime`, 60_000) ?? 60_000,
      prefetchCount: read.count(`${hub}.prefetchCount`, 300, 1),
      batchCheckpointFrequency: read.count(`${hub}.batchCheckpointFrequency`, 1, 1),
      initialOffset: readInitialOffset(read, `${hub}.initialOffsetOptions`),
    },
    kafka: readKafkaSettings(read),
    leases: {
      period: leaseTime(read, "singleton.listenerLockPeriod", 60_000),
      pollingInterval: leaseTime(
        read,
        "singleton.listenerLockRecoveryPollingInterval",
        Number.MAX_SAFE_INTEGER,
      ),
    },
  };
}

/**
 * Puts the app's settings into `env` where it has none of that name: the `Values` of `file`, or else of
 * `local.settings.json` or `local.settings.example.json` below `app`. Returns the file that was read,
 * `undefined` when there is none.
 */
export function applyAppSettings(app: string, env: NodeJS.ProcessEnv, file?: string): string | undefined {
  const chosen = file ?? findSettingsFile(app);
  if (chosen === undefined) return undefined;
  if (!existsSync(chosen)) throw new Error(`${chosen} does not exist: name an existing settings file`);
  const { IsEncrypted, Values } = readJson(chosen);
  if (IsEncrypted === true)
    throw new Error(
      `${chosen} is encrypted: decrypt it with "func settings decrypt", or set IsEncrypted to false`,
    );
  if (Values !== undefined && !isObject(Values))
    throw new Error(`${chosen}: "Values" must be an object of names and strings`);
  for (const [name, value] of Object.entries(Values ?? {})) {
    if (typeof value === "object")
      throw new Error(`${chosen}: the value of "${name}" must be a string, a number or a boolean`);
    env[name] ??= String(value);
  }
  return chosen;
}

/**
 * The functions that the setting `AzureWebJobs.NAME.Disabled`, or `AzureWebJobs_NAME_Disabled`, switches off
 * by `true` or `1`, all in any letter case.
 */
export function disabledOf(names: readonly string[], env: NodeJS.ProcessEnv): string[] {
  const on = Object.entries(env).filter(([, value]) => /^(true|1)$/i.test(value ?? ""));
  const set = new Set(on.map(([name]) => name.toLowerCase()));
  return names.filter((name) =>
    [".", "_"].some((dot) => set.has(`azurewebjobs${dot}${name}${dot}disabled`.toLowerCase())),
  );
}

/** The environment's settings for HTTP: the largest request body in bytes, and whether `/` is a page. */
export function httpSettings(env: NodeJS.ProcessEnv): { maxBody: number; homePage: boolean } {
  const limit = env["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] ?? "";
  return {
    maxBody: /^\d+$/.test(limit) ? Number(limit) : 100 * 1024 * 1024,
    homePage: !/^true$/i.test(env["AzureWebJobsDisableHomepage"] ?? ""),
  };
}

/**
 * The file of app settings below `app` that counts when the caller names none. `undefined` when there is
 * none.
 */
export function findSettingsFile(app: string): string | undefined {
  const candidates = ["local.settings.json", "local.settings.example.json"].map((name) => join(app, name));
  return candidates.find((candidate) => existsSync(candidate));
}

/**
 * The pages that may call the app: `Host.CORS`, origins separated by commas, and `Host.CORSCredentials` of
 * the settings file, in any letter case, as Azure Functions Core Tools reads them. `flag` (`--cors`) counts
 * instead of `Host.CORS`. `undefined` when neither is there. Throws when an origin is not valid.
 */
export function readCors(file: string | undefined, flag?: string): Cors | undefined {
  const host = (file === undefined ? undefined : anyCase(readJson(file), "Host")) ?? {};
  if (!isObject(host)) throw new Error(`${file}: "Host" must be an object`);
  const where = flag === undefined ? `${file}: "CORS"` : "--cors";
  const text = flag ?? anyCase(host, "CORS") ?? "";
  if (typeof text !== "string") throw new Error(`${where} must be origins separated by commas, or "*"`);
  const credentials = anyCase(host, "CORSCredentials") ?? false;
  if (typeof credentials !== "boolean") throw new Error(`${file}: "CORSCredentials" must be true or false`);
  // An origin in the form in which browsers send it.
  const written = text.split(",").map((one) => one.trim().replace(/\/$/, "").toLowerCase());
  const origins = written.filter((origin) => origin !== "");
  for (const origin of origins)
    if (origin !== "*" && !/^https?:\/\/[^/\s]+$/.test(origin))
      throw new Error(`${where} has "${origin}" but must have origins like http://127.0.0.1:7070, or "*"`);
  if (credentials && origins.includes("*"))
    throw new Error(`${file}: "CORSCredentials" goes with named origins only, not with "*"`);
  return origins.length === 0 ? undefined : { origins, credentials };
}

function anyCase(object: Json, name: string): unknown {
  const written = Object.keys(object).find((key) => key.toLowerCase() === name.toLowerCase());
  return written === undefined ? undefined : object[written];
}

/** `text` with each `%NAME%` replaced by the setting of that name. Throws when there is no such setting. */
export function resolveNames(text: string, env: NodeJS.ProcessEnv, where: string): string {
  return text.replace(/%([^%]+)%/g, (_, name: string) => {
    const value = env[name];
    if (!value)
      throw new Error(`${where}: "${text}" needs the setting ${name}: add it to local.settings.json`);
    return value;
  });
}

/**
 * The connection string in the setting that a trigger's `connection` names, with or without the prefix
 * `AzureWebJobs`.
 */
export function connectionString(name: string, env: NodeJS.ProcessEnv, where: string): string {
  const value = env[name] || env[`AzureWebJobs${name}`];
  if (value) return value;
  throw new Error(
    `${where}: the setting ${name} must hold a connection string: add it to local.settings.json`,
  );
}

/** A connection string with a key, or a namespace that takes the tokens of a managed identity. */
export type EventHubsConnection =
  | { readonly kind: "key"; readonly text: string }
  | { readonly kind: "identity"; readonly namespace: string; readonly clientId: string | undefined };

/**
 * Where a trigger's `connection` leads: the setting of that name holds a connection string, or settings whose
 * names begin with it and two underscores describe an identity. As in Azure's host, the string counts where
 * both are there.
 */
export function eventHubsConnection(
  name: string,
  env: NodeJS.ProcessEnv,
  where: string,
): EventHubsConnection {
  const namespace = env[`${name}__fullyQualifiedNamespace`];
  if (env[name] || env[`AzureWebJobs${name}`] || !namespace)
    return { kind: "key", text: connectionString(name, env, where) };
  const credential = env[`${name}__credential`];
  if (credential !== "managedidentity")
    throw new Error(
      `${where}: ${name}__credential must be managedidentity: this host knows no other identity`,
    );
  return { kind: "identity", namespace, clientId: env[`${name}__clientId`] || undefined };
}

function applyOverrides(root: Json, env: NodeJS.ProcessEnv): void {
  for (const [name, value] of Object.entries(env)) {
    const path = name.split("__");
    if (path.shift() !== "AzureFunctionsJobHost" || path.length === 0) continue;
    let at = root;
    for (const key of path.slice(0, -1)) {
      const next = at[key];
      const inner = isObject(next) ? next : {};
      at[key] = inner;
      at = inner;
    }
    at[path.at(-1)!] = value;
  }
}

/** A minute if not said, at least 15 seconds, at most `most` milliseconds. */
function leaseTime(read: Reader, path: string, most: number): number {
  const time = read.duration(path, 60_000) ?? 0;
  const wanted = `a time of at least 15 s${most < 100_000 ? ` and at most ${most / 1000} s` : ""}`;
  return time >= 15_000 && time <= most ? time : read.fail(path, read.find(path), wanted);
}

function readInitialOffset(read: Reader, path: string): EventHubSettings["initialOffset"] {
  const type = read.text(`${path}.type`, "fromStart");
  if (/^fromStart$/i.test(type)) return "fromStart";
  if (/^fromEnd$/i.test(type)) return "fromEnd";
  if (!/^fromEnqueuedTime$/i.test(type))
    return read.fail(`${path}.type`, type, "fromStart, fromEnd or fromEnqueuedTime");
  const time = read.text(`${path}.enqueuedTimeUtc`, "");
  const enqueuedOn = new Date(time);
  if (Number.isNaN(enqueuedOn.getTime()))
    return read.fail(`${path}.enqueuedTimeUtc`, time, "a time like 2025-01-31T00:00:00Z");
  return { enqueuedOn };
}
