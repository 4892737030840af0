import type { app, InvocationContext } from "@azure/functions";
import { z } from "zod";

/** What of the trigger's metadata says where the events stand. The library writes each member's first letter small, but not those inside. */
const Metadata = z.object({
  partitionContext: z
    .record(z.string(), z.unknown())
    .transform((context) => ({
      hub: context["eventHubName"] ?? context["EventHubName"],
      partitionId: context["partitionId"] ?? context["PartitionId"],
    }))
    .pipe(z.object({ hub: z.string(), partitionId: z.string() })),
  sequenceNumberArray: z
    .array(z.coerce.number().pipe(z.int().min(0)))
    .refine(
      (numbers) => numbers.every((number, index) => index === 0 || number > numbers[index - 1]!),
      "must rise",
    ),
  /** Keys come from here: the host drops empty strings from its array of keys, which then doesn't line up with the events. */
  systemPropertiesArray: z.array(z.record(z.string(), z.unknown())),
});

/** The batch as its metadata describes it; throws when that is not what the host says, so that nothing is taken for stored. */
function batchOf(bodies: readonly Uint8Array[], { triggerMetadata }: InvocationContext) {
  const { partitionContext, sequenceNumberArray, systemPropertiesArray } = Metadata.parse(triggerMetadata);
  if (sequenceNumberArray.length !== bodies.length)
    throw new Error(
      `the host gave ${bodies.length} events and ${sequenceNumberArray.length} sequence numbers`,
    );
  const events = bodies.map((body, index) => ({
    sequenceNumber: sequenceNumberArray[index]!,
    key: keyOf(systemPropertiesArray[index]),
    body,
  }));
  return { ...partitionContext, events };
}

const keyOf = (properties: Readonly<Record<string, unknown>> | undefined): string | undefined => {
  const key = properties?.["x-opt-partition-key"] ?? properties?.["PartitionKey"];
  return typeof key === "string" ? key : undefined;
};

type EventHubOptions = Parameters<typeof app.eventHub>[1];

/** The trigger of one of our hubs. */
export function batchesOf(
  eventHubName: string,
  consumerGroup: string,
  handle: (batch: ReturnType<typeof batchOf>) => Promise<void>,
): EventHubOptions {
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
      handle(batchOf(bodies as Uint8Array[], context)),
  } as EventHubOptions;
}
