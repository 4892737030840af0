import { existsSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { BusName } from "./names.js";

/** The hubs that the app stores from. */
export const HUBS = ["chat-messages", "chat-read-events"] as const;

/** One event, or one batch that counts whole, in a partition's last file. */
interface Piece {
  /** Where it begins and ends in the file. */
  readonly start: number;
  readonly end: number;
  /** The number of its last event. */
  readonly last: number;
}

/** The log of a partition, as it lies on the disk. */
export interface PartitionLog {
  readonly hub: string;
  readonly partition: string;
  readonly folder: string;
  /** Its last file. */
  readonly file: string;
  readonly pieces: readonly Piece[];
  /** The number of the last event, -1 where there is none. */
  readonly last: number;
  /** Which life of the hub it belongs to, as far as files tell. */
  readonly life: string;
}

/** The logs of all partitions of these hubs. A file that is being written may be read half. */
export function readLogs(folder: string, bus: BusName, hubs: readonly string[] = HUBS): PartitionLog[] {
  return hubs.flatMap((hub) => (bus === "kafka" ? kafkaLogs(folder, hub) : eventHubsLogs(folder, hub)));
}

function eventHubsLogs(folder: string, hub: string): PartitionLog[] {
  const hubFolder = join(folder, "eventHubs", hub);
  if (!existsSync(hubFolder)) return [];
  const facts = join(hubFolder, "hub.json");
  const life = existsSync(facts) ? readFileSync(facts, "utf8") : "";
  return readdirSync(hubFolder)
    .filter((name) => /^\d+$/.test(name))
    .map((partition) => logOf(hub, partition, join(hubFolder, partition), life, recordAt));
}

function kafkaLogs(folder: string, topic: string): PartitionLog[] {
  const files = join(folder, "kafka", "files");
  const partitionOf = (name: string) =>
    name.startsWith(`${topic}-`) ? name.slice(topic.length + 1) : "none";
  return readdirSync(files)
    .filter((name) => /^\d+$/.test(partitionOf(name)))
    .map((name) => logOf(topic, partitionOf(name), join(files, name), "", kafkaBatchAt));
}

/** What begins at a place of a file: where it ends, its last number, and whether it counts only with the next. */
type Reader = (
  bytes: Buffer,
  at: number,
) => { readonly end: number; readonly last: number; readonly goesOn: boolean } | undefined;

/**
 * A record of the local Event Hubs: its length and its checksum of 4 bytes each, flags (1: the batch goes on),
 * the key's length of 2 bytes, the number of 6.
 */
const recordAt: Reader = (bytes, at) => {
  if (at + 17 > bytes.length) return undefined;
  const end = at + 8 + bytes.readUInt32BE(at);
  if (end > bytes.length || end === at + 8) return undefined;
  return { end, last: bytes.readUIntBE(at + 11, 6), goesOn: (bytes.readUInt8(at + 8) & 1) !== 0 };
};

/**
 * A batch of Kafka (format 2): the first offset of 8 bytes, the length behind the next 4, and at 23 how far the
 * last offset is from the first. Source: kafka.apache.org/documentation, Message Format.
 */
const kafkaBatchAt: Reader = (bytes, at) => {
  if (at + 27 > bytes.length) return undefined;
  const end = at + 12 + bytes.readInt32BE(at + 8);
  if (end > bytes.length || end <= at + 27) return undefined;
  return { end, last: Number(bytes.readBigInt64BE(at)) + bytes.readInt32BE(at + 23), goesOn: false };
};

function logOf(hub: string, partition: string, folder: string, life: string, readAt: Reader): PartitionLog {
  const names = readdirSync(folder).filter((name) => name.endsWith(".log"));
  const name = names.sort().at(-1);
  const file = join(folder, name ?? "none.log");
  const pieces = name === undefined ? [] : piecesOf(readFileSync(file), readAt);
  // A new file bears the number of the event that will be its first.
  const before = Number(/^\d+/.exec(name ?? "")?.[0] ?? 0) - 1;
  return { hub, partition, folder, file, pieces, last: pieces.at(-1)?.last ?? before, life };
}

function piecesOf(bytes: Buffer, readAt: Reader): Piece[] {
  const pieces: Piece[] = [];
  let start = 0;
  for (let at = 0; at < bytes.length; ) {
    const found = readAt(bytes, at);
    if (!found) break;
    at = found.end;
    if (found.goesOn) continue;
    pieces.push({ start, end: found.end, last: found.last });
    start = found.end;
  }
  return pieces;
}

/** Takes the last pieces from a log. The bus must not run. */
export function cutLog(log: PartitionLog, bus: BusName, pieces: number): void {
  truncateSync(log.file, log.pieces.at(-pieces - 1)?.end ?? 0);
  // What else says how far the log went.
  for (const name of readdirSync(log.folder))
    if (/^flushed$|\.(index|timeindex|snapshot)$/.test(name)) rmSync(join(log.folder, name));
  if (bus === "kafka") forgetRecovery(join(log.folder, ".."));
}

function forgetRecovery(files: string): void {
  for (const name of readdirSync(files))
    if (/^(recovery-point|replication)-offset-checkpoint$|^\.kafka_cleanshutdown$/.test(name))
      rmSync(join(files, name));
}
