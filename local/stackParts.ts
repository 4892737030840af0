import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePorts, portFromEnvironment, requireFreePorts } from "./ports.js";
import { pingRedis } from "./services/redis.js";
import { DEFAULT_PORTS, type Ports, type ServerName, type StackApp } from "./stackServers.js";

const SCRIPT_TIMEOUT_MS = 300_000;
const NAMES = Object.keys(DEFAULT_PORTS) as ServerName[];

export interface Script {
  /** What a failure is called by. */
  readonly what: string;
  /** The file below the app's folder, and its arguments. */
  readonly script: readonly [file: string, ...args: string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** Runs a script of the app to its end. Throws what it says when it fails. */
export async function runScript(app: StackApp, { what, script, env, signal }: Script): Promise<void> {
  const { folder, node = process.execPath } = app;
  const [file, ...args] = script;
  try {
    const options = { env, timeout: SCRIPT_TIMEOUT_MS, signal };
    await promisify(execFile)(node, [join(folder, file), ...args], options);
  } catch (cause) {
    const { stderr, message } = cause as Error & { stderr?: string };
    throw new Error(`${what} failed:\n${(stderr || message).trim()}`, { cause });
  }
}

/**
 * The port of each server. Throws when one is taken, in the mode `fixed`, but for servers that are
 * `notRun`, or that an address in `env` replaces.
 */
export async function choosePorts(
  mode: "auto" | "fixed",
  env: NodeJS.ProcessEnv,
  notRun: readonly ServerName[],
): Promise<Ports> {
  const free = mode === "auto" ? await freePorts(NAMES.length) : [];
  const wishes = NAMES.map((name, index) => {
    const wish = DEFAULT_PORTS[name];
    return { ...wish, name, port: free[index] ?? portFromEnvironment(env, wish.variable, wish.port) };
  });
  const replaced = { mysql: env["MYSQL_URL"], redis: env["REDIS_URL"] } as Partial<
    Record<ServerName, string>
  >;
  const isRun = (name: ServerName) => !replaced[name] && !notRun.includes(name);
  if (mode === "fixed") await requireFreePorts(wishes.filter(({ name }) => isRun(name)));
  return Object.fromEntries(wishes.map(({ name, port }) => [name, port])) as Ports;
}

/**
 * Runs all steps and waits for each, even when one fails, so that nothing begins to run after the failure was
 * handled.
 */
export async function inParallel(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const results = await Promise.allSettled(steps.map((step) => step()));
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

/** Throws advice when the server that `variable` names does not answer. */
export async function reachable(variable: string, ping: () => Promise<void>): Promise<void> {
  try {
    await ping();
  } catch (cause) {
    const { message, code } = cause as NodeJS.ErrnoException;
    throw new Error(
      `the server in ${variable} does not answer (${message || code}): start it, or unset ${variable} to have one started`,
      { cause },
    );
  }
}

/** Pings the server, or the first node of a cluster. */
export function pingUrl(urls: string): Promise<void> {
  const { hostname, port, protocol } = new URL(urls.split(",")[0]!);
  // With TLS there is no answer to a plain PING. The functions will tell whether it is there.
  return protocol === "rediss:" ? Promise.resolve() : pingRedis(hostname, Number(port || 6379));
}
