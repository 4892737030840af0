import { randomUUID } from "node:crypto";
import { storageContainer } from "./checkpoints.js";
import type { Log } from "./log.js";
import { pause, withRetries } from "./retry.js";
import { type InvocationRequest, type RegisteredFunction, unmonitored } from "./rpc.js";
import { never, parseSchedule, type Schedule } from "./schedules.js";
import { connectionString, type LeaseSettings, resolveNames } from "./settings.js";
import { Lease, leaseBlob } from "./timerLease.js";
import type { Worker } from "./worker.js";

/** The longest wait of one timer of Node (24.8 days), rounded down. */
const MAX_PAUSE_MS = 24 * 86_400_000;

/**
 * The timer triggers among the worker's functions, not started yet. Throws an error that names the function
 * when its schedule cannot be read, or when there is no storage for the lease under which one host of the app
 * runs it.
 */
export function createTimerTriggers(
  worker: Worker,
  app: string,
  leases: LeaseSettings,
  env: NodeJS.ProcessEnv,
  log: Log,
): TimerTrigger[] {
  const leaseOf = ({ metadata: { name } }: RegisteredFunction): Lease => {
    const storage = connectionString("AzureWebJobsStorage", env, `function "${name}"`);
    const container = storageContainer(storage, "azure-webjobs-hosts");
    return new Lease(name, container, leaseBlob(container, app, name, env), leases, log);
  };
  const triggers = [...worker.functions.values()].flatMap((fn) =>
    Object.entries(fn.metadata.bindings)
      .filter(([, { type }]) => type === "timerTrigger")
      .map(([bindingName]) => new TimerTrigger(worker, prepare(fn, bindingName, env), leaseOf(fn), log)),
  );
  if (triggers.length > 0 && env["WEBSITE_TIME_ZONE"])
    log.write(
      "warning",
      `WEBSITE_TIME_ZONE is ${env["WEBSITE_TIME_ZONE"]}, but this host runs all timers in UTC`,
    );
  return triggers;
}

interface Prepared {
  readonly fn: RegisteredFunction;
  readonly bindingName: string;
  readonly schedule: Schedule;
  readonly runOnStartup: boolean;
  /** True when the real host would keep the schedule's status, and so give it to the handler. */
  readonly monitored: boolean;
}

function prepare(fn: RegisteredFunction, bindingName: string, env: NodeJS.ProcessEnv): Prepared {
  const where = `function "${fn.metadata.name}"`;
  const { schedule: given, runOnStartup, useMonitor } = fn.metadata.bindings[bindingName]!;
  if (typeof given !== "string" || given.trim() === "")
    throw new Error(`${where} needs a schedule, like "0 */5 * * * *"`);
  const text = resolveNames(given, env, where);
  let schedule: Schedule;
  try {
    schedule = parseSchedule(text);
  } catch (cause) {
    throw new Error(`${where}: the schedule "${text}" ${(cause as Error).message}`, { cause });
  }
  const monitored = schedule.monitored && useMonitor !== false;
  return { fn, bindingName, schedule, runOnStartup: runOnStartup === true, monitored };
}

/** The status of a timer that the real host keeps between two calls. */
interface Status {
  readonly last: Date;
  readonly next: Date;
  readonly lastUpdated: Date;
}

/**
 * Calls one function by its schedule until it is stopped, while this host has the lease: of several hosts of
 * an app one does. The status is not stored: occurrences that passed while no host ran are not made up for,
 * and `isPastDue` is always false.
 */
export class TimerTrigger {
  readonly #worker: Worker;
  readonly #prepared: Prepared;
  readonly #lease: Lease;
  readonly #log: Log;
  readonly #stop = new AbortController();
  #status: Status | undefined;
  #running = Promise.resolve();

  constructor(worker: Worker, prepared: Prepared, lease: Lease, log: Log) {
    this.#worker = worker;
    this.#prepared = prepared;
    this.#lease = lease;
    this.#log = log;
  }

  get fn(): RegisteredFunction {
    return this.#prepared.fn;
  }

  get name(): string {
    return this.fn.metadata.name;
  }

  /** May be called once. */
  start(): void {
    if (this.#prepared.schedule.next(new Date()) === never)
      this.#log.write("warning", `${this.name} has a schedule without any occurrence`);
    this.#running = this.#lease.whileHeld(this.#stop.signal, (held) => this.#run(held));
  }

  /**
   * Ends the schedule and the retries. Resolves when a scheduled call has ended and the lease is released.
   * Never rejects.
   */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /**
   * Calls the function now, whatever its schedule, which goes on unchanged. As in the real host such a call
   * has the same retries, needs no lease, and does not wait for a scheduled call: the two may overlap.
   */
  callByHand(): void {
    void this.#call(this.#stop.signal);
  }

  async #run(held: AbortSignal): Promise<void> {
    const start = new Date("0001-01-01T00:00:00Z");
    let next = this.#prepared.schedule.next(new Date());
    this.#status = { last: start, next, lastUpdated: start };
    if (next !== never) this.#log.write("debug", `${this.name} is due at ${next.toISOString()}`);
    if (this.#prepared.runOnStartup) next = new Date();
    for (;;) {
      await until(next, held);
      if (held.aborted) return;
      next = await this.#callBySchedule(held);
    }
  }

  /**
   * Resolves to the next occurrence after this call began. Several that passed before it ended count as one,
   * which is due at once.
   */
  async #callBySchedule(held: AbortSignal): Promise<Date> {
    const began = new Date();
    await this.#call(held);
    const next = this.#prepared.schedule.next(began);
    this.#status = { last: began, next, lastUpdated: began };
    return next;
  }

  // Never rejects; the worker has logged a failure.
  async #call(signal: AbortSignal): Promise<void> {
    const { fn } = this.#prepared;
    const outcome = await withRetries(
      fn.metadata.retryOptions,
      (retryContext) => {
        const request = this.#request();
        return this.#worker.invoke(fn, retryContext ? { ...request, retryContext } : request);
      },
      signal,
    );
    if (outcome === "failed" && fn.metadata.retryOptions)
      this.#log.write("error", `${this.name} gave up after its retries, until it is due again`);
  }

  // The form that .NET gives to its TimerInfo. The library turns the names into camel case.
  #request(): InvocationRequest {
    const { fn, bindingName, schedule, monitored } = this.#prepared;
    const status = monitored ? this.#status : undefined;
    const info = {
      Schedule: { AdjustForDST: schedule.adjustForDst },
      ScheduleStatus: status
        ? {
            Last: dotNetTime(status.last),
            Next: dotNetTime(status.next),
            LastUpdated: dotNetTime(status.lastUpdated),
          }
        : null,
      IsPastDue: false,
    };
    return {
      invocationId: randomUUID(),
      functionId: fn.id,
      inputData: [{ name: bindingName, data: { json: JSON.stringify(info) } }],
      triggerMetadata: {},
      traceContext: unmonitored,
    };
  }
}

/**
 * Always lets other work go first, even when the occurrence has passed: calls that take longer than the
 * schedule's interval follow each other closely.
 */
async function until(time: Date, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const left = time.getTime() - Date.now();
    await pause(Math.min(Math.max(left, 1), MAX_PAUSE_MS), signal);
    if (Date.now() >= time.getTime()) return;
  }
}

/**
 * A time as Json.NET writes a local time in the zone UTC: with an offset, and without zeros at the end of the
 * fraction.
 */
function dotNetTime(time: Date): string {
  return time.toISOString().replace(/\.?0*Z$/, "+00:00");
}
