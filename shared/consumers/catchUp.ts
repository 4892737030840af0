import type { EventBatch } from "../bus/eventBus.js";
import { findPosition, type Stream } from "../store/streamPositions.js";
import { type ConsumeDeps, requireTime, type TryDeps } from "./deps.js";

const READ_AT_ONCE = 500;

/** Of each hub, the last that was begun in this process. */
const running = new Map<string, Promise<void>>();

/**
 * Stores and shows what a hub has behind the position in MySQL, read from the hub itself, in the partition or, where none is named that it has, in all of them. Safe beside the trigger: what
 * both have is stored once. One after the other in a process, so that none shows what another is showing. Throws `UNAVAILABLE` when it takes longer than one call may; what was stored until then stays.
 */
export async function catchUp(
  hub: string,
  partitionId: string | undefined,
  store: (batch: EventBatch) => Promise<void>,
  deps: ConsumeDeps,
): Promise<void> {
  const before = running.get(hub) ?? Promise.resolve();
  const work = before.catch(() => {}).then(() => catchUpNow(hub, partitionId, store, deps));
  running.set(hub, work);
  await work;
}

async function catchUpNow(
  hub: string,
  partitionId: string | undefined,
  store: (batch: EventBatch) => Promise<void>,
  deps: ConsumeDeps,
): Promise<void> {
  const { bus, now, retryBudgetMs } = deps;
  const limited = { ...deps, deadline: now() + retryBudgetMs };
  // Of one that was made anew nothing is stored, whatever its numbers are.
  const hubCreatedOn = await bus.createdOn(hub, "fresh");
  const all = await bus.partitionIds(hub);
  const asked = partitionId !== undefined && all.includes(partitionId) ? [partitionId] : all;
  const failures: unknown[] = [];
  for (const id of asked)
    await catchUpPartition({ hub, partitionId: id, hubCreatedOn }, store, limited).catch((error: unknown) =>
      failures.push(error),
    );
  if (failures.length > 0) throw failures[0];
}

async function catchUpPartition(
  stream: Stream,
  store: (batch: EventBatch) => Promise<void>,
  deps: TryDeps,
): Promise<void> {
  const { hub, partitionId } = stream;
  for (let from = await nextOf(stream, deps); ; ) {
    requireTime(deps);
    const events = await deps.bus.readRange(hub, partitionId, from, Number.MAX_SAFE_INTEGER, READ_AT_ONCE);
    const last = events.at(-1);
    if (!last) return;
    await store({ hub, partitionId, events });
    from = last.sequenceNumber + 1;
  }
}

/** The first event that is not stored, or stored but not shown. */
async function nextOf(stream: Stream, { bus, database }: TryDeps): Promise<number> {
  const position = await findPosition(database, stream);
  if (!position) return bus.firstSequenceNumber(stream.hub, stream.partitionId);
  return Math.min(position.stored, position.broadcast) + 1;
}
