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

/** Of a host that says nothing for so long, the partitions are free. */
export const OWNERSHIP_MS = 15_000;
/** An ownership is renewed, and looked at where all are this host's, no more often than this. */
const RENEWED_MS = OWNERSHIP_MS / 3;

/**
 * The checkpoint store of the SDK for one consumer, which also gives up the partitions of dead processes of this
 * machine. A host that was killed cannot give them up, and its successor would wait until the ownership expires.
 *
 * The SDK asks each second, so that one of several hosts soon takes over from another one. Most of those questions it
 * answers itself: an ownership that was written a moment ago is not written again, and where all partitions are this
 * host's, no others are looked for but once in a while. Another host takes its share without that.
 */
export class LocalCheckpointStore extends BlobCheckpointStore {
  /** What was listed last, and what was claimed since, by partition. */
  #known = new Map<string, PartitionOwnership>();
  #listedAt = Number.NEGATIVE_INFINITY;
  /** What this host has written of each partition, and when. */
  readonly #written = new Map<string, { readonly etag: string; readonly at: number }>();

  override async listOwnership(
    ...args: Parameters<BlobCheckpointStore["listOwnership"]>
  ): Promise<PartitionOwnership[]> {
    const known = [...this.#known.values()];
    const isSettled = known.length > 0 && known.every((one) => this.#isOurs(one));
    if (isSettled && performance.now() - this.#listedAt < RENEWED_MS) return known;
    const listed = await super.listOwnership(...args);
    const ownerships = listed.map((one) => (isGone(one.ownerId) ? { ...one, ownerId: "" } : one));
    this.#known = new Map(ownerships.map((one) => [one.partitionId, one]));
    this.#listedAt = performance.now();
    return ownerships;
  }

  override async claimOwnership(
    ...[ownerships, options]: Parameters<BlobCheckpointStore["claimOwnership"]>
  ): Promise<PartitionOwnership[]> {
    const fresh = ownerships.filter((one) => this.#isFresh(one));
    const due = ownerships.filter((one) => !fresh.includes(one));
    const listedAt = this.#listedAt;
    this.lookAgain();
    const claimed = await super.claimOwnership(due, options);
    for (const one of claimed) {
      this.#known.set(one.partitionId, one);
      this.#written.set(one.partitionId, { etag: bare(one.etag), at: performance.now() });
    }
    if (claimed.length === due.length) this.#listedAt = listedAt;
    return [...fresh, ...claimed];
  }

  /** The next question is asked of the storage, as where another host has taken a partition. */
  lookAgain(): void {
    this.#listedAt = Number.NEGATIVE_INFINITY;
  }

  /** Claimed by this host, and by nobody since. */
  #isOurs({ partitionId, ownerId, etag }: PartitionOwnership): boolean {
    return ownerId !== "" && this.#written.get(partitionId)?.etag === bare(etag);
  }

  #isFresh(one: PartitionOwnership): boolean {
    const { partitionId } = one;
    const isSoon = performance.now() - (this.#written.get(partitionId)?.at ?? 0) < RENEWED_MS;
    return isSoon && this.#isOurs(one);
  }
}

/** A header has the tag in quotes, a list may have it without. */
const bare = (etag = ""): string => etag.replaceAll('"', "");
