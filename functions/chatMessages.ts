import { app, type InvocationContext } from "@azure/functions";
import { getApp } from "../shared/app.js";

const chat = getApp();

interface PartitionContext {
  readonly eventHubName: string;
  readonly partitionId: string;
}

/**
 * The batch as its trigger metadata describes it. Keys come from the system properties: the host drops empty strings from
 * its array of partition keys, which then doesn't line up with the events.
 */
function batchOf(bodies: readonly Uint8Array[], { triggerMetadata = {} }: InvocationContext) {
  const { eventHubName, partitionId } = lowerFirst(
    triggerMetadata["partitionContext"],
  ) as unknown as PartitionContext;
  const sequenceNumbers = triggerMetadata["sequenceNumberArray"] as readonly number[];
  const properties = triggerMetadata["systemPropertiesArray"] as readonly Readonly<Record<string, unknown>>[];
  const events = bodies.map((body, index) => ({
    sequenceNumber: Number(sequenceNumbers[index]),
    key: keyOf(properties[index]),
    body,
  }));
  return { hub: eventHubName, partitionId, events };
}

const keyOf = (properties: Readonly<Record<string, unknown>> | undefined): string | undefined => {
  const key =
    properties?.["x-opt-partition-key"] ?? properties?.["PartitionKey"] ?? properties?.["partitionKey"];
  return typeof key === "string" ? key : undefined;
};

const lowerFirst = (context: unknown): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(context as object).map(([name, value]) => [name[0]!.toLowerCase() + name.slice(1), value]),
  );

app.eventHub("chatMessages", {
  connection: "EVENT_HUBS_CONNECTION",
  eventHubName: "chat-messages",
  consumerGroup: "chat-persist",
  cardinality: "many",
  // Bytes as they are: an event that isn't JSON must reach the dead-letter hub unchanged.
  dataType: "binary",
  retry: {
    strategy: "exponentialBackoff",
    maxRetryCount: -1,
    minimumInterval: { seconds: 1 },
    maximumInterval: { seconds: 30 },
  },
  handler: (bodies, context) => chat.storeMessages(batchOf(bodies as Uint8Array[], context)),
} as Parameters<typeof app.eventHub>[1]);
