import type { EventBus } from "../../shared/bus/eventBus.js";
import { connectEventHubs } from "../../shared/bus/eventHubs.js";
import { connectKafka } from "../../shared/bus/kafka.js";
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
