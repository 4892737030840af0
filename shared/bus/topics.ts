import { setTimeout as pause } from "node:timers/promises";
import type { KafkaAccess } from "./kafkaClient.js";
import { type Found, PAUSE_MS, type Patience, TopicClient } from "./topicClient.js";
import { whyRefused } from "./topicRefusals.js";
import { hours, type Topic, type TopicRow, wrongPartitions } from "./topicTable.js";

export interface TopicOptions extends Patience {
  /** Only tells what differs. */
  readonly check?: boolean;
  /** Replicas of each partition of topics that are made. The broker's default if not said. */
  readonly replication?: number;
}

/** How long brokers may take to hear from the controller of a topic that another process has just made. */
const HEARD_MS = 10_000;

/**
 * Makes the topics that are missing and corrects the settings of the others, as far as they are ours. Two
 * processes may do it at once. The numbers of partitions and of replicas are never changed, and nothing is
 * in a topic with a wrong number of partitions, as the table may be another cluster's. Throws when no broker
 * answers within `waitMs`. What a broker refuses about a topic is a problem in that topic's row.
 */
export async function makeTopics(
  access: KafkaAccess,
  topics: readonly Topic[],
  options: TopicOptions = {},
): Promise<readonly TopicRow[]> {
  const client = new TopicClient(access, options);
  try {
    await client.reach();
    const rows: TopicRow[] = [];
    for (const topic of topics) rows.push(await settled(client, topic, options));
    return rows;
  } finally {
    await client.close();
  }
}

/** Makes, checks or corrects one topic. */
async function settled(client: TopicClient, topic: Topic, options: TopicOptions): Promise<TopicRow> {
  try {
    const found = await client.find(topic.name);
    if (found) return await corrected(client, topic, found, options);
    if (options.check)
      return rowOf(topic, "missing", [`${topic.name} is missing. Run this without --check to make it.`]);
    if (await client.create(topic.name, topic.partitions, ownSettings(topic), options.replication))
      return rowOf(topic, "made");
    // Another process made it at the same moment.
    return await corrected(client, topic, await heardOf(client, topic.name), options);
  } catch (error) {
    const problem = whyRefused(error, topic.name, options.replication);
    if (problem === undefined) throw error;
    return rowOf(topic, "refused", [problem]);
  }
}

async function heardOf(client: TopicClient, name: string): Promise<Found> {
  for (const until = Date.now() + HEARD_MS; Date.now() < until; await pause(PAUSE_MS)) {
    const found = await client.find(name);
    if (found) return found;
  }
  throw new Error(`${name} exists already, but no broker shows it yet. Run this again.`);
}

/**
 * The settings that this program owns. The time of an event is that at which the broker took it, as on Event
 * Hubs: retention, and how long events have waited, are counted from it.
 */
const ownSettings = ({ cleanup, retentionMs }: Topic): Readonly<Record<string, string>> => ({
  "cleanup.policy": cleanup,
  "retention.ms": String(retentionMs),
  "message.timestamp.type": "LogAppendTime",
});

async function corrected(
  client: TopicClient,
  topic: Topic,
  found: Found,
  { check, replication }: TopicOptions,
): Promise<TopicRow> {
  const { name, partitions } = topic;
  const different = Object.entries(ownSettings(topic)).filter(([key, to]) => found.settings.get(key) !== to);
  const changes = different.map(([key, to]) => `${key} ${found.settings.get(key)} -> ${to}`).join(", ");
  const problems = wrongReplicas(topic, found, replication);
  if (found.partitions !== partitions)
    return rowOf(topic, "left as it is", [wrongPartitions(topic, found.partitions), ...problems], found);
  if (different.length === 0)
    return rowOf(topic, problems.length === 0 ? "as it must be" : "not as it must be", problems, found);
  if (check) {
    const said = `${name} differs: ${changes}. Run this without --check to correct it.`;
    return rowOf(topic, "differs", [...problems, said], found);
  }
  await client.correct(name, Object.fromEntries(different));
  const settings = new Map([...found.settings, ...different]);
  return rowOf(topic, `corrected: ${changes}`, problems, { ...found, settings });
}

function wrongReplicas({ name }: Topic, { replicas }: Found, asked: number | undefined): readonly string[] {
  if (asked === undefined || asked === replicas) return [];
  return [
    `${name} has ${replicas} ${replicas === 1 ? "replica" : "replicas"} of each partition, not ${asked}. ` +
      "--replication holds for topics that are made; kafka-reassign-partitions.sh adds replicas to others.",
  ];
}

function rowOf(
  topic: Topic,
  done: string,
  problems: readonly string[] = [],
  found: Found | undefined = undefined,
): TopicRow {
  const { name, partitions, retentionMs } = topic;
  const retention = Number(found?.settings.get("retention.ms") ?? retentionMs);
  return {
    topic: name,
    partitions: compared(String(found?.partitions ?? partitions), String(partitions)),
    retention: compared(retention < 0 ? "for ever" : hours(retention), hours(retentionMs)),
    done,
    problems,
    remarks: found ? remarksOn(name, found) : [],
  };
}

const compared = (found: string, asked: string): string =>
  found === asked ? asked : `${found}, not ${asked}`;

/** What the broker's own settings, or those that somebody else has made, can do to events. */
function remarksOn(name: string, { replicas, settings }: Found): readonly string[] {
  const number = (key: string): number => Number(settings.get(key));
  const remarks: readonly [boolean, string][] = [
    [
      replicas > 1 && number("min.insync.replicas") < 2,
      "min.insync.replicas is 1: an event can count as accepted while a single broker has it",
    ],
    [
      settings.get("unclean.leader.election.enable") === "true",
      "unclean.leader.election.enable is true: a broker that lacks accepted events may become the leader",
    ],
    [
      number("retention.bytes") >= 0,
      `retention.bytes is ${settings.get("retention.bytes")}: events may go before their time`,
    ],
    [
      number("max.message.bytes") < 1_000_000,
      `max.message.bytes is ${settings.get("max.message.bytes")}: large events are refused`,
    ],
  ];
  return remarks.filter(([isSo]) => isSo).map(([, text]) => `${name}: note that ${text}.`);
}
