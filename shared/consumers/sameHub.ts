import { setTimeout as pause } from "node:timers/promises";
import type { EventBatch, EventBus } from "../bus/eventBus.js";
import { log } from "../platform/log.js";
import type { Stream } from "../store/streamPositions.js";
import type { ConsumeDeps } from "./deps.js";

const END_LOOKS = 6;
const END_PAUSE_MS = 500;

/** A trigger may bring batches of a hub that was deleted for as long as it has them in hand. */
const SUSPECT_MS = 600_000;

/** What this process knows of a partition. */
interface Seen {
  readonly hubId: string;
  /** Until then each batch is compared with the hub, as this process has seen another one of the same name. */
  readonly suspectUntil: number;
}

const seen = new Map<string, Seen>();

/**
 * Whether a batch has to be compared with its hub: for ten minutes after this process has seen that the hub was
 * made anew.
 */
export function isToBeCompared(stream: Stream, { bus, now: clock }: ConsumeDeps): boolean {
  const { hub, partitionId, hubId } = stream;
  const [place, now] = [`${bus.system} ${hub} ${partitionId}`, clock()];
  const before = seen.get(place);
  if (before?.hubId === hubId) return now < before.suspectUntil;
  seen.set(place, { hubId, suspectUntil: before ? now + SUSPECT_MS : 0 });
  return before !== undefined;
}

/**
 * Whether the batch is of the hub that is there now. A trigger may still bring a batch of one that was deleted,
 * whose numbers can fit. What a hub has is never lost by leaving out a batch: the position stays before it.
 */
export async function isInHub(
  stream: Stream,
  { events }: EventBatch,
  { bus }: ConsumeDeps,
): Promise<boolean> {
  const { sequenceNumber, body } = events[0]!;
  const isThere = await hasEvent(stream, sequenceNumber, body, bus);
  if (!isThere)
    log.error("a batch is left out that its hub does not have: the hub was made anew", {
      ...stream,
      first: sequenceNumber,
      last: events.at(-1)!.sequenceNumber,
    });
  return isThere;
}

/** An event that retention has taken counts as there. What the hub tells of its end may be a moment old. */
async function hasEvent(
  { hub, partitionId }: Stream,
  sequenceNumber: number,
  body: Uint8Array,
  bus: EventBus,
): Promise<boolean> {
  for (let look = 0; ; look += 1) {
    const [found] = await bus.readRange(hub, partitionId, sequenceNumber, sequenceNumber, 1);
    if (found) return Buffer.compare(found.body, body) === 0;
    const last = await bus.lastEnqueued(hub, partitionId);
    if (last && last.sequenceNumber >= sequenceNumber) return true;
    if (look === END_LOOKS) return false;
    await pause(END_PAUSE_MS);
  }
}
