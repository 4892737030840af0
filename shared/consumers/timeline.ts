import type { EventBus, ReceivedEvent } from "../bus/eventBus.js";
import { log } from "../platform/log.js";
import { lockPosition, moveBack, type Stream, type StreamPosition } from "../store/streamPositions.js";
import { inTransaction } from "../store/transaction.js";
import type { ConsumeDeps } from "./deps.js";

/** A host may tell the time of an event less exactly than the hub. */
const SAME_MS = 1_000;
/** By how much the clocks of two brokers may differ. What is read twice because of it is stored once. */
const CLOCKS_MS = 600_000;

/**
 * Whether a partition's log is not the one any more in which the event of this position stood: a forced failover
 * of a replicated namespace, or a broker that was elected though it lacked the last events, gives numbers a
 * second time. The log is shorter than the position, or has another event under its number, taken at another
 * time.
 */
export async function hasGoneBack(stream: Stream, position: StreamPosition, bus: EventBus): Promise<boolean> {
  const { hub, partitionId } = stream;
  const { stored } = position;
  const last = await bus.lastEnqueued(hub, partitionId);
  if ((last?.sequenceNumber ?? -1) < stored) return true;
  if (!position.storedOn) return false;
  return hasOtherEvent(position, await bus.readRange(hub, partitionId, stored, stored, 1));
}

/** Whether these events have another one under the number of the event that was stored last. */
export function hasOtherEvent(
  { stored, storedOn }: StreamPosition,
  events: readonly ReceivedEvent[],
): boolean {
  const on = events.find((event) => event.sequenceNumber === stored)?.enqueuedOn;
  return Boolean(on && storedOn && Math.abs(on.getTime() - storedOn.getTime()) > SAME_MS);
}

/**
 * Puts the position before every event that the log may have taken since it went back. What is read again
 * though it was stored before is found by its key, and neither stored nor shown a second time.
 */
export async function rewind(stream: Stream, position: StreamPosition, deps: ConsumeDeps): Promise<void> {
  const { bus, database } = deps;
  const first = await bus.firstSequenceNumber(stream.hub, stream.partitionId);
  const last = (await bus.lastEnqueued(stream.hub, stream.partitionId))?.sequenceNumber ?? first - 1;
  const since = position.storedOn && new Date(position.storedOn.getTime() - CLOCKS_MS);
  const found = since ? await firstSince(stream, since, first, last + 1, bus) : first;
  // By clocks that differ more than that nothing of the log may be young enough.
  const from = found > position.stored ? first : found;
  await inTransaction(database, async (tx) => {
    const now = await lockPosition(tx, stream);
    // Another instance may have done it.
    if (now?.stored !== undefined && now.stored >= from) await moveBack(tx, stream, from - 1);
  });
  log.error("the log of a partition went back: what it has since is stored, events behind it are gone", {
    ...stream,
    stored: position.stored,
    last,
    from,
  });
}

/** The number of the first event in [`low`, `high`) that was taken at that time or later; else `high`. */
async function firstSince(
  { hub, partitionId }: Stream,
  since: Date,
  first: number,
  end: number,
  bus: EventBus,
): Promise<number> {
  let [low, high] = [first, end];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [event] = await bus.readRange(hub, partitionId, middle, middle, 1);
    if (event && !event.enqueuedOn) return first;
    if (event?.enqueuedOn && event.enqueuedOn >= since) high = middle;
    else low = middle + 1;
  }
  return low;
}
