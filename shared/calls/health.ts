import { createHash } from "node:crypto";
import type { Broadcaster } from "../broadcast/broadcaster.js";
import type { EventBus } from "../bus/eventBus.js";
import type { Fault } from "../platform/errors.js";
import { atMostEvery, log } from "../platform/log.js";
import type { FaultNotes, RedisStore } from "../redis/ports.js";
import type { Database } from "../store/database.js";
import { findSchema, SCHEMA_VERSION } from "../store/schemaVersion.js";

const CHECK_MS = 3_000;
/** For so long after it was seen last a fault counts: longer than the host's longest pause between two tries of a batch. */
const FAULT_MS = 90_000;
/** One line for each fault in so long. */
const SAID_MS = 60_000;
const TOLD_MS = 5_000;
/** Different faults that are told apart; behind them all are said as often as one. */
const FAULTS_KNOWN = 100;

/** What other parts say can never be done as it is: somebody has to mend that, and no retry helps. */
export type Part = "mysql" | "eventHubs" | "webPubSub";

const HINTS: Readonly<Record<Part, string>> = {
  mysql: "are all migrations applied, does the user have its rights?",
  eventHubs: "are the hubs there, may this app send, listen and look at them?",
  webPubSub: "is the access key, or the app's role, that of this service?",
};

const TEXT_CHARACTERS = 500;

export interface Faults {
  /** Says it, loudly and once a minute, and tells the other processes. */
  readonly note: (part: Part, fault: Fault) => void;
  /** Whether this process or another one has seen one of this part lately. */
  readonly any: (part: Part) => Promise<boolean>;
}

/**
 * Keeps what others say can never be done: of this process, and by the session store of all that have the same `addresses`, as processes of another deployment may share the
 * store.
 */
export function createFaults(
  notes: FaultNotes,
  addresses: Readonly<Record<Part, string>>,
  now: () => number = Date.now,
): Faults {
  const last = new Map<Part, number>();
  const limits = new Map<string, ReturnType<typeof atMostEvery>>();
  const limited = (name: string, everyMs: number) => {
    const found = limits.get(name) ?? atMostEvery(everyMs, now);
    limits.set(name, found);
    return found;
  };
  const shared = (part: Part): string =>
    `${part}:${createHash("sha256").update(`${addresses[part]} ${SCHEMA_VERSION}`).digest("hex").slice(0, 16)}`;
  return {
    note(part, { what, statement, kind, isOwn = false }) {
      last.set(part, now());
      if (!isOwn) limited(part, TOLD_MS)(() => void notes.noteFault(shared(part), FAULT_MS));
      const name = `${part} ${kind}`;
      limited(
        limits.size < FAULTS_KNOWN || limits.has(name) ? name : `${part} others`,
        SAID_MS,
      )((left) =>
        log.error(`${part} does not do what this app needs of it: that has to be mended, no retry helps`, {
          what: what.slice(0, TEXT_CHARACTERS),
          statement,
          hint: HINTS[part],
          left,
        }),
      );
    },
    any: async (part) =>
      now() - (last.get(part) ?? -FAULT_MS) < FAULT_MS || (await notes.hasFault(shared(part))),
  };
}

export interface HealthDeps {
  readonly database: Database;
  readonly bus: EventBus;
  readonly broadcaster: Broadcaster;
  readonly redis: Pick<RedisStore, "ping">;
  readonly faults: Faults;
}

/** Each dependency's state, and whether messages can be sent and shown. */
export async function health(deps: HealthDeps): Promise<{ healthy: boolean; report: object }> {
  const checks: [name: string, check: Promise<unknown>][] = [
    ["mysql", unfaulty("mysql", checkSchema(deps), deps)],
    ["redis", deps.redis.ping()],
    ["eventHubs", unfaulty("eventHubs", deps.bus.ping(), deps)],
    ["webPubSub", unfaulty("webPubSub", deps.broadcaster.ping(), deps)],
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

/** Who answers can't yet do all that is needed. */
async function unfaulty(part: Part, check: Promise<void>, { faults }: HealthDeps): Promise<void> {
  await check;
  if (await faults.any(part)) throw new Error(`${part} has to be mended`);
}

async function checkSchema({ database, faults }: HealthDeps): Promise<void> {
  const { version, isReadOnly } = await findSchema(database);
  const note = (kind: string, what: string) => faults.note("mysql", { kind, what, isOwn: true });
  if (version < SCHEMA_VERSION)
    note("version", `the tables are those of migration ${version}, this app needs ${SCHEMA_VERSION}`);
  if (isReadOnly) note("read-only", "the server is read-only: the address leads to a replica");
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
