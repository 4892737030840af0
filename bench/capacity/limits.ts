/** A number, and where it comes from. `assumed`: nobody has measured it. */
export interface Known {
  readonly value: number;
  readonly source: string;
}

const known = (value: number, source: string): Known => ({ value, source });
const PERFORMANCE = "performance guide of Web PubSub: messages of 2 KB, 99 % within a second, a unit";
const QUOTAS = "Event Hubs, quotas and FAQ of 2026-02-09, Standard";

/** Limits of the services, and what is assumed of them, by the names that the formulae use. */
export const KNOWN = {
  connectionsAUnit: known(1_000, "limits of Web PubSub"),
  usedShare: known(0.8, "chosen: a fifth is kept for a burst of reconnects, of Web PubSub and of MySQL"),
  upstreamAUnit: known(500, PERFORMANCE),
  restAUnit: known(180, `${PERFORMANCE}; calls to one user, to a small group they cost as much (assumed)`),
  outAUnit: known(3_000, PERFORMANCE),
  billedBytes: known(
    2_048,
    "Web PubSub bills a message for each 2 KB, and includes a million a unit and day",
  ),
  eventsAThroughputUnit: known(1_000, QUOTAS),
  bytesAThroughputUnit: known(1_000_000, QUOTAS),
  eventsAPartition: known(250, "half of what bench/README.md shows a partition to take on two cores"),
  batchesAPartition: known(
    60,
    "the most that the bench has seen, at 250 messages a second; more batches cost more",
  ),
  readBatchesAPartition: known(4, "shared/reads/store.ts: a batch takes a quarter of a second at least"),
  busyShare: known(0.6, "chosen: of a processor at the peak"),
  callSeconds: known(0.05, "assumed: an upstream call waits for Event Hubs and Redis; locally it takes 5 ms"),
  billedSeconds: known(1, "Flex Consumption bills an execution as one second at least"),
  freeGbSeconds: known(100_000, "Flex Consumption, on demand, a month and subscription"),
  freeExecutions: known(250_000, "Flex Consumption, on demand, a month and subscription (not confirmed)"),
  batchesACheckpoint: known(10, "host.json"),
  leaseSeconds: known(10, "the host's reader of Event Hubs renews a lease a partition (its default)"),
  pagesAMessage: known(5, "reckoned: three indexes of messages, a room, a member"),
  flushesATransaction: known(2, "redo log and binary log"),
  storageSlack: known(
    1.5,
    "assumed: random inserts leave pages two thirds full, the binary log stands beside",
  ),
  redisShare: known(0.8, "Managed Redis keeps a fifth of its memory for itself"),
  redisSlack: known(1.33, "chosen: a third more is kept free"),
  logBytesAnExecution: known(1_500, "assumed"),
  logBytesACall: known(500, "assumed"),
  secondsADay: known(86_400, "24 hours"),
} as const satisfies Readonly<Record<string, Known>>;

/** More than these can't be bought. */
export const MOST = { units: 1_000, throughputUnits: 40, partitions: 32, flexCores: 250 } as const;

/** What an instance of Flex Consumption has, by its memory in MB. */
export const INSTANCES = { 512: 0.25, 2048: 1, 4096: 2 } as const;

/**
 * Sizes of MySQL Flexible Server, from small to large (service tiers and server parameters of the docs).
 * `connections` is what `max_connections` is by itself; it may be set to twice as much, which nothing here does.
 * `cores` of a burstable one are those that it can use for long: 20 % of a core for each it has (assumed).
 */
export const MYSQL_SIZES = [
  { name: "B1ms", connections: 171, cores: 0.2, iops: 640, isBurstable: true },
  { name: "B2s", connections: 341, cores: 0.4, iops: 1_280, isBurstable: true },
  { name: "B2ms", connections: 683, cores: 0.6, iops: 1_700, isBurstable: true },
  { name: "D2ads_v5", connections: 683, cores: 2, iops: 3_200, isBurstable: false },
  { name: "D4ads_v5", connections: 1_365, cores: 4, iops: 6_400, isBurstable: false },
  { name: "D8ads_v5", connections: 2_731, cores: 8, iops: 12_800, isBurstable: false },
  { name: "D16ads_v5", connections: 5_461, cores: 16, iops: 20_000, isBurstable: false },
] as const;

/** Sizes of Azure Managed Redis, in GB. */
export const REDIS_SIZES = [
  { name: "B0", gb: 0.5 },
  { name: "B1", gb: 1 },
  { name: "B3", gb: 3 },
  { name: "B5", gb: 6 },
  { name: "B10", gb: 12 },
  { name: "B20", gb: 24 },
] as const;

/** Private endpoints: blobs, tables, Event Hubs, Web PubSub, MySQL, Redis, the vault. */
export const ENDPOINTS = 7;
