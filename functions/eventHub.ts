import type { app, InvocationContext } from "@azure/functions";
import { atMostEvery, log } from "../shared/platform/log.js";
import { inTraceOf } from "../shared/platform/trace.js";
import { fromJson, isObject, listOf, member, sequenceNumberOf, shapeOf, timeOf } from "./metadata.js";
import { type Batch, type Consumer, FOR_EVER, MANY_AS_BYTES, SAID_MS } from "./trigger.js";

/**
 * The sequence numbers of `count` events. Nothing unless each event has one, and each number is the one
 * before plus one, as in a partition.
 */
function following(values: readonly unknown[], count: number): readonly number[] | undefined {
  const numbers = values.map(sequenceNumberOf);
  const isRight = (number: number | undefined, index: number): number is number =>
    number !== undefined && number === numbers[0]! + index;
  return numbers.length === count && numbers.every(isRight) ? numbers : undefined;
}

/**
 * An event's key, by its own properties. The host's list of keys does not line up with the events, because it
 * drops empty strings.
 */
function keyOf(properties: unknown): string | undefined {
  const key = member(properties, "x-opt-partition-key") ?? member(properties, "PartitionKey");
  return typeof key === "string" ? key : undefined;
}

/** The event's trace, and the dead letter that it is the replay of, by the properties its publisher gave it. */
function marksOf(properties: unknown): { readonly traceparent?: string; readonly replayOf?: string } {
  const [traceparent, replayOf] = [member(properties, "traceparent"), member(properties, "chat-replay-of")];
  return {
    ...(typeof traceparent === "string" && { traceparent }),
    ...(typeof replayOf === "string" && { replayOf }),
  };
}

const numberIn = (properties: unknown): unknown =>
  member(properties, "SequenceNumber") ?? member(properties, "x-opt-sequence-number");

/** Newer extensions give the partition a second time, under a longer name. */
function partitionIdOf(metadata: unknown): string | undefined {
  const contexts = ["partitionContext", "triggerPartitionContext"].map((name) =>
    fromJson(member(metadata, name)),
  );
  const ids = contexts.map((context) => member(context, "partitionId"));
  const id = ids.find((each) => typeof each === "string" || typeof each === "number");
  return id === undefined || id === "" ? undefined : String(id);
}

/**
 * The batch as its metadata describes it. Nothing where the metadata can't be read, so that no event is taken
 * for stored.
 */
function batchOf(hub: string, bodies: unknown, metadata: unknown): Batch | undefined {
  const partitionId = partitionIdOf(metadata);
  if (partitionId === undefined || !Array.isArray(bodies)) return undefined;
  if (!bodies.every((body) => body instanceof Uint8Array)) return undefined;
  const properties = listOf(member(metadata, "systemPropertiesArray"));
  // They stand in a list of their own, and again in each event's properties.
  const numbers =
    following(listOf(member(metadata, "sequenceNumberArray")), bodies.length) ??
    following(properties.map(numberIn), bodies.length);
  if (!numbers) return undefined;
  const own = listOf(member(metadata, "propertiesArray"));
  const times = listOf(member(metadata, "enqueuedTimeUtcArray"));
  const events = bodies.map((body: Uint8Array, index) => ({
    sequenceNumber: numbers[index]!,
    key: keyOf(properties[index]),
    body,
    ...marksOf(own[index]),
    ...timeOf(times.length === bodies.length ? times[index] : undefined),
  }));
  return { hub, partitionId, events };
}

/**
 * Stores what a trigger has handed over. A batch that can't be read would not be readable the next time
 * either. That is logged, and the events are read from the hub itself: a partition must not stand still
 * because of a shape.
 */
async function consume(
  hub: string,
  bodies: unknown,
  { triggerMetadata, traceContext }: InvocationContext,
  { store, catchUp }: Consumer,
  limited: ReturnType<typeof atMostEvery>,
): Promise<void> {
  const batch = batchOf(hub, bodies, triggerMetadata);
  // The host's span of the invocation, where it has one. The events' own traces come with them.
  if (batch) return inTraceOf(traceContext?.traceParent, () => store(batch));
  const partitionId = partitionIdOf(triggerMetadata);
  limited((suppressed) =>
    log.error("what the host says of a batch can't be read, its events are read from the hub itself", {
      hub,
      partitionId,
      count: Array.isArray(bodies) ? bodies.length : undefined,
      sequenceNumbers: shapeOf(member(triggerMetadata, "sequenceNumberArray")),
      members: isObject(triggerMetadata) ? Object.keys(triggerMetadata) : undefined,
      suppressed,
    }),
  );
  await catchUp(hub, partitionId);
}

type EventHubOptions = Parameters<typeof app.eventHub>[1];

/** The trigger of one of our hubs. */
export function batchesOf(eventHubName: string, consumerGroup: string, consumer: Consumer): EventHubOptions {
  const limited = atMostEvery(SAID_MS);
  return {
    connection: "EVENT_HUBS_CONNECTION",
    eventHubName,
    consumerGroup,
    ...MANY_AS_BYTES,
    retry: FOR_EVER,
    handler: (bodies: unknown, context: InvocationContext) =>
      consume(eventHubName, bodies, context, consumer, limited),
  } as EventHubOptions;
}
