import { currentTraceparent, inSpan, SpanKind, spanContextOf, traceparentOf } from "../platform/trace.js";
import type { EventBus } from "./eventBus.js";

/**
 * The same bus, whose events carry the trace that they were published in: that of a span `send HUB`, or the
 * caller's where no provider makes spans.
 */
export function traced(bus: EventBus): EventBus {
  const sending = (
    hub: string,
    count: number,
    parent: string | undefined,
    publish: (traceparent: string | undefined) => Promise<void>,
  ): Promise<void> =>
    inSpan(
      () => ({
        name: `send ${hub}`,
        kind: SpanKind.PRODUCER,
        attributes: attributesOf(bus.system, hub, count),
        parent,
      }),
      (span) => publish(span ? traceparentOf(span) : spanContextOf(parent) ? parent : currentTraceparent()),
    );
  return {
    system: bus.system,
    publish: (hub, key, event, parent) =>
      sending(hub, 1, parent, (traceparent) => bus.publish(hub, key, event, traceparent)),
    publishAll: (hub, key, events, parent) =>
      sending(hub, events.length, parent, (traceparent) => bus.publishAll(hub, key, events, traceparent)),
    publishAgain: (...event) => bus.publishAgain(...event),
    hubId: (hub, freshness) => bus.hubId(hub, freshness),
    hasHub: (hub) => bus.hasHub(hub),
    partitionIds: (hub) => bus.partitionIds(hub),
    partitionOf: (hub, key) => bus.partitionOf(hub, key),
    firstSequenceNumber: (hub, partitionId) => bus.firstSequenceNumber(hub, partitionId),
    lastEnqueued: (hub, partitionId) => bus.lastEnqueued(hub, partitionId),
    readRange: (...range) => bus.readRange(...range),
    connection: (hub) => bus.connection(hub),
    ping: () => bus.ping(),
    close: () => bus.close(),
  };
}

/** OpenTelemetry's semantic conventions of messaging. */
const attributesOf = (system: EventBus["system"], hub: string, count: number) => ({
  "messaging.system": system,
  "messaging.operation.name": "send",
  "messaging.operation.type": "send",
  "messaging.destination.name": hub,
  ...(count > 1 && { "messaging.batch.message_count": count }),
});
