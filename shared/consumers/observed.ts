import type { EventBatch, EventBus } from "../bus/eventBus.js";
import { measure } from "../platform/measures.js";
import { inSpan, linksTo, SpanKind } from "../platform/trace.js";
import type { Stream } from "../store/streamPositions.js";

type System = EventBus["system"];

/** OpenTelemetry's semantic conventions of messaging. */
const attributesOf = (system: System, { hub, partitionId, events }: EventBatch) => ({
  "messaging.system": system,
  "messaging.operation.name": "process",
  "messaging.operation.type": "process",
  "messaging.destination.name": hub,
  "messaging.destination.partition.id": partitionId,
  "messaging.batch.message_count": events.length,
  "chat.sequence_number.first": events[0]!.sequenceNumber,
  "chat.sequence_number.last": events.at(-1)!.sequenceNumber,
});

/** Handles events in a span of their own, which links to the trace of each. */
export const processing = <T>(system: System, batch: EventBatch, work: () => Promise<T>): Promise<T> =>
  inSpan(
    () => ({
      name: `process ${batch.hub}`,
      kind: SpanKind.CONSUMER,
      attributes: attributesOf(system, batch),
      links: linksTo(batch.events),
    }),
    work,
  );

/** The same for a batch as the trigger has handed it over, whose size and time are measured. */
export async function observed(system: System, batch: EventBatch, work: () => Promise<void>): Promise<void> {
  const began = performance.now();
  const record = (outcome: "ok" | "failed"): void =>
    measure.batch(batch.hub, batch.events.length, outcome, () => (performance.now() - began) / 1_000);
  try {
    await processing(system, batch, work);
    record("ok");
  } catch (error) {
    record("failed");
    throw error;
  }
}

/** A step of handling events of a stream, in a span within that of the batch. */
export const step = <T>(
  name: "store" | "broadcast",
  { hub, partitionId }: Pick<Stream, "hub" | "partitionId">,
  events: number,
  work: () => Promise<T>,
): Promise<T> =>
  inSpan(
    () => ({
      name: `${name} ${hub}`,
      attributes: {
        "messaging.destination.name": hub,
        "messaging.destination.partition.id": partitionId,
        "chat.events": events,
      },
    }),
    work,
  );
