import { once } from "node:events";
import type http from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import type { CalledByHand } from "./admin.js";
import { findAppFiles } from "./appFiles.js";
import { type Answer, answerFor, createHttpServer } from "./httpTriggers.js";
import { createLog, type Log } from "./log.js";
import { hasTrigger, type RegisteredFunction } from "./rpc.js";
import { applyAppSettings, disabledOf, httpSettings, readCors, readHostSettings } from "./settings.js";
import { Worker } from "./worker.js";

/**
 * How long closing waits, in milliseconds: for running calls and for the appTerminate hooks, as the real host
 * does, and for storage.
 */
const DRAIN_MS = 10_000;
const HOOKS_MS = 5_000;
const STORAGE_MS = 2_000;

/** The longest time that `close` takes. */
export const CLOSE_MS = DRAIN_MS + HOOKS_MS + STORAGE_MS;

/** `events`: Event Hub, Kafka and timer triggers. */
export type TriggerKind = "http" | "events";

export interface Options {
  /** 0 takes any free port. */
  readonly port?: number;
  readonly host?: string;
  /** The folder with package.json and host.json; the current one if not said. */
  readonly app?: string;
  /** Instead of `main` in package.json: the files that register functions, relative to `app`. */
  readonly main?: string;
  /** Instead of local.settings.json, or local.settings.example.json where there is none. */
  readonly settings?: string;
  /** Which pages may call, instead of `Host.CORS` in the settings: origins separated by commas, or `*`. */
  readonly cors?: string;
  /**
   * The key that admin calls, and functions whose `authLevel` is not `anonymous`, ask for; without it neither
   * asks for one.
   */
  readonly key?: string;
  /** Instead of a log to stderr at the level of host.json. */
  readonly log?: Log;
  /** Only these triggers are served; all if not said. Without HTTP nothing listens, and `port` is 0. */
  readonly triggers?: readonly TriggerKind[];
  /** For timers in another process: makes that process call one now. */
  readonly callTimer?: (name: string) => void;
  /** Called when HTTP calls are taken, where there are any. They wait until the app is loaded. */
  readonly onListening?: () => void;
  /**
   * Called when a function ran past `functionTimeout`. The caller ends the process then, as the real host
   * does.
   */
  readonly onTimeout?: (message: string) => void;
}

export interface Server {
  readonly port: number;
  /** The names of the functions, sorted. */
  readonly functions: readonly string[];
  /**
   * Calls a timer that this process serves now, whatever its schedule. Nothing happens when there is no such
   * timer.
   */
  callTimer(name: string): void;
  /**
   * Stops the triggers, waits up to 10 s for running calls and up to 5 s for the appTerminate hooks. Can be
   * called again.
   */
  close(): Promise<void>;
}

/**
 * Loads a Functions app and serves its HTTP, Event Hub, Kafka and timer triggers. Resolves once HTTP calls are
 * answered and all triggers are started; Event Hubs, Kafka and storage may still be away. Rejects, with advice, when the app
 * cannot be loaded, a setting is wrong or the port is taken. One app runs in a process at a time, and its
 * settings go into `process.env`.
 */
export async function start(options: Options = {}): Promise<Server> {
  const app = resolve(options.app ?? ".");
  const file = applyAppSettings(app, process.env, options.settings);
  const cors = readCors(file, options.cors);
  const settings = readHostSettings(app, process.env);
  const log = options.log ?? createLog(settings.logLevel);
  const files = findAppFiles(app, options.main);
  const { triggers: kinds = ["http", "events"] } = options;
  let answer: (answer: Answer) => void = () => {};
  const ready = new Promise<Answer>((resolve) => {
    answer = resolve;
  });
  const server = kinds.includes("http") ? createHttpServer(ready, log) : undefined;
  // Whoever calls while the app is loaded waits, in place of being refused a connection.
  if (server) await listen(server, options.port ?? 0, options.host ?? "127.0.0.1");
  options.onListening?.();
  const { functionTimeout } = settings;
  const { onTimeout = () => {} } = options;
  const worker = await Worker.load({ app, files, log, functionTimeout, onTimeout }).catch((error) => {
    giveUp(server);
    throw error;
  });
  try {
    const events = kinds.includes("events") ? await import("./eventTriggers.js") : undefined;
    const disabled = findDisabled(worker, process.env, log);
    const others = events?.createEventTriggers(worker, app, settings, process.env, log);
    const timers = others?.timers ?? [];
    if (server) {
      const byHand = others ? timers : timersElsewhere(worker, options.callTimer);
      const admin = { key: options.key, functions: [...worker.functions.values()], disabled, byHand };
      const served = { routePrefix: settings.routePrefix, ...httpSettings(process.env), cors, admin };
      answer(answerFor(worker, served));
    }
    warnOfOtherTriggers(worker, log);
    const running = [...worker.functions.values()].filter((fn) => !disabled.has(fn));
    const triggers = (await others?.start(running)) ?? [];
    const functions = [...worker.functions.values()].map(({ metadata }) => metadata.name).sort();
    const port = server ? (server.address() as AddressInfo).port : 0;
    let closed: Promise<void> | undefined;
    const end = (): Promise<void> => {
      closed ??= close(server, triggers, worker, log);
      return closed;
    };
    const callTimer = (name: string) => timers.find((timer) => timer.name === name)?.callByHand();
    return { port, functions, callTimer, close: end };
  } catch (error) {
    giveUp(server);
    await worker.terminate(0);
    throw error;
  }
}

function giveUp(server: http.Server | undefined): void {
  server?.close();
  server?.closeAllConnections();
}

/** The timers of another process, which `callTimer` reaches. */
function timersElsewhere(worker: Worker, callTimer: Options["callTimer"]): CalledByHand[] {
  return callTimer ? timerNames(worker).map((name) => ({ name, callByHand: () => callTimer(name) })) : [];
}

/** The names of the worker's functions that have a timer trigger. */
function timerNames(worker: Worker): string[] {
  const timers = [...worker.functions.values()].filter((fn) => hasTrigger(fn, "timerTrigger"));
  return timers.map(({ metadata }) => metadata.name);
}

async function listen(server: http.Server, port: number, host: string): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === "EADDRINUSE";
    throw new Error(
      taken
        ? `port ${port} on ${host} is taken: stop what uses it, or choose another one with --port`
        : `cannot listen on ${host} port ${port}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** Disabled functions stay loaded, but nothing calls them. */
function findDisabled(worker: Worker, env: NodeJS.ProcessEnv, log: Log): Set<RegisteredFunction> {
  const all = [...worker.functions.values()];
  const names = disabledOf(
    all.map(({ metadata }) => metadata.name),
    env,
  );
  for (const name of names) log.write("information", `Function 'Functions.${name}' is disabled`);
  return new Set(all.filter(({ metadata }) => names.includes(metadata.name)));
}

const KNOWN_TRIGGERS = ["httpTrigger", "eventHubTrigger", "kafkaTrigger", "timerTrigger"];

function warnOfOtherTriggers(worker: Worker, log: Log): void {
  for (const { metadata } of worker.functions.values())
    for (const { type } of Object.values(metadata.bindings))
      if (/trigger$/i.test(type) && !KNOWN_TRIGGERS.includes(type))
        log.write("warning", `function "${metadata.name}" is never called: this host runs no ${type}`);
}

async function close(
  server: http.Server | undefined,
  triggers: readonly { stop(): Promise<void> }[],
  worker: Worker,
  log: Log,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  server?.closeIdleConnections();
  const stopping = Promise.all(triggers.map((trigger) => trigger.stop()));
  const left = await worker.drain(DRAIN_MS);
  if (left > 0)
    log.write("warning", `${left} call(s) were still running after ${DRAIN_MS / 1_000} s and are left`);
  // Storage that is away must not keep the host from ending.
  await Promise.race([
    stopping,
    new Promise((resolve) => setTimeout(resolve, left > 0 ? 200 : STORAGE_MS).unref()),
  ]);
  await worker.terminate(HOOKS_MS);
  server?.closeAllConnections();
  await stopped;
}
