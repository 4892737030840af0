import { setTimeout as pause } from "node:timers/promises";
import { EventHubProducerClient } from "@azure/event-hubs";
import type { Namespace } from "./eventHubs.js";
import { PAUSE_MS, type Patience, WAIT_MS } from "./topicClient.js";
import { causeOf, isAbout } from "./topicRefusals.js";
import { type Topic, type TopicRow, wrongPartitions } from "./topicTable.js";

/** Tries are repeated here, where it is known which failures are worth it. */
const RETRY = { maxRetries: 0, timeoutInMs: 10_000 } as const;

/** What a client of Event Hubs can't see, for the person who reads the table. */
export const UNSEEN =
  "Event Hubs shows its clients whether a hub exists and how many partitions it has. Retention, cleanup " +
  "policy and consumer groups are not looked at here: see `az eventhubs eventhub show`. The deployment makes " +
  "hubs (infra/hubs.json); by hand: `az eventhubs eventhub create`.";

/**
 * Compares the hubs of a namespace with the table, over AMQP. It makes and changes nothing: Event Hubs'
 * clients have no right and no way to, whichever protocol they speak. Throws when the namespace does not
 * answer within `waitMs`, or refuses the key or the identity.
 */
export async function checkHubs(
  namespace: Namespace,
  topics: readonly Topic[],
  options: Patience = {},
): Promise<readonly TopicRow[]> {
  const ask = patiently(options);
  const rows: TopicRow[] = [];
  for (const topic of topics) rows.push(rowOf(topic, await ask(() => partitionsOf(namespace, topic.name))));
  return rows;
}

/** Repeats work for at most `waitMs` altogether. */
function patiently({ waitMs = WAIT_MS, onWait = () => {} }: Patience) {
  const until = Date.now() + waitMs;
  let isTold = false;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (isAbout(error, "UnauthorizedError"))
          throw new Error(`Event Hubs refuses this key or identity (${causeOf(error)}).`, { cause: error });
        if (Date.now() >= until)
          throw new Error(`Event Hubs can't be reached (${causeOf(error)}).`, { cause: error });
        if (!isTold) onWait(causeOf(error));
        isTold = true;
        await pause(PAUSE_MS);
      }
    }
  };
}

/** How many partitions a hub has, or undefined when there is no such hub. */
async function partitionsOf(namespace: Namespace, hub: string): Promise<number | undefined> {
  const client =
    typeof namespace === "string"
      ? new EventHubProducerClient(namespace, hub, { retryOptions: RETRY })
      : new EventHubProducerClient(namespace.host, hub, namespace.credential, { retryOptions: RETRY });
  try {
    return (await client.getPartitionIds()).length;
  } catch (error) {
    if (isAbout(error, "MessagingEntityNotFoundError")) return undefined;
    throw error;
  } finally {
    await client.close();
  }
}

function rowOf(topic: Topic, found: number | undefined): TopicRow {
  const { name, partitions } = topic;
  const row = { topic: name, retention: "not seen", remarks: [] };
  if (found === undefined) {
    const problems = [`${name} is missing, or disabled. Only the deployment, or \`az\`, makes a hub.`];
    return { ...row, partitions: `${partitions}, not seen`, done: "missing", problems };
  }
  if (found === partitions)
    return { ...row, partitions: String(partitions), done: "as it must be", problems: [] };
  const problems = [wrongPartitions(topic, found)];
  return { ...row, partitions: `${found}, not ${partitions}`, done: "not as it must be", problems };
}
