import type { z } from "zod";
import type { Broadcaster } from "../broadcast/broadcaster.js";
import type { EventBus } from "../bus/eventBus.js";
import { MESSAGES_HUB } from "../events/messages.js";
import { READS_HUB } from "../events/reads.js";
import { LATE, within } from "../platform/async.js";
import { ChatError } from "../platform/errors.js";
import type { Faults, Part } from "../platform/faults.js";
import type { PartitionLag } from "../platform/measures.js";
import type { RedisStore } from "../redis/ports.js";
import { type Database, using } from "../store/database.js";
import { findSchema, SCHEMA_VERSION } from "../store/schemaVersion.js";
import type { Health } from "./schemas.js";

/** A part that has not answered by then is `down`, so that `/health` itself answers within a second. */
const CHECK_MS = 800;
/** Callers share a check for this long. A part that hangs gets few calls, and one that is back is seen soon. */
const SHARED_MS = 2_000;
/** Events that wait for longer than this are told late to everybody, so something is wrong. */
const STANDS_SECONDS = 15;

export interface HealthDeps {
  readonly database: Database;
  readonly bus: EventBus;
  readonly broadcaster: Broadcaster;
  readonly redis: Pick<RedisStore, "ping">;
  readonly faults: Faults;
  /** What waits in the partitions of the hubs. Never throws. */
  readonly lag: () => Promise<readonly PartitionLag[]>;
  /** Whether anything waits on the bus that was used before, where there is one. Never throws. */
  readonly formerBusState: () => Promise<"draining" | "drained"> | undefined;
}

/**
 * Each dependency's state, and what waits, as it is found within 0.8 s, whichever of them hang. `down` says
 * that messages can't be sent and shown; what waits does not say so, since it is stored when its turn comes.
 * Never throws.
 */
export async function health(deps: HealthDeps): Promise<z.infer<typeof Health>> {
  const former = deps.formerBusState();
  const [lag, formerBus, mysql, redis, eventHubs, webPubSub] = await Promise.all([
    within(CHECK_MS, deps.lag()),
    former && within(CHECK_MS, former),
    stateOf(withoutFaults("mysql", deps.database, () => checkSchema(deps), deps)),
    stateOf(shared(deps.redis, () => deps.redis.ping())),
    stateOf(withoutFaults("eventHubs", deps.bus, () => deps.bus.ping(), deps)),
    stateOf(withoutFaults("webPubSub", deps.broadcaster, () => pingSockets(deps.broadcaster), deps)),
  ]);
  // Everything goes on without Redis.
  const isDown = [mysql, eventHubs, webPubSub].includes("down");
  const known = lag === LATE ? [] : lag;
  const stands = known.some(({ ageSeconds = 0 }) => ageSeconds > STANDS_SECONDS);
  const status = isDown ? "down" : redis === "down" || stands ? "degraded" : "up";
  return {
    status,
    dependencies: { mysql, redis, eventHubs, webPubSub },
    lag: { messages: lagOf(known, MESSAGES_HUB), reads: lagOf(known, READS_HUB) },
    ...(formerBus && { formerBus: formerBus === LATE ? "draining" : formerBus }),
  };
}

/** A service that asks to be left alone for a while is there. */
async function pingSockets(broadcaster: Broadcaster): Promise<void> {
  await broadcaster.ping().catch((error: unknown) => {
    if (!(error instanceof ChatError) || error.details.retryAfter === undefined) throw error;
  });
}

/** What waits in a whole hub. Unknown where it is unknown of a partition. */
function lagOf(lag: readonly PartitionLag[], hub: string): z.infer<typeof Health>["lag"]["messages"] {
  const ofHub = lag.filter((one) => one.hub === hub);
  const isKnown = ofHub.length > 0 && ofHub.every(({ events }) => events !== undefined);
  if (!isKnown) return { events: null, oldestSeconds: null };
  const oldest = Math.max(...ofHub.map(({ ageSeconds = 0 }) => ageSeconds));
  return {
    events: ofHub.reduce((sum, { events = 0 }) => sum + events, 0),
    oldestSeconds: Math.round(oldest * 1_000) / 1_000,
  };
}

/** A part that answers may still refuse what this app needs of it. */
async function withoutFaults(
  part: Part,
  adapter: object,
  check: () => Promise<void>,
  { faults }: HealthDeps,
): Promise<void> {
  await shared(adapter, check);
  if (await faults.any(part)) throw new Error(`${part} has to be mended`);
}

const underWay = new WeakMap<object, Promise<void>>();

/**
 * The check of an adapter that is under way, or a new one. Anybody may ask for `/health`, as often as they like:
 * checks of a part that hangs must not pile up.
 */
function shared(adapter: object, check: () => Promise<void>): Promise<void> {
  const known = underWay.get(adapter);
  if (known) return known;
  const begun = within(SHARED_MS, check())
    .then((result) => {
      if (result === LATE) throw new Error(`There was no answer within ${SHARED_MS} ms.`);
    })
    .finally(() => underWay.delete(adapter));
  underWay.set(adapter, begun);
  return begun;
}

async function checkSchema({ database, faults }: HealthDeps): Promise<void> {
  // A statement that hangs gives its connection back soon: the pool has few of them.
  const { version, isReadOnly } = await using({ ...database, statementMs: SHARED_MS }, findSchema);
  const note = (kind: string, what: string) => faults.note("mysql", { kind, what, isOwn: true });
  if (version < SCHEMA_VERSION)
    note("version", `the tables are those of migration ${version}, this app needs ${SCHEMA_VERSION}`);
  if (isReadOnly) note("read-only", "the server is read-only: the address leads to a replica");
}

async function stateOf(check: Promise<void>): Promise<"up" | "down"> {
  const isUp = check.then(
    () => true,
    () => false,
  );
  return (await within(CHECK_MS, isUp)) === true ? "up" : "down";
}
