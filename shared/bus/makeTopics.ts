import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { TokenCredential } from "@azure/identity";
import { type EventBusConfig, readBusConfig } from "../config.js";
import { createCredential } from "../platform/credential.js";
import { kafkaAccess } from "./connectBus.js";
import { makeTopics, type TopicOptions } from "./topics.js";
import { checkHubs, UNSEEN } from "./topicsEventHubs.js";
import { readTopics, type Topic, type TopicRow, tableOf } from "./topicTable.js";

const USAGE =
  "Usage: npm run topics -- [--check] [--table FILE] [--replication N] [--wait SECONDS]\n" +
  "  --check          only tell what is missing or differs, with exit code 1\n" +
  "  --table FILE     in the form of local/hubs.json; else the table of shared/events/hubs.ts\n" +
  "  --replication N  replicas of topics that are made; else the broker's default\n" +
  "  --wait SECONDS   how long a broker that does not answer yet is asked again; 30 if not said";

interface Arguments extends TopicOptions {
  readonly table?: string;
}

/** Throws with the usage when an argument is unknown or wrong. */
function readArguments(args: readonly string[]): Arguments {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        check: { type: "boolean", default: false },
        table: { type: "string" },
        replication: { type: "string" },
        wait: { type: "string", default: "30" },
      },
    });
    return {
      check: values.check,
      waitMs: whole("--wait", values.wait, 0, 3_600) * 1_000,
      ...(values.table !== undefined && { table: values.table }),
      ...(values.replication !== undefined && {
        replication: whole("--replication", values.replication, 1, 100),
      }),
    };
  } catch (cause) {
    throw new Error(`${(cause as Error).message}\n${USAGE}`, { cause });
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const number = /^\d{1,4}$/.test(text) ? Number(text) : -1;
  if (number < least || number > most)
    throw new Error(`${name} must be a whole number, ${least} to ${most}.`);
  return number;
}

/**
 * Makes topics on Kafka, or compares the hubs of Event Hubs. Those are asked by AMQP, also where the settings
 * name their Kafka endpoint.
 */
async function settled(
  bus: EventBusConfig,
  credential: TokenCredential,
  topics: readonly Topic[],
  options: TopicOptions,
): Promise<readonly TopicRow[]> {
  if (bus.kind === "key") return checkHubs(bus.connectionString, topics, options);
  if (bus.kind === "entra") return checkHubs({ host: bus.namespace, credential }, topics, options);
  return bus.eventHubs
    ? settled(bus.eventHubs, credential, topics, options)
    : makeTopics(kafkaAccess(bus, credential), topics, options);
}

/** Prints the table, and resolves with the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const { table, ...asked } = readArguments(args);
  const topics = readTopics(table);
  const { eventBus, clientId } = readBusConfig(process.env);
  const options = { ...asked, onWait: (reason: string) => console.error(`Waiting for the bus (${reason}).`) };
  const rows = await settled(eventBus, createCredential(clientId), topics, options);
  console.log(tableOf(rows));
  if (eventBus.kind !== "kafka" || eventBus.eventHubs) console.log(`\n${UNSEEN}`);
  return rows.some(({ problems }) => problems.length > 0) ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    },
  );
}
