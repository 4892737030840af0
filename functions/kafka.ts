import type { app, InvocationContext } from "@azure/functions";
import type { KafkaTrigger } from "../shared/app.js";
import { atMostEvery, log } from "../shared/platform/log.js";
import { inTraceOf } from "../shared/platform/trace.js";
import { isObject, listOf, member, sequenceNumberOf, shapeOf, timeOf } from "./metadata.js";
import { type Batch, type Consumer, FOR_EVER, MANY_AS_BYTES, SAID_MS } from "./trigger.js";

type Event = Batch["events"][number];

/** The headers' values come as base64, or as the text itself. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** The place of a dead letter: `HUB/PARTITION/NUMBER`. */
const LETTER = /^[A-Za-z0-9._-]+\/\d+\/\d+$/;

function headerOf(headers: unknown, name: string, shape: RegExp): string | undefined {
  const header = listOf(headers).find((each) => member(each, "key") === name);
  const value = member(header, "value");
  if (typeof value !== "string") return undefined;
  return [value, Buffer.from(value, "base64").toString()].find((text) => shape.test(text));
}

/** The event's trace, and the dead letter that it is the replay of, by the headers its publisher gave it. */
function marksOf(headers: unknown): { readonly traceparent?: string; readonly replayOf?: string } {
  const traceparent = headerOf(headers, "traceparent", TRACEPARENT);
  const replayOf = headerOf(headers, "chat-replay-of", LETTER);
  return { ...(traceparent && { traceparent }), ...(replayOf && { replayOf }) };
}

/**
 * The events of each partition, as the metadata describes them. Nothing where the metadata can't be read, so
 * that no event is taken for stored. A batch has events of several partitions, in order in each.
 */
function batchesIn(hub: string, bodies: unknown, metadata: unknown): readonly Batch[] | undefined {
  if (!Array.isArray(bodies) || !bodies.every((body) => body instanceof Uint8Array)) return undefined;
  const listed = (name: string): readonly unknown[] => listOf(member(metadata, name));
  const [partitions, offsets] = ["partitionArray", "offsetArray"].map((name) =>
    listed(name).map(sequenceNumberOf),
  );
  if (partitions?.length !== bodies.length || offsets?.length !== bodies.length) return undefined;
  const [keys, headers, times] = [listed("keyArray"), listed("headersArray"), listed("timestampArray")];
  const byPartition = new Map<string, Event[]>();
  for (const [index, body] of bodies.entries()) {
    const [partition, sequenceNumber, key] = [partitions[index], offsets[index], keys[index]];
    if (partition === undefined || sequenceNumber === undefined) return undefined;
    const events = byPartition.get(String(partition)) ?? [];
    byPartition.set(String(partition), events);
    if (sequenceNumber <= (events.at(-1)?.sequenceNumber ?? -1)) return undefined;
    // The host leaves empty strings out of its lists, and then no key is at its event's place.
    const ownKey = keys.length === bodies.length && typeof key === "string" ? key : undefined;
    const time = timeOf(times.length === bodies.length ? times[index] : undefined);
    events.push({ sequenceNumber, key: ownKey, body, ...marksOf(headers[index]), ...time });
  }
  return [...byPartition].map(([partitionId, events]) => ({ hub, partitionId, events }));
}

/**
 * Stores what a trigger has handed over, all partitions at once. A batch that can't be read is read from the
 * brokers themselves, as with the other trigger.
 */
async function consume(
  hub: string,
  bodies: unknown,
  { triggerMetadata, traceContext }: InvocationContext,
  { store, catchUp }: Consumer,
  limited: ReturnType<typeof atMostEvery>,
): Promise<void> {
  const batches = batchesIn(hub, bodies, triggerMetadata);
  if (!batches) {
    limited((suppressed) =>
      log.error("what the host says of a batch can't be read, its events are read from the brokers", {
        hub,
        count: Array.isArray(bodies) ? bodies.length : undefined,
        offsets: shapeOf(member(triggerMetadata, "offsetArray")),
        partitions: shapeOf(member(triggerMetadata, "partitionArray")),
        members: isObject(triggerMetadata) ? Object.keys(triggerMetadata) : undefined,
        suppressed,
      }),
    );
    return catchUp(hub, undefined);
  }
  // Each partition goes as far as it can. Then the host brings all again, and what is stored is passed over.
  const stored = await inTraceOf(traceContext?.traceParent, () => Promise.allSettled(batches.map(store)));
  const failed = stored.find((one) => one.status === "rejected");
  if (failed) throw failed.reason;
}

type GenericOptions = Parameters<typeof app.generic>[1];

/** The Kafka trigger of one of our hubs, which the library has no name of its own for. */
export function kafkaBatchesOf(
  topic: string,
  consumerGroup: string,
  consumer: Consumer,
  trigger: KafkaTrigger,
): GenericOptions {
  const limited = atMostEvery(SAID_MS);
  return {
    trigger: {
      type: "kafkaTrigger",
      name: "events",
      direction: "in",
      brokerList: "%KAFKA_BROKERS%",
      topic,
      consumerGroup,
      ...MANY_AS_BYTES,
      ...trigger,
    },
    retry: FOR_EVER,
    handler: (bodies: unknown, context: InvocationContext) =>
      consume(topic, bodies, context, consumer, limited),
  } as GenericOptions;
}
