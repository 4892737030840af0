import type { Log } from "./log.js";
import type { RegisteredFunction } from "./rpc.js";
import type { HostSettings } from "./settings.js";
import { createTimerTriggers, type TimerTrigger } from "./timerTriggers.js";
import type { Worker } from "./worker.js";

interface Started {
  stop(): Promise<void>;
}

/** The triggers of an app that are not HTTP. Only a process that serves them loads the services' libraries. */
export interface EventTriggers {
  readonly timers: readonly TimerTrigger[];
  /** Starts those of these functions. Resolves to all that is to be stopped. */
  start(running: readonly RegisteredFunction[]): Promise<readonly Started[]>;
}

/** Throws where a timer can't be read. `start` rejects where another trigger can't be used as it is written. */
export function createEventTriggers(
  worker: Worker,
  app: string,
  settings: HostSettings,
  env: NodeJS.ProcessEnv,
  log: Log,
): EventTriggers {
  const timers = createTimerTriggers(worker, app, settings.leases, env, log);
  return {
    timers,
    async start(running) {
      const eventHubs = await startEventHubs(worker, running, settings, env, log);
      const kafka = await startKafka(worker, running, settings, env, log);
      for (const timer of timers) if (running.includes(timer.fn)) timer.start();
      return [...eventHubs, ...kafka, ...timers];
    },
  };
}

const has = (functions: readonly RegisteredFunction[], trigger: string): boolean =>
  functions.some(({ metadata }) => Object.values(metadata.bindings).some(({ type }) => type === trigger));

async function startEventHubs(
  worker: Worker,
  running: readonly RegisteredFunction[],
  { eventHubs }: HostSettings,
  env: NodeJS.ProcessEnv,
  log: Log,
): Promise<readonly Started[]> {
  if (!has(running, "eventHubTrigger")) return [];
  const { startEventHubTriggers } = await import("./eventHubTriggers.js");
  return startEventHubTriggers(worker, running, eventHubs, env, log);
}

async function startKafka(
  worker: Worker,
  running: readonly RegisteredFunction[],
  { kafka }: HostSettings,
  env: NodeJS.ProcessEnv,
  log: Log,
): Promise<readonly Started[]> {
  if (!has(running, "kafkaTrigger")) return [];
  const { startKafkaTriggers } = await import("./kafkaTriggers.js");
  return startKafkaTriggers(worker, running, kafka, env, log);
}
