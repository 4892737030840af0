import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { lockFolder } from "./lock.js";
import { Partition, type PartitionOptions } from "./partition.js";
import { Refusal } from "./refusals.js";
import { RunningTime } from "./runningTime.js";
import { syncPath } from "./segment.js";

/** One hub as declared. */
export interface HubConfig {
  readonly partitions: number;
  /** A day if not said. */
  readonly retentionHours?: number;
  readonly consumerGroups: readonly string[];
}

export type HubsConfig = Readonly<Record<string, HubConfig>>;

/** The declaration and the data folder don't fit, or one of them is wrong. The text says what to do. */
export class ConfigError extends Error {}

export interface Hub {
  readonly name: string;
  /** When its data folder was made, milliseconds since 1970. */
  readonly createdAt: number;
  /** Lower-case; `$default` is always one. */
  readonly consumerGroups: ReadonlySet<string>;
  readonly partitions: readonly Partition[];
  /** The index of the partition that gets the next event without a key. */
  nextPartition: number;
}

export interface Hubs {
  /** By lower-case name: Event Hubs compares names without case. */
  readonly byName: ReadonlyMap<string, Hub>;
  readonly running: RunningTime;
  close(): Promise<void>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,255}$/;
const GROUP = /^(\$Default|[A-Za-z0-9][A-Za-z0-9._-]{0,49})$/i;
/** No hub can have this name, so its folder can't either. */
const RUNNING_FILE = "_running.json";
const MAX_PARTITIONS = 100;
const DAY = 24;

/** Checks a parsed `{ "hubs": … }` document. Throws ConfigError naming the first thing that is wrong. */
export function parseHubs(document: unknown): HubsConfig {
  const hubs = (document as { hubs?: unknown } | null)?.hubs;
  if (typeof hubs !== "object" || hubs === null || Array.isArray(hubs))
    throw new ConfigError(
      'expected {"hubs": {"name": {"partitions": 1, "retentionHours": 24, "consumerGroups": []}}}',
    );
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(hubs)) {
    if (!NAME.test(name))
      throw new ConfigError(`'${name}' is no hub name: use letters, digits, '.', '_' and '-'`);
    if (seen.has(name.toLowerCase())) throw new ConfigError(`the hub '${name}' is declared twice`);
    seen.add(name.toLowerCase());
    checkHub(name, value as Partial<HubConfig> | null);
  }
  return hubs as HubsConfig;
}

function checkHub(name: string, hub: Partial<HubConfig> | null): void {
  const { partitions, retentionHours = DAY, consumerGroups } = hub ?? {};
  if (!Number.isInteger(partitions) || partitions! < 1 || partitions! > MAX_PARTITIONS)
    throw new ConfigError(`hub '${name}': partitions must be 1 to ${MAX_PARTITIONS}`);
  if (typeof retentionHours !== "number" || !(retentionHours > 0))
    throw new ConfigError(`hub '${name}': retentionHours must be more than 0`);
  if (
    !Array.isArray(consumerGroups) ||
    !consumerGroups.every((each) => typeof each === "string" && GROUP.test(each))
  )
    throw new ConfigError(`hub '${name}': consumerGroups must be a list of names`);
}

/**
 * Opens the data folder for these hubs and reads it back. Hubs that are no longer declared stay untouched.
 * Throws ConfigError, CorruptDataError and LockedError.
 */
export function openHubs(
  folder: string,
  config: HubsConfig,
  options: Omit<PartitionOptions, "retentionMs">,
): Hubs {
  mkdirSync(folder, { recursive: true });
  const unlock = lockFolder(folder);
  const hubs: Hub[] = [];
  let running: RunningTime;
  const closeAll = () => Promise.all(hubs.flatMap((hub) => hub.partitions.map((each) => each.close())));
  try {
    for (const [name, declared] of Object.entries(parseHubs({ hubs: config })))
      hubs.push(openHub(join(folder, name.toLowerCase()), name, declared, options));
    running = new RunningTime(join(folder, RUNNING_FILE));
    syncPath(folder);
  } catch (error) {
    closeAll().catch(() => {});
    unlock();
    throw error;
  }
  return {
    byName: new Map(hubs.map((hub) => [hub.name.toLowerCase(), hub])),
    running,
    async close() {
      await closeAll();
      unlock();
    },
  };
}

/** The partition with this id. Throws Refusal. */
export function partitionNamed(hub: Hub, id: string): Partition {
  const partition = hub.partitions.find((each) => each.id === id);
  if (partition) return partition;
  throw new Refusal(
    "com.microsoft:argument-out-of-range",
    `The specified partition '${id}' is invalid for the hub '${hub.name}' of ${hub.partitions.length} partitions.`,
  );
}

function openHub(
  folder: string,
  name: string,
  declared: HubConfig,
  options: Omit<PartitionOptions, "retentionMs">,
): Hub {
  mkdirSync(folder, { recursive: true });
  const { createdAt, partitions } = readOrMakeFacts(join(folder, "hub.json"), declared.partitions);
  if (partitions !== declared.partitions)
    throw new ConfigError(
      `the hub '${name}' has ${partitions} partitions in ${folder} and ${declared.partitions} in its declaration; ` +
        "keys would move between partitions. Declare the old number, or delete that folder to start empty.",
    );
  const retentionMs = (declared.retentionHours ?? DAY) * 3_600_000;
  return {
    name,
    createdAt,
    consumerGroups: new Set(["$default", ...declared.consumerGroups.map((group) => group.toLowerCase())]),
    partitions: Array.from(
      { length: partitions },
      (_, id) => new Partition(String(id), join(folder, String(id)), { ...options, retentionMs }),
    ),
    nextPartition: 0,
  };
}

function readOrMakeFacts(path: string, partitions: number): { createdAt: number; partitions: number } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    const facts = { createdAt: Date.now(), partitions };
    // Written to another file and renamed: a crash leaves the old state or the new one.
    writeFileSync(`${path}.new`, JSON.stringify(facts), { flush: true });
    renameSync(`${path}.new`, path);
    syncPath(dirname(path));
    return facts;
  }
  try {
    const facts = JSON.parse(text) as { createdAt: number; partitions: number };
    if (Number.isInteger(facts.createdAt) && Number.isInteger(facts.partitions)) return facts;
  } catch {
    // Reported below.
  }
  throw new ConfigError(`${path} is damaged: restore it from a copy, or delete its folder to start empty.`);
}
