import type { Log } from "./log.js";
import { hasTrigger, type RegisteredFunction } from "./rpc.js";
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
      const started: Started[] = [];
      if (running.some((fn) => hasTrigger(fn, "eventHubTrigger"))) {
        const { startEventHubTriggers } = await import("./eventHubTriggers.js");
        started.push(...(await startEventHubTriggers(worker, running, settings.eventHubs, env, log)));
      }
      if (running.some((fn) => hasTrigger(fn, "kafkaTrigger"))) {
        const { startKafkaTriggers } = await import("./kafkaTriggers.js");
        started.push(...startKafkaTriggers(worker, running, settings.kafka, env, log));
      }
      for (const timer of timers) if (running.includes(timer.fn)) timer.start();
      return [...started, ...timers];
    },
  };
}
