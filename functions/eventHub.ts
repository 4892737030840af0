import { inspect } from "node:util";
import type { app, InvocationContext } from "@azure/functions";
import type { App } from "../shared/app.js";
import { atMostEvery, log } from "../shared/platform/log.js";
import { inTraceOf } from "../shared/platform/trace.js";

const SAID_MS = 60_000;

/**
 * Stores a hub's events. Where it can't be known which events a trigger has handed over, `catchUp` reads what
 * waits from the hub itself.
 */
export type Consumer = App["messages"];

type Batch = Parameters<Consumer["store"]>[0];

type Members = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Members => typeof value === "object" && value !== null;

/**
 * A member by its name in any case: libraries have made the first letter of some names small, and left
 * others.
 */
function member(of: unknown, name: string): unknown {
  if (!isObject(of)) return undefined;
  const found = Object.keys(of).find((each) => each.toLowerCase() === name.toLowerCase());
  return found === undefined ? undefined : of[found];
}

/**
 * A sequence number. Workers have sent 64-bit numbers in several shapes: a number, its digits, a bigint, or
 * the two 32-bit halves of a `Long`, which arrives as a plain object. Nothing for any other shape, and for a
 * number that is larger than a safe integer.
 */
function sequenceNumberOf(value: unknown): number | undefined {
  const number = plainNumber(value);
  return number !== undefined && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

function plainNumber(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string") return /^\d{1,16}$/.test(value) ? Number(value) : undefined;
  const [low, high] = [member(value, "low"), member(value, "high")];
  if (!Number.isInteger(low) || !Number.isInteger(high)) return undefined;
  return (high as number) * 2 ** 32 + ((low as number) >>> 0);
}

/** A value, parsed if it is JSON text. Nothing for text that is no JSON. */
function fromJson(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/**
 * A list: an array, its JSON, a typed array, or the object in which it crossed the wire (`{ sint64: […] }`).
 */
function listOf(value: unknown): readonly unknown[] {
  const list = fromJson(value);
  if (Array.isArray(list)) return list;
  if (ArrayBuffer.isView(list) && !(list instanceof DataView)) return Array.from(list as Uint8Array);
  const inner = isObject(list) ? Object.values(list) : [];
  return inner.length === 1 && Array.isArray(inner[0]) ? inner[0] : [];
}

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

/** The trace that an event was published with, by the properties that its publisher gave it. */
function traceOf(properties: unknown): { readonly traceparent?: string } {
  const traceparent = member(properties, "traceparent");
  return typeof traceparent === "string" ? { traceparent } : {};
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
  const events = bodies.map((body: Uint8Array, index) => ({
    sequenceNumber: numbers[index]!,
    key: keyOf(properties[index]),
    body,
    ...traceOf(own[index]),
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

/** Enough of a value to see what the host sends, and little of what users wrote. */
const shapeOf = (value: unknown): string =>
  inspect(value, {
    depth: 2,
    maxArrayLength: 3,
    maxStringLength: 50,
    breakLength: Number.POSITIVE_INFINITY,
  }).slice(0, 200);

type EventHubOptions = Parameters<typeof app.eventHub>[1];

/** The trigger of one of our hubs. */
export function batchesOf(eventHubName: string, consumerGroup: string, consumer: Consumer): EventHubOptions {
  // If one batch can't be read, probably none can.
  const limited = atMostEvery(SAID_MS);
  return {
    connection: "EVENT_HUBS_CONNECTION",
    eventHubName,
    consumerGroup,
    cardinality: "many",
    // The bytes as they are: an event that isn't JSON must reach the dead-letter hub unchanged.
    dataType: "binary",
    retry: {
      strategy: "exponentialBackoff",
      maxRetryCount: -1,
      minimumInterval: { seconds: 1 },
      maximumInterval: { seconds: 30 },
    },
    handler: (bodies: unknown, context: InvocationContext) =>
      consume(eventHubName, bodies, context, consumer, limited),
  } as EventHubOptions;
}
