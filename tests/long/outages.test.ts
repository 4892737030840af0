import { describe, test } from "vitest";
import { noKafka } from "../support/kafka.js";
import { loseNothing } from "../support/outage.js";
import { ownStack } from "../support/ownStack.js";

describe("on Event Hubs", () => everyServer("eventhubs", "eventHubs"));
describe.skipIf(noKafka)("on Apache Kafka", () => everyServer("kafka", "kafka"));

function everyServer(bus: "eventhubs" | "kafka", server: "eventHubs" | "kafka"): void {
  const stack = ownStack({}, bus);
  test.each(["functionsHost", "webPubSub", server, "mysql", "redis", "storage"] as const)(
    "%s killed under load, twice: what had its RECEIPT is stored once, in each sender's order, without a gap",
    async (name) => {
      await loseNothing({
        addresses: stack.addresses,
        kill: () => stack.kill(name, "SIGKILL"),
        pid: () => stack.addresses.pids[name],
      });
    },
  );
}
