import type { AuditConfig, Config } from "../config.js";
import { createCredential } from "../platform/credential.js";
import { log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import { inspectRedis } from "../redis/inspection.js";
import { type AuditDeps, areasOf } from "./audit.js";
import { PAUSES_MS, type Told } from "./auditArea.js";

/** The audit as the timer runs it. */
export interface Nightly {
  readonly schedule: string;
  /**
   * Looks at all that is stored, for at most about four minutes: the host ends a function after five. What was
   * not looked at then comes first in the next run. Logs what differs, counts it, and mends it where the
   * settings want that. Throws where something can't be asked.
   */
  run(): Promise<void>;
}

/** Each area has a share of the run, in milliseconds, and what the areas before it left of theirs. */
const SHARE_MS = 60_000;
/** A line each; the rest is in their number. */
const LINES = 100;

type Deps = Omit<AuditDeps, "inspection"> & { readonly now: () => number };

/** The audit of this app's settings. Nothing is connected before a run. */
export function nightlyAudit(
  { schedule, repairs }: AuditConfig,
  { redis, clientId }: Pick<Config, "redis" | "clientId">,
  deps: Deps,
): Nightly {
  const credential = redis.entra ? createCredential(clientId) : undefined;
  return {
    schedule,
    async run() {
      try {
        const inspection = await inspectRedis(redis, credential);
        try {
          await runOnce({ ...deps, inspection }, repairs);
        } finally {
          inspection.close();
        }
      } catch (error) {
        count.audited("failed");
        throw error;
      }
    },
  };
}

async function runOnce(deps: Deps & Pick<AuditDeps, "inspection">, repairs: boolean): Promise<void> {
  const lines = atMost(LINES);
  const looked: Record<string, number> = {};
  let [differences, isWhole] = [0, true];
  let end = deps.now();
  for (const [name, auditOne] of areasOf(deps)) {
    end += SHARE_MS;
    const how = { repairs, pauses: PAUSES_MS, isOver: () => deps.now() > end };
    const tell = (told: Told): void => {
      differences += 1;
      count.difference(told.kind, told.state);
      lines(() => say(told));
    };
    const after = await deps.inspection.readProgress(name);
    const { places, next } = await auditOne(how, tell, after);
    await deps.inspection.writeProgress(name, next || undefined);
    looked[name] = places;
    isWhole &&= next === undefined && after === undefined;
  }
  count.audited(isWhole ? "whole" : "part");
  log.info("the audit has ended", { looked, differences, isWhole });
}

/** What was mended is mended; what was not wakes somebody. */
function say({ state, ...told }: Told): void {
  if (state === "mended") log.warn("the audit has mended a difference", told);
  else log.error("the audit has found a difference", { ...told, state });
}

function atMost(most: number): (speak: () => void) => void {
  let said = 0;
  return (speak) => {
    said += 1;
    if (said <= most) speak();
  };
}
