import type { EventBatch, EventBus } from "../bus/eventBus.js";
import { atMostEvery, log } from "../platform/log.js";
import { catchUp } from "./catchUp.js";
import type { ConsumeDeps } from "./deps.js";
import { createLag, HUBS } from "./lag.js";

/** Instances that still publish on the former bus are looked after this often. */
const LOOK_MS = 30_000;

/** What stores the events of each hub. */
type Stores = Readonly<Record<string, (batch: EventBatch, deps: ConsumeDeps) => Promise<void>>>;

/**
 * The bus on which events were published before the settings named another one, as long as they still name it,
 * too. It is read without a trigger. Nothing of the present bus is stored before the former one is empty, so
 * that nothing is lost and each room keeps its order.
 */
export interface FormerBus {
  /**
   * Resolves when what waited in a hub of the former bus is stored. Throws `UNAVAILABLE` as long as that is
   * not known, or takes longer than one call may; what was stored until then stays.
   */
  drained(hub: string): Promise<void>;
  /** Stores what instances with the old settings have published since. Called every few seconds. */
  sweep(): Promise<void>;
  /** Whether anything waits there, as far as can be seen. Never throws. */
  state(): Promise<"draining" | "drained">;
  close(): Promise<void>;
}

export function createFormerBus(bus: EventBus, stores: Stores, deps: Omit<ConsumeDeps, "bus">): FormerBus {
  const own: ConsumeDeps = { ...deps, bus };
  const limited = atMostEvery(LOOK_MS);
  const drainedHubs = new Set<string>();
  const lag = createLag(own);
  let looked = Number.NEGATIVE_INFINITY;

  const drain = async (hub: string): Promise<void> => {
    try {
      const store = stores[hub] ?? (async () => {});
      await catchUp(hub, undefined, (batch) => store(batch, own), own);
    } catch (error) {
      limited((suppressed) =>
        log.error(
          "what waits on the former bus can't be stored yet, so what comes on the present one waits: bring the " +
            "former one back, or take it out of the settings if nothing is left there",
          { system: bus.system, hub, error, suppressed },
        ),
      );
      throw error;
    }
  };
  return {
    async drained(hub) {
      if (drainedHubs.has(hub)) return;
      await drain(hub);
      if (!drainedHubs.has(hub)) log.info("the former bus is drained", { system: bus.system, hub });
      drainedHubs.add(hub);
    },
    async sweep() {
      if (deps.now() - looked < LOOK_MS) return;
      looked = deps.now();
      const waiting = (await lag()).filter(({ events }) => events !== 0).map(({ hub }) => hub);
      for (const hub of new Set(waiting)) await drain(hub);
    },
    async state() {
      const partitions = await lag();
      const isEmpty =
        HUBS.every((hub) => partitions.some((one) => one.hub === hub)) &&
        partitions.every(({ events }) => events === 0);
      return isEmpty ? "drained" : "draining";
    },
    close: () => bus.close(),
  };
}
