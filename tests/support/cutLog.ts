import { readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { decodeRecord } from "../../local/eventHubs/record.js";
import type { BusName } from "../../local/stackBuses.js";

/** A file of a partition with nothing but events that were sent one by one, and where each of them ends. */
interface Log {
  readonly partition: string;
  readonly file: string;
  readonly ends: readonly number[];
}

/**
 * Of the partition of `hub` with the most events, the log keeps only the first `count`: as after a failover to
 * a copy that lacks the rest. The stack of the folder must not run.
 */
export function cutLog(bus: BusName, folder: string, hub: string, count: number): void {
  const logs = bus === "kafka" ? kafkaLogs(folder, hub) : eventHubsLogs(folder, hub);
  const { partition, file, ends } = logs.reduce((most, one) =>
    one.ends.length > most.ends.length ? one : most,
  );
  const end = ends[count - 1];
  if (end === undefined || ends.length === count) throw new Error(`${file} has only ${ends.length} events`);
  truncateSync(file, end);
  // What else says how far the log went.
  for (const name of readdirSync(partition))
    if (/^flushed$|\.(index|timeindex|snapshot)$/.test(name)) rmSync(join(partition, name));
  if (bus === "kafka")
    for (const name of readdirSync(join(partition, "..")))
      if (/^(recovery-point|replication)-offset-checkpoint$|^\.kafka_cleanshutdown$/.test(name))
        rmSync(join(partition, "..", name));
}

function eventHubsLogs(folder: string, hub: string): Log[] {
  const partitions = join(folder, "eventHubs", hub);
  return readdirSync(partitions)
    .filter((name) => name !== "hub.json")
    .map((id) => logOf(join(partitions, id), (bytes, at) => decodeRecord(bytes, at)!.end));
}

/** A record batch begins with its first offset (8 bytes) and the number of bytes behind the next four. */
function kafkaLogs(folder: string, topic: string): Log[] {
  const files = join(folder, "kafka", "files");
  return readdirSync(files)
    .filter((name) => name.startsWith(`${topic}-`) && /^\d+$/.test(name.slice(topic.length + 1)))
    .map((name) => logOf(join(files, name), (bytes, at) => at + 12 + bytes.readInt32BE(at + 8)));
}

function logOf(partition: string, endOf: (bytes: Buffer, at: number) => number): Log {
  const file = join(partition, readdirSync(partition).find((name) => name.endsWith(".log"))!);
  const bytes = readFileSync(file);
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; at = ends.at(-1)!) ends.push(endOf(bytes, at));
  return { partition, file, ends };
}
