import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Admin } from "@platformatic/kafka";
import { startKafka } from "../../local/services/kafka.js";
import { whyNoKafka } from "../../local/services/kafkaProgram.js";

/** Why the tests of Kafka can't run here, which is said aloud. Nothing where they run. */
export const noKafka: string | undefined = await whyNoKafka({ say: console.error });
if (noKafka !== undefined) console.error(`NOT RUN on Apache Kafka: ${noKafka}`);

/** A real broker of a test's own. */
export interface Kafka {
  /** `HOST:PORT`. */
  readonly brokers: string;
  readonly pid: number;
  /** Makes topics by the broker's own rules: its clock gives the time of a record. */
  makeTopics(partitions: Readonly<Record<string, number>>): Promise<void>;
  deleteTopic(topic: string): Promise<void>;
  /** Kills the broker, or ends it in order, and starts it again on its port and data. */
  startAgain(how: "killed" | "stopped"): Promise<void>;
  close(): Promise<void>;
}

/** Does something with the client library's administrator, which repeats what fails, 20 times if not said. */
export async function byAdmin<T>(
  brokers: string,
  work: (admin: Admin) => Promise<T>,
  retries = 20,
): Promise<T> {
  const admin = new Admin({
    clientId: "test",
    bootstrapBrokers: brokers.split(","),
    retries,
    retryDelay: 200,
  });
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

export const deleteTopics = (brokers: string, topics: string[]): Promise<void> =>
  byAdmin(brokers, (admin) => admin.deleteTopics({ topics }));

export async function ownKafka(
  partitions: Readonly<Record<string, number>> = {},
  settings: Readonly<Record<string, string>> = {},
): Promise<Kafka> {
  const data = mkdtempSync(join(tmpdir(), "nonstop-kafka-"));
  let broker = await startKafka({ data, settings });
  const { url: brokers, port } = broker;
  const kafka: Kafka = {
    brokers,
    get pid() {
      return broker.pid;
    },
    makeTopics: (topics) =>
      byAdmin(brokers, async (admin) => {
        const configs = [{ name: "message.timestamp.type", value: "LogAppendTime" }];
        for (const [topic, count] of Object.entries(topics))
          await admin.createTopics({ topics: [topic], partitions: count, replicas: 1, configs });
      }),
    deleteTopic: (topic) => deleteTopics(brokers, [topic]),
    async startAgain(how) {
      if (how === "killed") process.kill(broker.pid, "SIGKILL");
      await broker.close();
      broker = await startKafka({ data, port, settings });
    },
    async close() {
      await broker.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
  await kafka.makeTopics(partitions);
  return kafka;
}
