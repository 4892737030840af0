import type { EventBatch } from "../bus/eventBus.js";
import { findPosition, type Stream } from "../store/streamPositions.js";
import { requireTime, type StoreDeps, type TryDeps } from "./storeDeps.js";

const READ_AT_ONCE = 500;

/**
 * Stores and shows what a hub has behind the position in MySQL, read from the hub itself, in the partition or, where none is named, in all of them. Safe beside the trigger: what
 * both have is stored once. Throws `UNAVAILABLE` when it takes longer than one call may; what was stored until then stays.
 */
export async function catchUp(
  hub: string,
  partitionId: string | undefined,
  store: (batch: EventBatch) => Promise<void>,
  deps: StoreDeps,
): Promise<void> {
  const { bus, now, retryBudgetMs } = deps;
  const limited = { ...deps, deadline: now() + retryBudgetMs };
  const hubCreatedOn = await bus.createdOn(hub);
  const partitionIds = partitionId === undefined ? await bus.partitionIds(hub) : [partitionId];
  for (const id of partitionIds)
    await catchUpPartition({ hub, partitionId: id, hubCreatedOn }, store, limited);
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
