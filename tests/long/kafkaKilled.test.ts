import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Producer, stringSerializers } from "@platformatic/kafka";
import { afterAll, describe, expect, test } from "vitest";
import { freePort } from "../../local/ports.js";
import { startKafka } from "../../local/services/kafka.js";
import { findKafka } from "../../local/services/kafkaProgram.js";
import { kafkaHere, kafkaTool } from "../support/kafka.js";

const { absent } = await kafkaHere();
if (absent) console.error(`NOT RUN on Kafka: ${absent}`);

const KILLS = 20;
const data = mkdtempSync(join(tmpdir(), "nonstop-kafka-killed-"));
afterAll(() => rmSync(data, { recursive: true, force: true }));

describe.skipIf(absent !== "")("a broker killed with SIGKILL twenty times, while somebody produces", () => {
  test("starts again each time, and has all that it has acknowledged", async () => {
    const program = await findKafka();
    const port = await freePort();
    const url = `127.0.0.1:${port}`;
    const acknowledged: string[] = [];
    let [running, number] = [true, 0];
    const produce = async (): Promise<void> => {
      const options = { clientId: "killed", bootstrapBrokers: [url], retries: 0, connectTimeout: 1_000 };
      const producer = new Producer({ ...options, timeout: 2_000, serializers: stringSerializers });
      while (running) {
        number += 1;
        const value = String(number);
        const sent = await producer
          .send({ acks: -1, messages: [{ topic: "killed", partition: number % 3, value }] })
          .then(
            () => true,
            () => false,
          );
        if (sent) acknowledged.push(value);
        else await pause(50);
      }
      await producer.close(true);
    };
    let producing: Promise<void> | undefined;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const service = await startKafka({ data, port });
      if (!producing) {
        const topic = ["--create", "--topic", "killed", "--partitions", "3"];
        const tool = "org.apache.kafka.tools.TopicCommand";
        await kafkaTool(program, tool, "--bootstrap-server", url, ...topic);
        producing = produce();
      }
      const before = acknowledged.length;
      await expect.poll(() => acknowledged.length).toBeGreaterThan(before + 100);
      process.kill(service.pid, "SIGKILL");
      await service.close();
    }
    running = false;
    await producing;
    const last = await startKafka({ data, port });
    const reading = ["--topic", "killed", "--from-beginning", "--timeout-ms", "5000"];
    const consumer = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    const text = await kafkaTool(program, consumer, "--bootstrap-server", url, ...reading);
    const kept = new Set(text.split("\n"));
    expect(acknowledged.filter((value) => !kept.has(value))).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(KILLS * 100);
    await last.close();
  });
});
