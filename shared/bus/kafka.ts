import { REPLAY_OF } from "../events/deadLetters.js";
import { MESSAGES_HUB } from "../events/messages.js";
import type { OnFault } from "../platform/errors.js";
import type { EventBus } from "./eventBus.js";
import { guardedBy } from "./guarded.js";
import { keepHubIds } from "./hubIds.js";
import { createKafkaClient, type KafkaAccess, type KafkaClient, UnknownTopic } from "./kafkaClient.js";
import { faultIn } from "./kafkaErrors.js";
import { earliestOffset, nextOffset, type Place, readOffsets } from "./kafkaReads.js";
import { PartitionSender, untilDue, type Waiting } from "./kafkaSender.js";
import { partitionOf } from "./partitionOf.js";

export interface KafkaOptions {
  readonly now?: () => number;
  /** Called when the brokers say that something can never be done: a topic or a right is missing. */
  readonly onFault?: OnFault;
  /**
   * The id of a hub by another way, for brokers that tell none: Event Hubs has hubs by their creation time
   * alone.
   */
  readonly hubId?: EventBus["hubId"];
}

/**
 * Kafka behind the port: Apache Kafka, or Event Hubs by its Kafka endpoint. A hub is a topic, a sequence number
 * an offset. Topics are never made by a call.
 */
export function connectKafka(access: KafkaAccess, options: KafkaOptions = {}): EventBus {
  const { now = Date.now, onFault = () => {} } = options;
  const guarded = guardedBy(faultIn, onFault);
  const client = createKafkaClient(access);
  const send = createSenders(client);
  const publishAll = async (
    hub: string,
    key: string,
    events: readonly object[],
    traceparent: string | undefined,
  ): Promise<void> => {
    if (events.length === 0) return;
    const records = events.map((event) => recordOf(key, event, traceparent));
    await guarded(() => send(hub, key, records));
  };

  return {
    system: "kafka",
    connection: () => client.connection(),
    publish: (hub, key, event, traceparent) => publishAll(hub, key, [event], traceparent),
    publishAll: (hub, key, events, traceparent) => publishAll(hub, key, events, traceparent),
    async publishAgain(hub, key, body, replayOf) {
      const headers = new Map([[Buffer.from(REPLAY_OF), Buffer.from(replayOf)]]);
      await guarded(() => send(hub, key, [{ key: Buffer.from(key), value: Buffer.from(body), headers }]));
    },
    hubId: keepHubIds(options.hubId ?? ((hub) => guarded(() => topicId(client, hub))), now),
    hasHub: (hub) =>
      guarded(() =>
        client.topic(hub, "fresh").then(
          () => true,
          (error: unknown) => {
            if (error instanceof UnknownTopic) return false;
            throw error;
          },
        ),
      ),
    async partitionIds(hub) {
      const { partitions } = await guarded(() => client.topic(hub));
      return Array.from({ length: partitions }, (_, partition) => String(partition));
    },
    async partitionOf(hub, key) {
      const { partitions } = await guarded(() => client.topic(hub));
      return String(partitionOf(key, partitions));
    },
    firstSequenceNumber: (hub, partitionId) =>
      guarded(() => earliestOffset(client, placeOf(hub, partitionId))),
    lastEnqueued: (hub, partitionId) => guarded(() => lastOf(client, placeOf(hub, partitionId))),
    readRange: (hub, partitionId, from, to, limit) =>
      guarded(() => readOffsets(client, placeOf(hub, partitionId), from, to, limit)),
    async ping() {
      await guarded(() => client.topic(MESSAGES_HUB, "fresh"));
    },
    close: () => client.close(),
  };
}

/** Sends records of one key to its partition, which is named, so that every producer has it in the same one. */
function createSenders(client: KafkaClient) {
  const senders = new Map<string, PartitionSender>();
  const waiting: Waiting = { bytes: 0 };
  return async (
    topic: string,
    key: string,
    records: Parameters<PartitionSender["send"]>[0],
  ): Promise<void> => {
    const { partitions } = await untilDue(() => client.topic(topic));
    const partition = partitionOf(key, partitions);
    const name = `${topic} ${partition}`;
    const sender = senders.get(name) ?? new PartitionSender(topic, partition, client, waiting);
    senders.set(name, sender);
    await sender.send(records);
  };
}

const TRACEPARENT = Buffer.from("traceparent");

const recordOf = (key: string, event: object, traceparent: string | undefined) => ({
  key: Buffer.from(key),
  value: Buffer.from(JSON.stringify(event)),
  ...(traceparent !== undefined && { headers: new Map([[TRACEPARENT, Buffer.from(traceparent)]]) }),
});

function placeOf(topic: string, partitionId: string): Place {
  if (!/^\d{1,9}$/.test(partitionId))
    throw new UnknownTopic(`The topic ${topic} has no partition ${partitionId}.`);
  return { topic, partition: Number(partitionId) };
}

async function topicId(client: KafkaClient, topic: string): Promise<string> {
  const { id } = await client.topic(topic, "fresh");
  if (id === undefined) throw new Error("The brokers tell no ids of topics: Kafka 2.8 or newer is needed.");
  // As Kafka's own tools show it.
  return Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url");
}

async function lastOf(client: KafkaClient, place: Place) {
  const sequenceNumber = (await nextOffset(client, place)) - 1;
  if (sequenceNumber < 0) return undefined;
  const [last] = await readOffsets(client, place, sequenceNumber, sequenceNumber, 1);
  return { sequenceNumber, on: last?.enqueuedOn };
}
