import { randomUUID } from "node:crypto";
import type { PartitionContext, ReceivedEventData } from "@azure/event-hubs";
import { type InvocationRequest, type TypedData, unmonitored } from "./rpc.js";

type Place = Pick<
  PartitionContext,
  "fullyQualifiedNamespace" | "eventHubName" | "consumerGroup" | "partitionId"
>;

export interface TriggerTarget {
  readonly functionId: string;
  readonly bindingName: string;
  readonly binary: boolean;
  readonly many: boolean;
}

/** The call for a batch (`cardinality: "many"`) or for the single event in it, with its trigger metadata. */
export function toInvocation(
  target: TriggerTarget,
  events: readonly ReceivedEventData[],
  place: Place,
): InvocationRequest {
  const bodies = events.map(bodyOf);
  return {
    invocationId: randomUUID(),
    functionId: target.functionId,
    inputData: [
      {
        name: target.bindingName,
        data: target.many ? manyBodies(bodies, target.binary) : oneBody(bodies[0]!, target.binary),
      },
    ],
    triggerMetadata: {
      PartitionContext: json({
        FullyQualifiedNamespace: place.fullyQualifiedNamespace,
        EventHubName: place.eventHubName,
        ConsumerGroup: place.consumerGroup,
        PartitionId: place.partitionId,
        IsCheckpointingAfterInvocation: true,
      }),
      ...(target.many ? manyMetadata(events) : oneMetadata(events[0]!)),
    },
    traceContext: unmonitored,
  };
}

function manyBodies(bodies: Buffer[], binary: boolean): TypedData {
  if (binary) return { collectionBytes: { bytes: bodies } };
  return { collectionString: { string: bodies.map((body) => body.toString("utf8")) } };
}

function oneBody(body: Buffer, binary: boolean): TypedData {
  return binary ? { bytes: body } : { string: body.toString("utf8") };
}

/**
 * The host turns arrays of strings into collections without the empty ones, so there can be fewer keys than
 * events.
 */
function manyMetadata(events: readonly ReceivedEventData[]): Record<string, TypedData> {
  const strings = (values: string[]) => ({
    collectionString: { string: values.filter((value) => value !== "") },
  });
  return {
    PartitionKeyArray: strings(events.map((event) => event.partitionKey ?? "")),
    OffsetArray: strings(events.map((event) => String(event.offset))),
    SequenceNumberArray: { collectionSint64: { sint64: events.map((event) => event.sequenceNumber) } },
    EnqueuedTimeUtcArray: json(events.map((event) => event.enqueuedTimeUtc)),
    PropertiesArray: json(events.map((event) => event.properties ?? {})),
    SystemPropertiesArray: json(events.map(systemProperties)),
  };
}

function oneMetadata(event: ReceivedEventData): Record<string, TypedData> {
  return {
    ...(event.partitionKey && { PartitionKey: { string: event.partitionKey } }),
    Offset: { string: String(event.offset) },
    SequenceNumber: { int: event.sequenceNumber },
    EnqueuedTimeUtc: json(event.enqueuedTimeUtc),
    Properties: json(event.properties ?? {}),
    SystemProperties: json(systemProperties(event)),
  };
}

/**
 * The host gives each of these twice, by the name of its AMQP annotation and by that of its .NET property.
 */
function systemProperties(event: ReceivedEventData): Record<string, unknown> {
  const { sequenceNumber, offset, enqueuedTimeUtc, partitionKey } = event;
  return {
    // The SDK takes these out of the others, which are the publisher's.
    "x-opt-sequence-number": sequenceNumber,
    "x-opt-offset": offset,
    "x-opt-enqueued-time": enqueuedTimeUtc,
    ...event.systemProperties,
    ...(partitionKey != null && { "x-opt-partition-key": partitionKey }),
    SequenceNumber: sequenceNumber,
    Offset: offset,
    PartitionKey: partitionKey ?? null,
    EnqueuedTimeUtc: enqueuedTimeUtc,
  };
}

function bodyOf({ body }: ReceivedEventData): Buffer {
  if (Buffer.isBuffer(body)) return body;
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return Buffer.from(typeof body === "string" ? body : (JSON.stringify(body) ?? ""));
}

function json(value: unknown): TypedData {
  // 64-bit integers in properties that are too large for a number arrive as bigint, which JSON does not have.
  return { json: JSON.stringify(value, (_, part) => (typeof part === "bigint" ? part.toString() : part)) };
}
