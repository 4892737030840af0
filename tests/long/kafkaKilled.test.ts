import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { Producer, stringSerializers } from "@platformatic/kafka";
import { describe, expect, test } from "vitest";
import { findKafka } from "../../local/services/kafkaProgram.js";
import { noKafka, ownKafka } from "../support/kafka.js";

const KILLS = 20;

/** What is in the topic, by Kafka's own consumer. */
async function consumed(brokers: string): Promise<string[]> {
  const { java, libs } = await findKafka();
  const tool = ["-cp", join(libs, "*"), "org.apache.kafka.tools.consumer.ConsoleConsumer"];
  const reading = ["--topic", "killed", "--from-beginning", "--timeout-ms", "5000"];
  const { stdout } = await promisify(execFile)(java, [...tool, "--bootstrap-server", brokers, ...reading]);
  return stdout.split("\n");
}

describe.skipIf(noKafka !== undefined)(
  "a broker killed with SIGKILL twenty times, while somebody produces",
  () => {
    test("starts again each time, and has all that it has acknowledged", async () => {
      const kafka = await ownKafka({ killed: 3 });
      const acknowledged: string[] = [];
      let [running, number] = [true, 0];
      const produce = async (): Promise<void> => {
        const options = { clientId: "killed", bootstrapBrokers: [kafka.brokers], retries: 0 };
        const limits = { connectTimeout: 1_000, timeout: 2_000 };
        const producer = new Producer({ ...options, ...limits, serializers: stringSerializers });
        while (running) {
          number += 1;
          const value = String(number);
          const messages = [{ topic: "killed", partition: number % 3, value }];
          const sent = await producer.send({ acks: -1, messages }).then(
            () => true,
            () => false,
          );
          if (sent) acknowledged.push(value);
          else await pause(50);
        }
        await producer.close(true);
      };
      const producing = produce();
      for (let kill = 0; kill < KILLS; kill += 1) {
        const before = acknowledged.length;
        await expect.poll(() => acknowledged.length).toBeGreaterThan(before + 100);
        await kafka.startAgain("killed");
      }
      running = false;
      await producing;
      const kept = new Set(await consumed(kafka.brokers));
      expect(acknowledged.filter((value) => !kept.has(value))).toEqual([]);
      expect(acknowledged.length).toBeGreaterThan(KILLS * 100);
      await kafka.close();
    });
  },
);
