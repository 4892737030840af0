import { randomUUID } from "node:crypto";
import { type InvocationRequest, type TypedData, unmonitored } from "./rpc.js";

export interface KafkaEvent {
  readonly partition: number;
  readonly offset: bigint;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  /** `null` is a tombstone. */
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[];
  readonly leaderEpoch: number;
}

export interface KafkaTarget {
  readonly functionId: string;
  readonly bindingName: string;
  readonly topic: string;
  readonly binary: boolean;
  readonly many: boolean;
  readonly keys: "string" | "binary";
}

/**
 * The call for a batch (`cardinality: "many"`), or for the single event in it. The metadata are named by the
 * extension's KafkaTriggerBindingStrategy, and encoded by the host's GrpcMessageConversionExtensions: bytes,
 * strings and 64-bit integers in arrays as collections, everything else as JSON.
 */
export function toKafkaInvocation(target: KafkaTarget, events: readonly KafkaEvent[]): InvocationRequest {
  return {
    invocationId: randomUUID(),
    functionId: target.functionId,
    inputData: [
      {
        name: target.bindingName,
        data: target.many ? manyBodies(target, events) : oneBody(target, events[0]!),
      },
    ],
    triggerMetadata: target.many ? manyMetadata(target, events) : oneMetadata(target, events[0]!),
    traceContext: unmonitored,
  };
}

function manyBodies(target: KafkaTarget, events: readonly KafkaEvent[]): TypedData {
  if (target.binary) return { collectionBytes: { bytes: events.map(bytesOf) } };
  return { collectionString: { string: events.map((event) => wholeEvent(target, event)) } };
}

function oneBody(target: KafkaTarget, event: KafkaEvent): TypedData {
  return target.binary ? { bytes: bytesOf(event) } : { string: wholeEvent(target, event) };
}

/** The extension gives no bytes for a tombstone (ConvertToByteArray), so that bodies and metadata line up. */
function bytesOf({ value }: KafkaEvent): Buffer {
  return value ?? Buffer.alloc(0);
}

/** Who asks for text gets the whole event as JSON, the body in its `Value` (ConvertToString). */
function wholeEvent(target: KafkaTarget, event: KafkaEvent): string {
  return JSON.stringify({
    Offset: Number(event.offset),
    Partition: event.partition,
    Topic: target.topic,
    Timestamp: timeOf(event),
    Value: event.value === null ? null : event.value.toString("utf8"),
    LeaderEpoch: event.leaderEpoch,
    IsPartitionEOF: false,
    Key: keyOf(target, event),
    Headers: headersOf(event),
  });
}

function manyMetadata(target: KafkaTarget, events: readonly KafkaEvent[]): Record<string, TypedData> {
  return {
    PartitionArray: json(events.map(({ partition }) => partition)),
    OffsetArray: { collectionSint64: { sint64: events.map(({ offset }) => Number(offset)) } },
    TimestampArray: json(events.map(timeOf)),
    TopicArray: { collectionString: { string: events.map(() => target.topic) } },
    KeyArray: json(events.map((event) => keyOf(target, event))),
    HeadersArray: json(events.map(headersOf)),
    LeaderEpochArray: json(events.map(({ leaderEpoch }) => leaderEpoch)),
    IsPartitionEOFArray: json(events.map(() => false)),
  };
}

/** The host leaves out what is null, here a key that isn't there, and gives single numbers as JSON. */
function oneMetadata(target: KafkaTarget, event: KafkaEvent): Record<string, TypedData> {
  return {
    ...oneKey(target, event),
    Partition: json(event.partition),
    Topic: { string: target.topic },
    Timestamp: json(timeOf(event)),
    Offset: json(Number(event.offset)),
    Headers: json(headersOf(event)),
    LeaderEpoch: json(event.leaderEpoch),
    IsPartitionEOF: json(false),
  };
}

function oneKey({ keys }: KafkaTarget, { key }: KafkaEvent): Record<string, TypedData> {
  if (key === null) return {};
  return { Key: keys === "binary" ? { bytes: key } : { string: key.toString("utf8") } };
}

/** In JSON, as in every array of the host's that isn't one of bytes, bytes are base64. */
function keyOf({ keys }: KafkaTarget, { key }: KafkaEvent): string | null {
  return key === null ? null : key.toString(keys === "binary" ? "base64" : "utf8");
}

function headersOf({ headers }: KafkaEvent): { Key: string; Value: string | null }[] {
  return headers.map(([name, value]) => ({
    Key: name,
    Value: value === null ? null : value.toString("base64"),
  }));
}

/** As Newtonsoft.Json writes a time: without zeros at the end of its fraction. */
function timeOf({ timestamp }: KafkaEvent): string {
  return new Date(timestamp).toISOString().replace(/\.?0+Z$/, "Z");
}

function json(value: unknown): TypedData {
  return { json: JSON.stringify(value) };
}
