import type { Broadcaster } from "./broadcast/broadcaster.js";
import type { EventBus } from "./bus/eventBus.js";
import { atMostEvery, log } from "./log.js";
import type { SessionStore } from "./sessions/sessionStore.js";
import type { Database } from "./store/database.js";
import type { OnFault } from "./store/faults.js";
import { SCHEMA_VERSION, schemaVersion } from "./store/schemaVersion.js";

const CHECK_MS = 3_000;
/** For so long after it was seen last a fault of the database counts: what needs it comes again within seconds, the sweep at least. */
const FAULT_MS = 30_000;
/** One line for each fault in so long. */
const SAID_MS = 60_000;
const TOLD_MS = 5_000;
/** Different faults that are told apart; behind them all are said as often as one. */
const FAULTS_KNOWN = 100;

/** What is known of faults of the database that somebody has to mend. */
export interface Faults {
  /** Says it, loudly and once a minute, and tells the other processes. */
  readonly note: OnFault;
  /** Whether this process or another one has seen one lately. */
  readonly any: () => Promise<boolean>;
}

/** Keeps what the database says can never be done: of this process, and by the session store of all. */
export function createFaults(
  sessions: Pick<SessionStore, "noteFault" | "hasFault">,
  now: () => number = Date.now,
): Faults {
  let last = Number.NEGATIVE_INFINITY;
  const tell = atMostEvery(TOLD_MS, now);
  const said = new Map<string, ReturnType<typeof atMostEvery>>();
  return {
    note(what, statement) {
      last = now();
      tell(() => void sessions.noteFault(FAULT_MS));
      const name = said.size < FAULTS_KNOWN || said.has(what) ? what : "others";
      const limited = said.get(name) ?? atMostEvery(SAID_MS, now);
      said.set(name, limited);
      limited((left) =>
        log.error(
          "the database does not take what this app needs of it: that has to be mended, no retry helps (are all migrations applied, does the user have its rights?)",
          { what, statement, left },
        ),
      );
    },
    any: async () => now() - last < FAULT_MS || (await sessions.hasFault()),
  };
}

export interface HealthDeps {
  readonly database: Database;
  readonly bus: EventBus;
  readonly broadcaster: Broadcaster;
  readonly sessions: SessionStore;
  readonly faults: Faults;
}

/** Each dependency's state, and whether messages can be sent and shown. */
export async function health(deps: HealthDeps): Promise<{ healthy: boolean; report: object }> {
  const checks: [name: string, check: Promise<unknown>][] = [
    ["mysql", checkDatabase(deps)],
    ["redis", deps.sessions.ping()],
    ["eventHubs", deps.bus.ping()],
    ["webPubSub", deps.broadcaster.ping()],
  ];
  const states = await Promise.all(
    checks.map(async ([name, check]) => [name, await stateOf(check)] as const),
  );
  // Everything goes on without Redis.
  const healthy = states.every(([name, state]) => state === "up" || name === "redis");
  const complete = states.every(([, state]) => state === "up");
  const status = complete ? "up" : healthy ? "degraded" : "down";
  return { healthy, report: { status, dependencies: Object.fromEntries(states) } };
}

/** A server that answers is not yet one that can do what is needed of it. */
async function checkDatabase({ database, faults }: HealthDeps): Promise<void> {
  const version = await schemaVersion(database);
  if (version < SCHEMA_VERSION)
    faults.note(`the tables are those of migration ${version}, this app needs ${SCHEMA_VERSION}`, undefined);
  if (await faults.any()) throw new Error("the database has to be mended");
}

async function stateOf(check: Promise<unknown>): Promise<"up" | "down"> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"down">((resolve) => {
    timer = setTimeout(() => resolve("down"), CHECK_MS);
  });
  const answer = await Promise.race([
    check.then(
      () => "up" as const,
      () => "down" as const,
    ),
    late,
  ]);
  clearTimeout(timer);
  return answer;
}
