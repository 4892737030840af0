import type { PartitionOwnership } from "@azure/event-hubs";
import { BlobCheckpointStore } from "@azure/eventhubs-checkpointstore-blob";
import { ContainerClient } from "@azure/storage-blob";
import { isGone } from "./owners.js";

/**
 * The containers that the real host uses too: the one of its Event Hubs extension, and the one of its own
 * locks.
 */
type ContainerName = "azure-webjobs-eventhub" | "azure-webjobs-hosts";

/**
 * A blob container in the storage account of AzureWebJobsStorage. Throws when the connection string cannot be
 * read.
 */
export function storageContainer(connectionString: string, name: ContainerName): ContainerClient {
  try {
    return new ContainerClient(connectionString, name, {
      retryOptions: { maxTries: 2, tryTimeoutInMs: 2_000, retryDelayInMs: 100, maxRetryDelayInMs: 200 },
    });
  } catch (cause) {
    throw new Error(
      `the setting AzureWebJobsStorage is no connection string of a storage account (${(cause as Error).message}): for Azurite it is UseDevelopmentStorage=true`,
      { cause },
    );
  }
}

/**
 * The checkpoint store of the SDK, which also gives up the partitions of dead processes of this machine. A
 * host that was killed cannot give them up, and its successor would wait until the ownership expires.
 */
export class LocalCheckpointStore extends BlobCheckpointStore {
  override async listOwnership(
    ...args: Parameters<BlobCheckpointStore["listOwnership"]>
  ): Promise<PartitionOwnership[]> {
    const ownerships = await super.listOwnership(...args);
    return ownerships.map((one) => (isGone(one.ownerId) ? { ...one, ownerId: "" } : one));
  }
}
