import type { Meter, ObservableResult } from "@opentelemetry/api";
import { instrumentsOf } from "./instruments.js";

/**
 * Times, sizes and states, for OpenTelemetry alone. Attributes come from closed sets, so no user can multiply
 * the series.
 */

/** A value that nobody has found again for this long is not told any more: another instance may tell it now. */
const FRESH_MS = 60_000;

const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

type Outcome = "ok" | "failed" | "throttled";

/** What waits in a partition of a hub: as `undefined` where that could not be found. */
export interface PartitionLag {
  readonly hub: string;
  readonly partitionId: string;
  /** Events that are not stored. */
  readonly events: number | undefined;
  /** Seconds since the bus took the oldest of them; 0 where none waits. */
  readonly ageSeconds: number | undefined;
}

/** Connections of a pool, and callers that wait for one. */
export interface PoolUse {
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
}

/** The latest of something that one instance at a time finds out. */
function latest<T>() {
  let found: { readonly value: T; readonly at: number } | undefined;
  return {
    set(value: T): void {
      found = { value, at: performance.now() };
    },
    get: (): T | undefined => (found && performance.now() - found.at < FRESH_MS ? found.value : undefined),
  };
}

const lag = latest<readonly PartitionLag[]>();
const health = latest<number>();
const pools = new Set<() => PoolUse>();

function createInstruments(meter: Meter) {
  const gauge = (
    name: string,
    unit: string,
    description: string,
    observe: (result: ObservableResult) => void,
  ) => meter.createObservableGauge(name, { unit, description }).addCallback(observe);
  gauge("chat.lag.events", "{event}", "Events that are not stored, by partition", (result) => {
    for (const { hub, partitionId: partition, events } of lag.get() ?? [])
      if (events !== undefined) result.observe(events, { hub, partition });
  });
  gauge("chat.lag.age", "s", "Age of the oldest event that is not stored, by partition", (result) => {
    for (const { hub, partitionId: partition, ageSeconds } of lag.get() ?? [])
      if (ageSeconds !== undefined) result.observe(ageSeconds, { hub, partition });
  });
  gauge("chat.health", "1", "1 is up, 0.5 degraded, 0 down", (result) => {
    const value = health.get();
    if (value !== undefined) result.observe(value);
  });
  gauge("chat.mysql.connections", "{connection}", "Connections of the pool, by state", (result) => {
    const uses = [...pools].map((use) => use());
    for (const state of ["used", "idle", "waiting"] as const)
      if (uses.length > 0)
        result.observe(
          uses.reduce((sum, use) => sum + use[state], 0),
          { state },
        );
  });
  const histogram = (name: string, unit: string, description: string, bounds: number[]) =>
    meter.createHistogram(name, { unit, description, advice: { explicitBucketBoundaries: bounds } });
  return {
    size: histogram("chat.batch.size", "{event}", "Events of a batch", SIZES),
    batch: histogram("chat.batch.duration", "s", "Time to store and show a batch", SECONDS),
    broadcast: histogram("chat.broadcast.duration", "s", "Time of a call of the socket service", SECONDS),
  };
}

const current = instrumentsOf(createInstruments);

/** Makes the instruments of a provider that was just registered, as some are asked rather than told. */
export const startMeasuring = (): void => void current();

export const measure = {
  /** `seconds` is asked only where it is recorded. */
  batch(hub: string, events: number, outcome: Outcome, seconds: () => number): void {
    const instruments = current();
    instruments?.size.record(events, { hub });
    instruments?.batch.record(seconds(), { hub, outcome });
  },
  broadcast(kind: string, outcome: Outcome, seconds: () => number): void {
    current()?.broadcast.record(seconds(), { kind, outcome });
  },
  lag: lag.set,
  health: health.set,
  /** From now on the pool is asked at each export. Returns what ends that. */
  pool(use: () => PoolUse): () => void {
    pools.add(use);
    return () => void pools.delete(use);
  },
};
