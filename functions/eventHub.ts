import { inspect } from "node:util";
import type { app, InvocationContext } from "@azure/functions";
import type { App } from "../shared/app.js";
import { atMostEvery, log } from "../shared/platform/log.js";

const SAID_MS = 60_000;

/** What becomes of a hub's events: they are stored, or what waits is read from the hub itself where it isn't known what a trigger has handed over. */
export type Consumer = App["messages"];

type Batch = Parameters<Consumer["store"]>[0];

type Members = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Members => typeof value === "object" && value !== null;

/** A member by its name in whatever case: libraries have written the first letter of some small, and left others. */
function member(of: unknown, name: string): unknown {
  if (!isObject(of)) return undefined;
  const found = Object.keys(of).find((each) => each.toLowerCase() === name.toLowerCase());
  return found === undefined ? undefined : of[found];
}

/**
 * A sequence number in any shape in which workers have sent 64-bit numbers: a number, its digits, a bigint, or the two 32-bit halves of a `Long`, of
 * which the library leaves a plain object. Nothing where it is none of these, or more than a number can hold.
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

/** A value, or what its JSON says. */
function fromJson(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}

/** A list, also as its JSON, as a typed array, or in the wrapping in which it crossed the wire (`{ sint64: […] }`). */
function listOf(value: unknown): readonly unknown[] {
  const list = fromJson(value);
  if (Array.isArray(list)) return list;
  if (ArrayBuffer.isView(list) && !(list instanceof DataView)) return Array.from(list as Uint8Array);
  const inner = isObject(list) ? Object.values(list) : [];
  return inner.length === 1 && Array.isArray(inner[0]) ? inner[0] : [];
}

/** The numbers of `count` events. Nothing unless each has one and they follow on each other, as those of a partition do. */
function following(values: readonly unknown[], count: number): readonly number[] | undefined {
  const numbers = values.map(sequenceNumberOf);
  const isRight = (number: number | undefined, index: number): number is number =>
    number !== undefined && number === numbers[0]! + index;
  return numbers.length === count && numbers.every(isRight) ? numbers : undefined;
}

/** The host drops empty strings from its list of keys, which then doesn't line up with the events; their own properties do. */
function keyOf(properties: unknown): string | undefined {
  const key = member(properties, "x-opt-partition-key") ?? member(properties, "PartitionKey");
  return typeof key === "string" ? key : undefined;
}

const numberIn = (properties: unknown): unknown =>
  member(properties, "SequenceNumber") ?? member(properties, "x-opt-sequence-number");

/** Newer extensions give the place a second time, under a longer name. */
function partitionIdOf(metadata: unknown): string | undefined {
  const contexts = ["partitionContext", "triggerPartitionContext"].map((name) =>
    fromJson(member(metadata, name)),
  );
  const ids = contexts.map((context) => member(context, "partitionId"));
  const id = ids.find((each) => typeof each === "string" || typeof each === "number");
  return id === undefined || id === "" ? undefined : String(id);
}

/** The batch as its metadata describes it; nothing where that can't be read, so that nothing is taken for stored. */
function batchOf(hub: string, bodies: unknown, metadata: unknown): Batch | undefined {
  const partitionId = partitionIdOf(metadata);
  if (partitionId === undefined || !Array.isArray(bodies)) return undefined;
  if (!bodies.every((body) => body instanceof Uint8Array)) return undefined;
  const properties = listOf(member(metadata, "systemPropertiesArray"));
  // Of their own list, or else of the properties that each event has.
  const numbers =
    following(listOf(member(metadata, "sequenceNumberArray")), bodies.length) ??
    following(properties.map(numberIn), bodies.length);
  if (!numbers) return undefined;
  const events = bodies.map((body: Uint8Array, index) => ({
    sequenceNumber: numbers[index]!,
    key: keyOf(properties[index]),
    body,
  }));
  return { hub, partitionId, events };
}

/**
 * Stores what a trigger has handed over. Where it can't be read, however often it would be handed over again, that is told, and the events are read from the
 * hub itself: the partition must not stand still because of the shape that something came in.
 */
async function consume(
  hub: string,
  bodies: unknown,
  { triggerMetadata }: InvocationContext,
  { store, catchUp }: Consumer,
  limited: ReturnType<typeof atMostEvery>,
): Promise<void> {
  const batch = batchOf(hub, bodies, triggerMetadata);
  if (batch) return store(batch);
  const partitionId = partitionIdOf(triggerMetadata);
  limited((left) =>
    log.error("what the host says of a batch can't be read, its events are read from the hub itself", {
      hub,
      partitionId,
      count: Array.isArray(bodies) ? bodies.length : undefined,
      sequenceNumbers: shapeOf(member(triggerMetadata, "sequenceNumberArray")),
      members: isObject(triggerMetadata) ? Object.keys(triggerMetadata) : undefined,
      left,
    }),
  );
  await catchUp(hub, partitionId);
}

/** Enough of a value to know what the host sends, and little of what users wrote. */
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
  // As likely as not it is every batch.
  const limited = atMostEvery(SAID_MS);
  return {
    connection: "EVENT_HUBS_CONNECTION",
    eventHubName,
    consumerGroup,
    cardinality: "many",
    // Bytes as they are: an event that isn't JSON must reach the dead-letter hub unchanged.
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
