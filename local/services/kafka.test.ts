import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from "@platformatic/kafka";
import { afterAll, describe, expect, test } from "vitest";
import { pingKafka, startKafka } from "./kafka.js";
import { findKafka, whyNoKafka } from "./kafkaProgram.js";

const folder = mkdtempSync(join(tmpdir(), "nonstop-kafka-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const noKafka = await whyNoKafka({ say: console.error });
if (noKafka !== undefined) console.error(`NOT RUN on Kafka: ${noKafka}`);

const client = (url: string) => ({ clientId: "test", bootstrapBrokers: [url], retries: 20, retryDelay: 200 });

async function withTopic(url: string, topic: string): Promise<void> {
  const admin = new Admin(client(url));
  await admin.createTopics({ topics: [topic], partitions: 2, replicas: 1 });
  await admin.close();
}

async function send(url: string, topic: string, values: readonly string[]): Promise<void> {
  // A send is tried again where one of the partitions has no leader yet: what the other has is not repeated.
  const producer = new Producer({ ...client(url), idempotent: true, serializers: stringSerializers });
  await producer.send({
    messages: values.map((value, index) => ({ topic, value, partition: index % 2 })),
  });
  await producer.close();
}

async function valuesOf(url: string, topic: string, count: number): Promise<string[]> {
  const consumer = new Consumer({ ...client(url), groupId: "test", deserializers: stringDeserializers });
  const stream = await consumer.consume({ topics: [topic], mode: "earliest", autocommit: false });
  const values: string[] = [];
  for await (const { value } of stream) if (values.push(value) === count) break;
  await consumer.close(true);
  return values.sort();
}

const clusterOf = (data: string) =>
  /^cluster\.id=(.+)$/m.exec(readFileSync(join(data, "files/meta.properties"), "utf8"))![1];

describe.skipIf(noKafka !== undefined)("a private Kafka", () => {
  test("keeps what it has acknowledged, and its cluster, through kill -9, on another port", async () => {
    const data = join(folder, "데이터 \\ and more");
    const first = await startKafka({ data });
    await withTopic(first.url, "word");
    await send(first.url, "word", ["안녕 👋", "hello"]);
    const cluster = clusterOf(data);
    process.kill(first.pid, "SIGKILL");
    await first.close();
    const second = await startKafka({ data });
    expect(second.port).not.toBe(first.port);
    expect(await valuesOf(second.url, "word", 2)).toEqual(["hello", "안녕 👋"]);
    expect(clusterOf(data)).toBe(cluster);
    await second.close();
    await expect(pingKafka("127.0.0.1", second.port)).rejects.toThrow("ECONNREFUSED");
  });

  test("is prepared again when its preparation was cut", async () => {
    const data = join(folder, "cut");
    mkdirSync(join(data, "files.unfinished"), { recursive: true });
    writeFileSync(join(data, "files.unfinished/meta.properties"), "cluster.id=ha");
    const service = await startKafka({ data });
    expect(clusterOf(data)).toMatch(/^[\w][\w-]{21}$/);
    expect(existsSync(join(data, "files.unfinished"))).toBe(false);
    await service.close();
  });

  test("makes no topic by itself, and can be reached from this machine alone", async () => {
    const service = await startKafka({ data: join(folder, "strict") });
    const producer = new Producer({ ...client(service.url), retries: 0, serializers: stringSerializers });
    await expect(producer.send({ acks: -1, messages: [{ topic: "unknown", value: "x" }] })).rejects.toThrow();
    await producer.close();
    const { java, libs } = await findKafka();
    const tool = ["-cp", join(libs, "*"), "org.apache.kafka.tools.TopicCommand"];
    const list = [...tool, "--bootstrap-server", service.url, "--list"];
    expect((await promisify(execFile)(java, list)).stdout.trim()).toBe("");
    const elsewhere = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, internal }) => family === "IPv4" && !internal);
    for (const { address } of elsewhere)
      await expect(pingKafka(address, service.port)).rejects.toThrow("ECONNREFUSED");
    await service.close();
  });

  test("says why it cannot start", async () => {
    const holder = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const { port } = holder.address() as { port: number };
    await expect(startKafka({ data: join(folder, "taken"), port })).rejects.toThrow("Address already in use");
    await new Promise((resolve) => holder.close(resolve));
  });

  test("takes no folder that Kafka would read as two", async () => {
    await expect(startKafka({ data: join(folder, "a,b") })).rejects.toThrow(
      "Kafka takes no folder with a comma in its path: choose another than",
    );
  });
});

describe("a probe", () => {
  test.each<[string, Buffer, string]>([
    ["answers as another program does", Buffer.from("HTTP/1.1 400 Bad Request\r\n"), "no Kafka broker's"],
    ["answers too little", Buffer.from([0, 0, 0, 6]), "connection closed"],
  ])("does not take for Kafka what %s", async (_, answer, message) => {
    const server = createServer((socket) => socket.once("data", () => socket.end(answer)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await expect(pingKafka("127.0.0.1", port)).rejects.toThrow(message);
    await new Promise((resolve) => server.close(resolve));
  });
});
