import type { ReceivedEvent } from "../bus/eventBus.js";
import { ChatError } from "../platform/errors.js";
import type { Stream } from "../store/streamPositions.js";
import type { ConsumeDeps } from "./deps.js";

const RECOVERED_AT_ONCE = 500;

/**
 * The next events of a range, and the number of the first one that the hub still has, or of the one behind
 * the range. Only the mark that retention sets proves that events are gone. Where they just can't be seen, it
 * throws `UNAVAILABLE`.
 */
export async function readAgain(
  { hub, partitionId }: Stream,
  from: number,
  to: number,
  { bus }: ConsumeDeps,
): Promise<{ events: readonly ReceivedEvent[]; first: number }> {
  const events = await bus.readRange(hub, partitionId, from, to, RECOVERED_AT_ONCE);
  if (events[0]?.sequenceNumber === from) return { events, first: from };
  const kept = await bus.firstSequenceNumber(hub, partitionId);
  if (kept <= from) throw new ChatError("UNAVAILABLE", `The hub does not show event ${from} right now.`);
  return { events, first: events[0]?.sequenceNumber ?? Math.min(kept, to + 1) };
}
