import type { Reader } from "./hostJson.js";

const COLLECT_MS = 10;

/** `extensions.kafka` of host.json, as far as this host follows it; times in milliseconds. */
export interface KafkaSettings {
  readonly maxBatchSize: number;
  /** How long events are collected for a batch that isn't full. */
  readonly subscriberInterval: number;
  readonly autoCommitInterval: number;
  readonly sessionTimeout: number;
  /** Where a partition is read from when it has no committed offset, or one that it no longer holds. */
  readonly autoOffsetReset: "earliest" | "latest";
  readonly commitOnFailure: boolean;
  /** How often a batch runs again while `commitOnFailure` is off; -1 is without end. */
  readonly maxRetries: number;
  readonly maxPartitionFetchBytes: number;
  readonly fetchMaxBytes: number;
}

/**
 * The defaults are those of Azure's Kafka extension (its KafkaOptions) but two. Azure collects events for
 * `subscriberIntervalInSeconds`, one second, before it hands over a batch that isn't full. This host does so
 * only when host.json sets the value, as one that waits a second for each message helps nobody at a desk. Else
 * it collects for 10 ms, so that under load a call has more than a few events.
 * And it asks for at most 8 MiB at a time, where the extension's client asks for 50.
 */
export function readKafkaSettings(read: Reader): KafkaSettings {
  const at = (name: string): string => `extensions.kafka.${name}`;
  const interval = at("subscriberIntervalInSeconds");
  return {
    maxBatchSize: read.count(at("maxBatchSize"), 64, 1),
    subscriberInterval: read.find(interval) === undefined ? COLLECT_MS : read.count(interval, 1, 1) * 1_000,
    autoCommitInterval: read.count(at("autoCommitIntervalMs"), 200, 1),
    sessionTimeout: read.count(at("sessionTimeoutMs"), 10_000, 1_000),
    autoOffsetReset: offsetReset(read, at("autoOffsetReset")),
    commitOnFailure: read.flag(at("commitOnFailure")) ?? true,
    maxRetries: read.count(at("maxRetries"), 5, -1),
    maxPartitionFetchBytes: read.count(at("maxPartitionFetchBytes"), 1024 * 1024, 1),
    fetchMaxBytes: read.count(at("fetchMaxBytes"), 8 * 1024 * 1024, 1),
  };
}

function offsetReset(read: Reader, path: string): KafkaSettings["autoOffsetReset"] {
  const text = read.text(path, "earliest");
  if (/^earliest$/i.test(text)) return "earliest";
  return /^latest$/i.test(text) ? "latest" : read.fail(path, text, "earliest or latest");
}
