/** Limits of the services, and what is assumed where nobody has measured. Each with its source. */
export const LIMITS = {
  /** Web PubSub counts 1,000 connections a unit (service limits). A fifth is kept for a burst of reconnects. */
  connectionsAUnit: 1_000,
  usedShare: 0.8,
  /**
   * The performance guide of Web PubSub, messages of 2 KB, 99 % within a second: a unit takes 500 upstream
   * messages a second, 180 REST calls to a user (those to a small group cost as much) and sends 3,000.
   */
  upstreamAUnit: 500,
  restAUnit: 180,
  outAUnit: 3_000,
  mostUnits: 1_000,
  /** An outbound message is billed for each 2 KB. A unit includes a million of them a day. */
  billedBytes: 2_048,
  /** Event Hubs Standard (FAQ of 2026-02-09): a throughput unit takes 1,000 events or 1 MB a second. */
  eventsAThroughputUnit: 1_000,
  bytesAThroughputUnit: 1_000_000,
  mostThroughputUnits: 40,
  /** Event Hubs Standard (quotas): partitions of a hub. */
  mostPartitions: 32,
  /** `bench/README.md`: 500 a second and partition were stored and shown on two cores. Half of it is planned. */
  eventsAPartition: 250,
  /**
   * Batches of a partition in a second. On the local stack there were 15 at 200 messages a second on idle
   * processors, and fewer and larger ones on busy ones. More batches cost more, so the most is planned.
   */
  batchesAPartition: 15,
  /** Read batches take a quarter of a second at least (`shared/reads/store.ts`). */
  readBatchesAPartition: 4,
  /** Of a processor that is planned to be used at the peak. */
  busyShare: 0.6,
  /** Flex Consumption: cores of a region and subscription, until a higher quota is asked for. */
  flexCores: 250,
  /** An upstream call waits for Event Hubs and Redis on Azure. Assumed, locally it takes 5 ms. */
  callSeconds: 0.05,
  /** Flex Consumption bills an execution as one second at least. Assumed: they come at random moments. */
  billedSeconds: 1,
  /** Of on-demand execution, free each month. */
  freeGbSeconds: 100_000,
  freeExecutions: 250_000,
  /** The host writes a checkpoint for each tenth batch (`host.json`), and renews each lease every 10 s. */
  batchesACheckpoint: 10,
  leaseSeconds: 10,
  /** Pages that one message dirties at most: three indexes of `messages`, a room, a member. Reckoned. */
  pagesAMessage: 5,
  /** A commit flushes the redo log and the binary log. */
  flushesATransaction: 2,
  /** Random inserts leave InnoDB's pages two thirds full, and the binary log stands beside them. Assumed. */
  storageSlack: 1.5,
  /** Managed Redis keeps a fifth of its memory for itself. A third more is kept free. */
  redisShare: 0.8,
  redisSlack: 1.33,
  /** What Application Insights takes in for an execution: the request and what belongs to it. Assumed. */
  logBytesAnExecution: 1_500,
  /** A row of Web PubSub's log of REST calls. Assumed. */
  logBytesACall: 500,
  secondsADay: 86_400,
} as const;

/** What an instance of Flex Consumption has, by its memory in MB. */
export const INSTANCES = { 512: 0.25, 2048: 1, 4096: 2 } as const;

/**
 * Sizes of MySQL Flexible Server, from small to large (service tiers and server parameters of the docs).
 * `cores` of a burstable one are those that it can use for long: 20 % of a core for each it has (assumed).
 */
export const MYSQL_SIZES = [
  { name: "B1ms", connections: 341, cores: 0.2, iops: 640, isBurstable: true },
  { name: "B2s", connections: 683, cores: 0.4, iops: 1_280, isBurstable: true },
  { name: "B2ms", connections: 1_365, cores: 0.6, iops: 1_700, isBurstable: true },
  { name: "D2ads_v5", connections: 1_365, cores: 2, iops: 3_200, isBurstable: false },
  { name: "D4ads_v5", connections: 2_731, cores: 4, iops: 6_400, isBurstable: false },
  { name: "D8ads_v5", connections: 5_461, cores: 8, iops: 12_800, isBurstable: false },
  { name: "D16ads_v5", connections: 10_923, cores: 16, iops: 20_000, isBurstable: false },
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

/** Private endpoints: blobs, tables, queues, Event Hubs, Web PubSub, MySQL, Redis, and the vault. */
export const ENDPOINTS = 8;
