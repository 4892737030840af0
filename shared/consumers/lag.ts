import type { EventBus } from "../bus/eventBus.js";
import { MESSAGES_HUB } from "../events/messages.js";
import { READS_HUB } from "../events/reads.js";
import { inParallel } from "../platform/async.js";
import { atMostEvery, log } from "../platform/log.js";
import type { PartitionLag } from "../platform/measures.js";
import { listStored } from "../store/streamPositions.js";
import type { ConsumeDeps } from "./deps.js";

/** The hubs whose events are stored. */
export const HUBS: readonly string[] = [MESSAGES_HUB, READS_HUB];
/** What was found counts for this long, however often it is asked for. */
const KEPT_MS = 10_000;
/** No call is begun after this time. */
const LOOK_MS = 10_000;
const PARTITIONS_AT_ONCE = 4;
/** Reading an event opens a connection to the bus, so only those that wait in so many partitions are read. */
const READS_AT_MOST = 8;
const READS_AT_ONCE = 2;

type LagDeps = Pick<ConsumeDeps, "bus" | "database" | "now">;

/** What waits in each partition. Hubs that can't be looked at are left out. */
export type Lag = () => Promise<readonly PartitionLag[]>;

/**
 * What waits in the hubs: the last event of each partition against the position that is stored. Found once in
 * 10 s for all who ask, by one call of the bus for each partition, and by reading the oldest waiting event of
 * eight partitions at most. Never throws.
 */
export function createLag(deps: LagDeps): Lag {
  const limited = atMostEvery(60_000);
  let found: { readonly on: number; readonly lag: Promise<readonly PartitionLag[]> } | undefined;
  return () => {
    const on = deps.now();
    if (!found || on - found.on >= KEPT_MS) found = { on, lag: lookAtAll(deps, limited) };
    return found.lag;
  };
}

async function lookAtAll(
  deps: LagDeps,
  limited: ReturnType<typeof atMostEvery>,
): Promise<readonly PartitionLag[]> {
  const deadline = deps.now() + LOOK_MS;
  const waiting: Waiting[] = [];
  for (const hub of HUBS)
    await lookAt(hub, waiting, deadline, deps).catch((error: unknown) =>
      limited((suppressed) => log.warn("what waits in a hub can't be found", { hub, error, suppressed })),
    );
  await readOldest(waiting, deadline, deps);
  return waiting.map((one) => lagOf(one, deps.now()));
}

/** A partition that was looked at, and what of it could be found. */
interface Waiting {
  readonly hub: string;
  readonly partitionId: string;
  readonly events: number | undefined;
  /** The oldest event that waits. */
  readonly first: number;
  readonly lastOn: Date | undefined;
  oldestOn?: Date;
}

/** Adds the partitions of a hub. */
async function lookAt(hub: string, waiting: Waiting[], deadline: number, deps: LagDeps): Promise<void> {
  const { bus, database, now } = deps;
  const stored = await listStored(database, hub, await bus.hubId(hub));
  await inParallel(PARTITIONS_AT_ONCE, await bus.partitionIds(hub), async (partitionId) => {
    const look = now() < deadline ? lookAtOne(hub, partitionId, stored.get(partitionId), bus) : undefined;
    const unknown = { hub, partitionId, events: undefined, first: 0, lastOn: undefined };
    waiting.push((await look?.catch(() => undefined)) ?? unknown);
  });
}

async function lookAtOne(
  hub: string,
  partitionId: string,
  stored: number | undefined,
  bus: EventBus,
): Promise<Waiting> {
  const last = await bus.lastEnqueued(hub, partitionId);
  if (!last || last.sequenceNumber === stored)
    return { hub, partitionId, events: 0, first: 0, lastOn: last?.on };
  // Of a stream that has not begun all that the hub still has is waiting.
  const first = stored === undefined ? await bus.firstSequenceNumber(hub, partitionId) : stored + 1;
  // An event may have been stored since the positions were read.
  const events = Math.max(0, last.sequenceNumber - first + 1);
  return { hub, partitionId, events, first, lastOn: last.on };
}

/** Finds when the oldest waiting events came, of the partitions in which most wait. */
async function readOldest(waiting: readonly Waiting[], deadline: number, deps: LagDeps): Promise<void> {
  const { bus, now } = deps;
  // The oldest of one is the last, of which that is known.
  const several = waiting.filter(({ events = 0 }) => events > 1);
  const most = several.sort((a, b) => (b.events ?? 0) - (a.events ?? 0)).slice(0, READS_AT_MOST);
  await inParallel(READS_AT_ONCE, most, async (one) => {
    const { hub, partitionId, first } = one;
    if (now() >= deadline) return;
    const [oldest] = await bus.readRange(hub, partitionId, first, first, 1).catch(() => []);
    if (oldest?.enqueuedOn) one.oldestOn = oldest.enqueuedOn;
  });
}

/** The age is that of the last event where the oldest was not read: it is at least as old. */
function lagOf({ hub, partitionId, events, oldestOn, lastOn }: Waiting, now: number): PartitionLag {
  const since = oldestOn ?? lastOn;
  const age = since && Math.max(0, now - since.getTime()) / 1_000;
  return { hub, partitionId, events, ageSeconds: events === 0 ? 0 : events === undefined ? undefined : age };
}
