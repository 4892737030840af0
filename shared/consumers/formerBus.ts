import type { EventBatch, EventBus } from "../bus/eventBus.js";
import { atMostEvery, log } from "../platform/log.js";
import { findPosition } from "../store/streamPositions.js";
import { catchUp, type Ends } from "./catchUp.js";
import type { ConsumeDeps } from "./deps.js";
import { HUBS } from "./lag.js";

/** Instances that still publish on the former bus are looked after this often. */
const LOOK_MS = 30_000;

/** What stores the events of each hub. */
type Stores = Readonly<Record<string, (batch: EventBatch, deps: ConsumeDeps) => Promise<void>>>;

/**
 * The bus on which events were published before the settings named another one, as long as they still name it,
 * too. It is read without a trigger. What it had when this process first looked is stored before anything of the
 * present bus, so nothing is lost, and each room keeps its order if nothing publishes there any more.
 */
export interface FormerBus {
  /**
   * Resolves when what a hub of the former bus had at the first call is stored and shown. Throws `UNAVAILABLE`
   * as long as that is not known, or takes longer than one call may; what was stored until then stays. A hub
   * that the former bus does not have is empty. All callers wait for the same work.
   */
  drained(hub: string): Promise<void>;
  /**
   * Begins to store what instances with the old settings have published since. Called every few seconds; never
   * throws, and does not wait.
   */
  sweep(): void;
  /** Whether anything waits there now to be stored or shown, as far as can be seen. Never throws. */
  state(): Promise<"draining" | "drained">;
  close(): Promise<void>;
}

export function createFormerBus(bus: EventBus, stores: Stores, deps: Omit<ConsumeDeps, "bus">): FormerBus {
  // Its log is not looked after any more, and the present one's has nothing to do with it. What is stored of it has to
  // be shown before anything of the present bus.
  const own: ConsumeDeps = {
    ...deps,
    bus,
    showsBehind: false,
    beforeBatch: async () => {},
    onBatch: () => {},
  };
  const limited = atMostEvery(LOOK_MS);
  const drainedHubs = new Set<string>();
  const running = new Map<string, Promise<void>>();
  let looked = Number.NEGATIVE_INFINITY;

  const drainNow = async (hub: string): Promise<void> => {
    try {
      // Only what is there now: with instances that still publish it would never be empty.
      const ends = await endsOf(hub, bus);
      const store = stores[hub] ?? (async () => {});
      await catchUp(hub, undefined, (batch) => store(batch, own), own, ends);
    } catch (error) {
      limited((suppressed) => log.error(NOT_DRAINED, { system: bus.system, hub, error, suppressed }));
      throw error;
    }
  };
  const drain = (hub: string): Promise<void> => {
    const now = running.get(hub) ?? drainNow(hub).finally(() => running.delete(hub));
    running.set(hub, now);
    return now;
  };
  return {
    async drained(hub) {
      if (drainedHubs.has(hub)) return;
      await drain(hub);
      if (!drainedHubs.has(hub)) log.info("the former bus is drained", { system: bus.system, hub });
      drainedHubs.add(hub);
    },
    sweep() {
      if (deps.now() - looked < LOOK_MS) return;
      looked = deps.now();
      // What fails is logged, and tried again the next time.
      for (const hub of HUBS) drain(hub).catch(() => {});
    },
    async state() {
      const empty = await Promise.all(HUBS.map((hub) => isEmpty(hub, own).catch(() => false)));
      return empty.every(Boolean) ? "drained" : "draining";
    },
    close: () => bus.close(),
  };
}

const NOT_DRAINED =
  "what waits on the former bus can't be stored yet, so what comes on the present one waits: bring the former " +
  "one back, or take it out of the settings if nothing is left there";

/** The last event of each partition that has any. */
async function endsOf(hub: string, bus: EventBus): Promise<Ends> {
  const ends = new Map<string, number>();
  if (!(await bus.hasHub(hub))) {
    log.warn("the former bus has no such hub, so nothing waits there", { system: bus.system, hub });
    return ends;
  }
  for (const id of await bus.partitionIds(hub)) {
    const last = await bus.lastEnqueued(hub, id);
    if (last) ends.set(id, last.sequenceNumber);
  }
  return ends;
}

/** Whether every event of a hub is stored and shown. */
async function isEmpty(hub: string, { bus, database }: ConsumeDeps): Promise<boolean> {
  const ends = await endsOf(hub, bus);
  if (ends.size === 0) return true;
  const hubId = await bus.hubId(hub);
  for (const [partitionId, last] of ends) {
    const position = await findPosition(database, { hub, partitionId, hubId });
    const done = position
      ? Math.min(position.stored, position.broadcast)
      : (await bus.firstSequenceNumber(hub, partitionId)) - 1;
    if (done < last) return false;
  }
  return true;
}
