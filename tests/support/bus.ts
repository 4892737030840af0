import { EventHubConsumerClient, earliestEventPosition } from "@azure/event-hubs";
import type { EventBus } from "../../shared/bus/eventBus.js";
import { connectEventHubs } from "../../shared/bus/eventHubs.js";
import { connectKafka } from "../../shared/bus/kafka.js";
import type { DeadLetter } from "../../shared/events/deadLetters.js";
import type { Addresses } from "./stack.js";

/** Where events are published in a running stack. */
type Bus = Pick<Addresses, "bus" | "eventHubs" | "kafka">;

/** The server of the bus that a stack publishes on, by its name in the stack. */
export const busServer = ({ bus }: Pick<Bus, "bus">): "eventHubs" | "kafka" =>
  bus === "kafka" ? "kafka" : "eventHubs";

/** The bus that a stack publishes on. The caller closes it. */
export const busOf = ({ bus, eventHubs, kafka = "" }: Bus): EventBus =>
  bus === "kafka" ? connectKafka({ brokers: kafka.split(",") }) : connectEventHubs(eventHubs);

/** The settings by which an app publishes on the bus of a stack. */
export const busSettings = ({ bus, eventHubs, kafka = "" }: Bus): Readonly<Record<string, string>> => ({
  EVENT_BUS: bus,
  EVENT_HUBS_CONNECTION: bus === "kafka" ? "" : eventHubs,
  KAFKA_BROKERS: bus === "kafka" ? kafka : "",
});

/** `HOST:PORT` of the bus that a stack publishes on; of a Kafka the first broker's. */
export const busAddress = ({ bus, eventHubs, kafka = "" }: Bus): string =>
  bus === "kafka" ? kafka.split(",")[0]! : /sb:\/\/([^;]+);/.exec(eventHubs)![1]!;

const MANY = 1_000;

/** All letters of a hub for them, which has one partition. */
export async function deadLettersOf(stack: Bus, hub: string): Promise<readonly DeadLetter[]> {
  if (stack.bus === "eventhubs") return lettersByAmqp(stack.eventHubs, hub);
  const bus = busOf(stack);
  const letters = await bus.readRange(hub, "0", 0, Number.MAX_SAFE_INTEGER, MANY);
  await bus.close();
  return letters.map(({ body }) => JSON.parse(Buffer.from(body).toString()));
}

/** These hubs have no consumer group for our own reader. */
async function lettersByAmqp(connectionString: string, hub: string): Promise<readonly DeadLetter[]> {
  const consumer = new EventHubConsumerClient("$Default", connectionString, hub);
  const { lastEnqueuedSequenceNumber, isEmpty } = await consumer.getPartitionProperties("0");
  const letters: DeadLetter[] = [];
  if (!isEmpty)
    await new Promise<void>((resolve, reject) => {
      const subscription = consumer.subscribe(
        "0",
        {
          processEvents: async (events) => {
            letters.push(...events.map(({ body }) => body));
            if (events.at(-1)?.sequenceNumber === lastEnqueuedSequenceNumber) resolve(subscription.close());
          },
          processError: async (error) => reject(error),
        },
        { startPosition: earliestEventPosition },
      );
    });
  await consumer.close();
  return letters;
}
