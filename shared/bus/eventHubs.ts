import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import {
  type EventData,
  EventHubConsumerClient,
  EventHubProducerClient,
  type ReceivedEventData,
} from "@azure/event-hubs";
import type { TokenCredential } from "@azure/identity";
import { z } from "zod";
import { REPLAY_OF } from "../events/deadLetters.js";
import { HUBS } from "../events/hubs.js";
import { MESSAGES_HUB, RECOVER_GROUP } from "../events/messages.js";
import type { Fault, OnFault } from "../platform/errors.js";
import type { EventBus, ReceivedEvent } from "./eventBus.js";
import { guardedBy } from "./guarded.js";
import { keepHubIds } from "./hubIds.js";
import { partitionOf } from "./partitionOf.js";
import { keepProducers } from "./producers.js";
import { together } from "./together.js";

/**
 * Short on purpose: a client waits for the answer. The SDK doesn't fail a send whose link was lost. The send
 * waits out its timeout and is repeated, so the worst case is about 4 x 2 s. The consumer that stores events
 * drops repeats.
 */
const RETRY = { maxRetries: 3, timeoutInMs: 2_000, retryDelayInMs: 100, maxRetryDelayInMs: 1_000 } as const;
const READ_RANGE_MS = 15_000;
/** What an event takes in a batch besides its body, roughly. */
const OVERHEAD_BYTES = 200;

/**
 * Turns off Nagle's algorithm, for which the SDK has no option. With it a small frame behind another one
 * waits up to 40 ms for that one's acknowledgement. Node publishes every client socket on this channel when
 * it makes the socket.
 */
const withoutDelay = (message: unknown): void => {
  (message as { socket: Socket }).socket.setNoDelay(true);
};
subscribe("net.client.socket", withoutDelay);

export interface EventHubsOptions {
  readonly now?: () => number;
  /** Called when the service says that something can never be done: a hub or a right is missing. */
  readonly onFault?: OnFault;
}

/** A connection string with a key, or a namespace that takes the tokens of an identity. */
export type Namespace = string | { readonly host: string; readonly credential: TokenCredential };

/**
 * Event Hubs behind the port, over AMQP. Each hub has one producer, which is opened on its first use and
 * kept while it gets answers. With an identity the SDK renews tokens by itself, over TLS alone.
 */
export function connectEventHubs(namespace: Namespace, options: EventHubsOptions = {}): EventBus {
  const { now = Date.now, onFault = () => {} } = options;
  const guarded = guardedBy(faultIn, onFault);
  const producers = keepProducers((hub) => openProducer(namespace, hub));
  const using = <Result>(
    hub: string,
    act: (producer: EventHubProducerClient) => Promise<Result>,
  ): Promise<Result> => guarded(() => producers.use(hub, act));

  const send = (hub: string, key: string, messages: EventData[]): Promise<void> =>
    using(hub, (producer) => producer.sendBatch(messages, { partitionKey: key }));
  const sendTogether = together<{ hub: string; key: string; message: EventData }>((_place, events) => {
    const { hub, key } = events[0]!;
    return send(
      hub,
      key,
      events.map(({ message }) => message),
    );
  });

  return {
    system: "eventhubs",
    publish(hub, key, event, traceparent) {
      const message = messageOf(event, traceparent);
      return sendTogether(`${hub} ${key}`, { hub, key, message }, message.body.length + OVERHEAD_BYTES);
    },
    async publishAll(hub, key, events, traceparent) {
      if (events.length === 0) return;
      await send(
        hub,
        key,
        events.map((event) => messageOf(event, traceparent)),
      );
    },
    publishAgain(hub, key, body, replayOf) {
      return send(hub, key, [{ body: Buffer.from(body), properties: { [REPLAY_OF]: replayOf } }]);
    },
    hubId: keepHubIds(async (hub) => {
      const { createdOn } = await using(hub, (producer) => producer.getEventHubProperties());
      return createdOn.toISOString();
    }, now),
    hasHub: (hub) =>
      using(hub, (producer) =>
        producer.getPartitionIds().then(
          () => true,
          (error: unknown) => {
            if (faultIn(error)?.kind === "MessagingEntityNotFoundError") return false;
            throw error;
          },
        ),
      ),
    partitionIds: (hub) => using(hub, (producer) => producer.getPartitionIds()),
    async partitionOf(hub, key) {
      const ids = await using(hub, (producer) => producer.getPartitionIds());
      return String(partitionOf(key, ids.length));
    },
    async firstSequenceNumber(hub, partitionId) {
      const partition = await using(hub, (producer) => producer.getPartitionProperties(partitionId));
      return partition.isEmpty ? partition.lastEnqueuedSequenceNumber + 1 : partition.beginningSequenceNumber;
    },
    async lastEnqueued(hub, partitionId) {
      const partition = await using(hub, (producer) => producer.getPartitionProperties(partitionId));
      const { lastEnqueuedSequenceNumber: sequenceNumber, lastEnqueuedOnUtc: on } = partition;
      return sequenceNumber < 0 ? undefined : { sequenceNumber, on };
    },
    readRange: (hub, partitionId, from, to, limit) =>
      guarded(() => readRange(namespace, hub, partitionId, from, to, limit)),
    connection(hub) {
      const open = producers.opened(hub);
      return open && connectionOf(open);
    },
    async ping() {
      await using(MESSAGES_HUB, (producer) => producer.getPartitionIds());
    },
    close: () => producers.close(),
  };
}

/**
 * The id of the client's open connection. The SDK has no public name for it; where a later one keeps it elsewhere
 * the connection counts as unknown.
 */
function connectionOf(client: EventHubProducerClient): string | undefined {
  const { connection, connectionId } = Context.safeParse(Reflect.get(client, "_context")).data ?? {};
  return connection?.isOpen() ? connectionId : undefined;
}

const Context = z.object({
  connectionId: z.string(),
  connection: z.custom<{ isOpen(): boolean }>(
    (value) =>
      typeof value === "object" && value !== null && typeof Reflect.get(value, "isOpen") === "function",
  ),
});

/** A Buffer is sent as it is. The SDK would encode a string as JSON once more. */
const messageOf = (
  event: object,
  traceparent: string | undefined,
): EventData & { readonly body: Buffer } => ({
  body: Buffer.from(JSON.stringify(event)),
  contentType: "application/json",
  ...(traceparent === undefined ? {} : { properties: { traceparent } }),
});

/** Codes of the SDK (`@azure/core-amqp`) for failures that a repetition doesn't change. */
const FAULTS = new Set(["UnauthorizedError", "MessagingEntityNotFoundError", "MessagingEntityDisabledError"]);
/**
 * How deep a fault is looked for: after its retries the SDK throws an `AggregateError` without a message, which
 * holds an error of each, which may hold others.
 */
const NESTED = 5;

/**
 * The first fault in an error, or among the errors that it holds. Its kind is the code: a text has an id and
 * a time in it.
 */
function faultIn(error: unknown, depth = 0): Fault | undefined {
  const { code, message, errors } = (error ?? {}) as { code?: unknown; message?: unknown; errors?: unknown };
  if (typeof code === "string" && FAULTS.has(code))
    return { what: `${code}: ${String(message)}`, kind: code, isOwn: code === "UnauthorizedError" };
  if (!Array.isArray(errors) || depth >= NESTED) return undefined;
  return errors.map((each) => faultIn(each, depth + 1)).find((found) => found !== undefined);
}

const openProducer = (namespace: Namespace, hub: string): EventHubProducerClient =>
  typeof namespace === "string"
    ? new EventHubProducerClient(namespace, hub, { retryOptions: RETRY })
    : new EventHubProducerClient(namespace.host, hub, namespace.credential, { retryOptions: RETRY });

/** The dead-letter hubs have no group of ours. Nobody else reads them by the one that every hub has. */
const groupOf = (hub: string): string =>
  HUBS[hub]?.consumerGroups.includes(RECOVER_GROUP) === false ? "$Default" : RECOVER_GROUP;

const openConsumer = (namespace: Namespace, hub: string): EventHubConsumerClient =>
  typeof namespace === "string"
    ? new EventHubConsumerClient(groupOf(hub), namespace, hub, { retryOptions: RETRY })
    : new EventHubConsumerClient(groupOf(hub), namespace.host, hub, namespace.credential, {
        retryOptions: RETRY,
      });

async function readRange(
  namespace: Namespace,
  hub: string,
  partitionId: string,
  from: number,
  to: number,
  limit: number,
): Promise<readonly ReceivedEvent[]> {
  const consumer = openConsumer(namespace, hub);
  try {
    const partition = await consumer.getPartitionProperties(partitionId);
    // Beyond the partition's first and last event nothing arrives, and waiting for it would end in a failure.
    const first = Math.max(from, partition.beginningSequenceNumber);
    const last = Math.min(to, first + limit - 1, partition.lastEnqueuedSequenceNumber);
    return partition.isEmpty || last < first ? [] : await collect(consumer, partitionId, first, last);
  } finally {
    await consumer.close();
  }
}

/** Receives events until `to`, or one behind it, has arrived. Rejects after 15 s. */
function collect(
  consumer: EventHubConsumerClient,
  partitionId: string,
  from: number,
  to: number,
): Promise<readonly ReceivedEvent[]> {
  const events: ReceivedEvent[] = [];
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => end(new Error(`Events ${from} to ${to} did not arrive within ${READ_RANGE_MS} ms.`)),
      READ_RANGE_MS,
    );
    const end = (error?: Error): void => {
      clearTimeout(timer);
      subscription.close().then(() => (error ? reject(error) : resolve(events)), reject);
    };
    const subscription = consumer.subscribe(
      partitionId,
      {
        async processEvents(batch) {
          events.push(...batch.filter((event) => event.sequenceNumber <= to).map(received));
          // After an empty batch (maxWaitTimeInSeconds), or an event at or behind `to`, the hub has no more
          // of the range.
          const last = batch.at(-1)?.sequenceNumber;
          if (last === undefined ? events.length > 0 : last >= to) end();
        },
        async processError(error) {
          end(error);
        },
      },
      {
        startPosition: { sequenceNumber: from, isInclusive: true },
        maxBatchSize: 300,
        maxWaitTimeInSeconds: 2,
      },
    );
  });
}

function received(event: ReceivedEventData): ReceivedEvent {
  const key = event.partitionKey ?? undefined;
  const body: unknown = event.body;
  const bytes =
    body instanceof Uint8Array ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  const traceparent: unknown = event.properties?.["traceparent"];
  const replayOf: unknown = event.properties?.[REPLAY_OF];
  return {
    sequenceNumber: event.sequenceNumber,
    key,
    body: bytes,
    ...(typeof traceparent === "string" && { traceparent }),
    ...(typeof replayOf === "string" && { replayOf }),
    enqueuedOn: event.enqueuedTimeUtc,
  };
}
