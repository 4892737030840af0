import type { EventBatch, EventBus } from "../bus/eventBus.js";
import { oneByOne } from "../platform/async.js";
import { log } from "../platform/log.js";
import { findPosition, lockPosition, movePosition, type Stream } from "../store/streamPositions.js";
import { inTransaction } from "../store/transaction.js";
import { type ConsumeDeps, requireTime, type TryDeps } from "./deps.js";

const READ_AT_ONCE = 500;

/** The catch-ups of this process, of each hub of each bus. */
const inTurn = oneByOne<EventBus>();

/** The last event to be stored, of each partition that has any. */
export type Ends = ReadonlyMap<string, number>;

/**
 * Stores and shows the events behind the position in MySQL, read from the hub itself: those of the named
 * partition, or of all partitions where the hub has none of that name; up to `ends` where they are given, else up
 * to the end. It is safe beside the trigger, because an event that both have is stored once. In one process one
 * runs after the other, so no two show the same events at once. Throws `UNAVAILABLE` when it takes longer than
 * one call may. What was stored until then stays. Where `deps.showsBehind` says so, the last of it may still be shown
 * when this returns.
 */
export async function catchUp(
  hub: string,
  partitionId: string | undefined,
  store: (batch: EventBatch) => Promise<void>,
  deps: ConsumeDeps,
  ends?: Ends,
): Promise<void> {
  await inTurn(deps.bus, hub, () => catchUpNow(hub, partitionId, store, deps, ends));
}

async function catchUpNow(
  hub: string,
  partitionId: string | undefined,
  store: (batch: EventBatch) => Promise<void>,
  deps: ConsumeDeps,
  ends: Ends | undefined,
): Promise<void> {
  if (ends?.size === 0) return;
  const { bus, now, retryBudgetMs } = deps;
  const limited = { ...deps, deadline: now() + retryBudgetMs };
  // Nothing is stored of a hub that was deleted and made again, whatever its numbers are.
  const hubId = await bus.hubId(hub, "fresh");
  const all = ends ? [...ends.keys()] : await bus.partitionIds(hub);
  const asked = partitionId !== undefined && all.includes(partitionId) ? [partitionId] : all;
  const failures: unknown[] = [];
  for (const id of asked) {
    const end = ends?.get(id) ?? Number.MAX_SAFE_INTEGER;
    await catchUpPartition({ hub, partitionId: id, hubId }, end, store, limited).catch((error: unknown) =>
      failures.push(error),
    );
  }
  if (failures.length > 0) throw failures[0];
}

async function catchUpPartition(
  stream: Stream,
  end: number,
  store: (batch: EventBatch) => Promise<void>,
  deps: TryDeps,
): Promise<void> {
  const { hub, partitionId } = stream;
  for (let from = await nextOf(stream, deps); from <= end; ) {
    requireTime(deps);
    const events = await deps.bus.readRange(hub, partitionId, from, end, READ_AT_ONCE);
    const last = events.at(-1);
    if (!last) return passLost(stream, from, deps);
    await store({ hub, partitionId, events });
    from = last.sequenceNumber + 1;
  }
}

/** Where retention has taken all that waited, nothing would ever move the position. */
async function passLost(stream: Stream, from: number, { bus, database }: TryDeps): Promise<void> {
  const kept = await bus.firstSequenceNumber(stream.hub, stream.partitionId);
  if (kept <= from) return;
  log.error("events are lost: the hub does not have them any more", { ...stream, from, to: kept - 1 });
  await inTransaction(database, async (tx) => {
    const position = await lockPosition(tx, stream);
    if (position && position.stored < kept) movePosition(tx, stream, kept - 1, undefined);
  });
}

/** The number of the first event that is not stored, or is stored but not shown. */
async function nextOf(stream: Stream, { bus, database }: TryDeps): Promise<number> {
  const position = await findPosition(database, stream);
  if (!position) return bus.firstSequenceNumber(stream.hub, stream.partitionId);
  return Math.min(position.stored, position.broadcast) + 1;
}
