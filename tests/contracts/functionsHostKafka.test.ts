import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Admin, type MessageToProduce, offsetCommitV9, Producer } from "@platformatic/kafka";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../../local/ports.js";
import { startKafka } from "../../local/services/kafka.js";
import { whyNoKafka } from "../../local/services/kafkaProgram.js";
import {
  appFolder,
  builtHost,
  eventually,
  type Running,
  runHost,
  scratchFolder,
} from "./functionsApp/processes.js";

const missing = await whyNoKafka({ say: console.error });
if (missing !== undefined) console.error(`SKIPPED: the host's Kafka triggers were not tested: ${missing}`);

/** Kafka triggers against a real Apache Kafka. */
describe.skipIf(missing !== undefined)("the Functions host, reading Kafka", () => {
  interface Call {
    readonly pid: number;
    readonly begin?: unknown[];
    readonly end?: unknown[];
    readonly isBuffer?: boolean;
    readonly metadata: Record<string, unknown>;
    readonly retry?: { retryCount: number; maxRetryCount: number; exception?: { message: string } };
  }

  let scratch: ReturnType<typeof scratchFolder>;
  let main: string;
  let kafka: Awaited<ReturnType<typeof startKafka>>;
  let port: number;
  let topic: string;
  let next = 0;
  let callLog: string;
  let healed: string;
  const hosts: Running[] = [];

  const MANY = { cardinality: "many", dataType: "binary" };
  /** Far longer than a test lasts, so that nothing gets better because a session has ended. */
  const SESSION = { AzureFunctionsJobHost__extensions__kafka__sessionTimeoutMs: "900000" };

  beforeAll(async () => {
    scratch = scratchFolder();
    [main, port] = await Promise.all([builtHost(), freePort()]);
    kafka = await startBroker();
  });
  afterAll(async () => {
    await kafka?.close();
    scratch.remove();
  });
  // Every test has a topic of its own, and so a group: members of one group disturb each other.
  beforeEach(() => {
    next += 1;
    topic = `parcels-${next}`;
    callLog = join(scratch.path, `calls-${next}.log`);
    healed = join(scratch.path, `healed-${next}`);
    writeFileSync(callLog, "");
  });
  afterEach(async () => {
    await Promise.all(hosts.splice(0).map((host) => host.end("SIGKILL")));
  });

  const startBroker = () => startKafka({ data: join(scratch.path, "kafka"), port });

  const client = () => ({
    clientId: "test",
    bootstrapBrokers: [`127.0.0.1:${port}`],
    retries: 20,
    retryDelay: 250,
  });

  async function asAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = new Admin(client());
    try {
      return await work(admin);
    } finally {
      await admin.close();
    }
  }

  const createTopic = (partitions = 1) =>
    asAdmin((admin) => admin.createTopics({ topics: [topic], partitions, replicas: 1 }));

  const deleteTopic = () => asAdmin((admin) => admin.deleteTopics({ topics: [topic] }));

  async function send(messages: (string | Partial<MessageToProduce>)[], partition = 0): Promise<void> {
    const producer = new Producer({ ...client(), autocreateTopics: false });
    try {
      const whole = messages.map((one) => (typeof one === "string" ? { value: Buffer.from(one) } : one));
      await eventually(async () => {
        await producer.send({ messages: whole.map((one) => ({ topic, partition, ...one })), acks: -1 });
        return true;
      });
    } finally {
      await producer.close();
    }
  }

  /** The offset that the group has committed; nothing when it has none. */
  const committed = (partition = 0): Promise<bigint | undefined> =>
    asAdmin(async (admin) => {
      const [group] = await admin.listConsumerGroupOffsets({ groups: [`readers-of-${topic}`] });
      const found = group?.topics.flatMap(({ partitions }) => partitions) ?? [];
      const offset = found.find(({ partitionIndex }) => partitionIndex === partition)?.committedOffset;
      return offset === -1n ? undefined : offset;
    });

  async function host(env: Record<string, string> = {}, binding: object = MANY): Promise<Running> {
    const settings = {
      KAFKA: `127.0.0.1:${port}`,
      PARCELS: JSON.stringify({ consumerGroup: "readers-of-%PARCELS_TOPIC%", ...binding }),
      PARCELS_TOPIC: topic,
      CALL_LOG: callLog,
      HEALED: healed,
      ...env,
    };
    const running = await runHost(main, settings, "--app", appFolder, "--triggers", "events");
    hosts.push(running);
    return running;
  }

  function lines(): Call[] {
    const text = readFileSync(callLog, "utf8").split("\n").filter(Boolean);
    return text.map((line) => JSON.parse(line));
  }

  const calls = (): Call[] => lines().filter(({ begin }) => begin);
  const texts = (): unknown[] => calls().flatMap(({ begin }) => begin ?? []);

  const numbered = (from: number, to: number): string[] =>
    Array.from({ length: to - from + 1 }, (_, index) => `event-${from + index}`);

  test("hands over bytes with the metadata of the real host, empty bytes for a tombstone", async () => {
    await createTopic();
    await send([
      { value: Buffer.from([0, 255, 128]), key: Buffer.from("a key"), timestamp: 1_700_000_000_120n },
      {
        value: Buffer.from("two"),
        timestamp: 1_700_000_001_000n,
        headers: new Map([
          [Buffer.from("about"), Buffer.from("two")],
          [Buffer.from("Empty"), Buffer.alloc(0)],
        ]),
      },
      { key: Buffer.from("gone"), timestamp: 1_700_000_002_123n },
    ]);
    await host();
    await eventually(() => texts().length === 3);
    expect(calls()).toHaveLength(1);
    expect(calls()[0]).toMatchObject({ begin: ["\0\xff\x80", "two", ""], isBuffer: true });
    expect(calls()[0]!.metadata).toEqual({
      partitionArray: [0, 0, 0],
      offsetArray: [0, 1, 2],
      timestampArray: ["2023-11-14T22:13:20.12Z", "2023-11-14T22:13:21Z", "2023-11-14T22:13:22.123Z"],
      topicArray: [topic, topic, topic],
      keyArray: ["a key", null, "gone"],
      headersArray: [
        [],
        [
          { key: "about", value: "dHdv" },
          { key: "Empty", value: "" },
        ],
        [],
      ],
      leaderEpochArray: [0, 0, 0],
      isPartitionEOFArray: [false, false, false],
    });
  });

  test("hands over the whole event, parsed, to a function that asks for text", async () => {
    await createTopic();
    await send([{ value: Buffer.from('{"n":1}'), key: Buffer.from("k"), timestamp: 1_700_000_000_000n }, {}]);
    await host({}, { cardinality: "MANY", dataType: "string" });
    await eventually(() => texts().length === 2);
    expect(texts()[0]).toEqual({
      Offset: 0,
      Partition: 0,
      Topic: topic,
      Timestamp: "2023-11-14T22:13:20Z",
      Value: '{"n":1}',
      LeaderEpoch: 0,
      IsPartitionEOF: false,
      Key: "k",
      Headers: [],
    });
    expect(texts()[1]).toMatchObject({ Offset: 1, Value: null, Key: null });
  });

  test("calls for each event alone where the cardinality isn't many, each partition in order", async () => {
    await createTopic(2);
    await send(["a1", "poison-a2", "a3"], 0);
    await send(["b1", "b2"], 1);
    await host({}, { dataType: "binary" });
    await eventually(async () => (await committed(0)) === 3n && (await committed(1)) === 2n);
    expect(texts().filter((text) => String(text).includes("a"))).toEqual(["a1", "poison-a2", "a3"]);
    expect(texts().filter((text) => String(text).includes("b"))).toEqual(["b1", "b2"]);
    expect(calls().find(({ begin }) => begin?.[0] === "b2")!.metadata).toEqual({
      partition: 1,
      topic,
      timestamp: expect.stringMatching(/^20.*Z$/),
      offset: 1,
      headers: [],
      leaderEpoch: 0,
      isPartitionEOF: false,
    });
  });

  test("calls one at a time, with batches across partitions up to maxBatchSize, in order", async () => {
    await createTopic(3);
    for (const partition of [0, 1, 2])
      await send(
        numbered(1, 40).map((text) => `${partition}-${text}`),
        partition,
      );
    await host({ CALL_MS: "20", AzureFunctionsJobHost__extensions__kafka__maxBatchSize: "50" });
    await eventually(() => texts().length === 120);
    const sizes = calls().map(({ begin }) => begin!.length);
    expect(Math.max(...sizes)).toBe(50);
    const partitions = calls().map(({ metadata }) => new Set(metadata["partitionArray"] as number[]).size);
    expect(Math.max(...partitions)).toBeGreaterThan(1);
    for (const partition of [0, 1, 2])
      expect(texts().filter((text) => String(text).startsWith(`${partition}-`))).toEqual(
        numbered(1, 40).map((text) => `${partition}-${text}`),
      );
    await eventually(() => lines().length === 2 * calls().length);
    expect(lines().map(({ begin }) => begin !== undefined)).toEqual(calls().flatMap(() => [true, false]));
  });

  test("collects events for subscriberIntervalInSeconds where host.json says so", async () => {
    await createTopic();
    await host({ AzureFunctionsJobHost__extensions__kafka__subscriberIntervalInSeconds: "5" });
    await eventually(async () => (await groupState()) === "STABLE");
    for (const text of numbered(1, 4)) await send([text]);
    await eventually(() => texts().length === 4);
    // An interval may end in between.
    expect(calls().length).toBeLessThanOrEqual(2);
  });

  const groupState = () =>
    asAdmin(async (admin) => {
      const groups = await admin.describeGroups({ groups: [`readers-of-${topic}`] });
      return groups.get(`readers-of-${topic}`)?.state;
    });

  describe("a function that fails", () => {
    test("is called again by its retry policy, with the same batch, before later events", async () => {
      await createTopic();
      await host({ RETRIES: "-1" });
      await send(["poison"]);
      await eventually(() => calls().length === 2);
      await send(["after"]);
      expect(await committed()).toBeUndefined();
      writeFileSync(healed, "");
      await eventually(() => texts().includes("after"));
      expect(texts().lastIndexOf("poison")).toBe(texts().indexOf("after") - 1);
      const retries = calls().map(({ retry }) => retry);
      expect(retries.slice(0, 2)).toMatchObject([
        { retryCount: 0, maxRetryCount: -1 },
        { retryCount: 1, maxRetryCount: -1, exception: { message: "poisoned" } },
      ]);
    });

    test("has its batch committed all the same, after its retries", async () => {
      await createTopic();
      const running = await host({ RETRIES: "1" });
      await send(["poison"]);
      await eventually(async () => (await committed()) === 1n);
      expect(running.log()).toContain("gave up 1 event(s)");
      expect(texts()).toEqual(["poison", "poison"]);
      await send(["after"]);
      await eventually(() => texts().includes("after"));
    });

    test("gets its batch maxRetries more times where commitOnFailure is off", async () => {
      await createTopic();
      await host({
        AzureFunctionsJobHost__extensions__kafka__commitOnFailure: "false",
        AzureFunctionsJobHost__extensions__kafka__maxRetries: "2",
      });
      await send(["poison"]);
      await eventually(async () => (await committed()) === 1n);
      expect(texts()).toEqual(["poison", "poison", "poison"]);
    });
  });

  describe("restarts", () => {
    test("of the host go on after what was committed", async () => {
      await createTopic();
      const first = await host();
      await send(numbered(1, 3));
      await eventually(() => lines().some(({ end }) => end?.includes("event-3")));
      expect(await first.end("SIGTERM")).toBe(0);
      expect(await committed()).toBe(3n);
      expect(await groupState()).toBe("EMPTY");
      await send(numbered(4, 6));
      await host();
      await eventually(() => texts().includes("event-6"));
      expect(texts()).toEqual(numbered(1, 6));
    });

    test("after a SIGKILL begin with the batch that ran, and don't wait for the dead one's session", async () => {
      await createTopic(3);
      const first = await host({ ...SESSION, RETRIES: "-1" });
      await send(["poison-1"]);
      await eventually(() => calls().length === 1);
      await first.end("SIGKILL");
      await host({ ...SESSION, RETRIES: "-1" });
      await eventually(() => calls().some(({ pid }) => pid !== first.child.pid), 60);
      expect(calls().find(({ pid }) => pid !== first.child.pid)).toMatchObject({
        begin: ["poison-1"],
        retry: { retryCount: 0 },
      });
    });

    test("of a host that is ended in the middle of a call commit nothing of it", async () => {
      await createTopic();
      const first = await host({ CALL_MS: "1000" });
      await send(["one"]);
      await eventually(() => calls().length === 1);
      expect(await first.end("SIGTERM")).toBe(0);
      expect(lines().at(-1)).toMatchObject({ end: ["one"] });
      expect(await committed()).toBeUndefined();
    });

    test("don't wait for a broker that is gone", async () => {
      await createTopic();
      const running = await host();
      await send(["one"]);
      await eventually(() => texts().includes("one"));
      await kafka.close();
      expect(await running.end("SIGTERM")).toBe(0);
      kafka = await startBroker();
    });

    test("of a broker that comes up after the host, and a topic made after both, are noticed", async () => {
      await kafka.close();
      const running = await host();
      await eventually(() => running.log().includes("parcels will try again"));
      kafka = await startBroker();
      await createTopic();
      await send(["one"]);
      await eventually(() => texts().includes("one"));
    });

    test("of a broker that is killed under load lose and repeat nothing", async () => {
      await createTopic(3);
      // Batches wait, and one runs, when the broker dies. No session may end meanwhile.
      await host({
        ...SESSION,
        CALL_MS: "50",
        AzureFunctionsJobHost__extensions__kafka__maxBatchSize: "10",
      });
      const sent: string[] = [];
      for (let round = 1; round <= 3; round += 1) {
        for (let batch = 1; batch <= 3; batch += 1) {
          const some = numbered(1, 20).map((text) => `${round}-${batch}-${text}`);
          await send(some, batch % 3);
          sent.push(...some);
        }
        await killBroker();
        kafka = await startBroker();
      }
      await eventually(() => texts().length >= sent.length);
      await send(["last"]);
      await eventually(() => texts().includes("last"));
      expect([...texts()].sort()).toEqual([...sent, "last"].sort());
    });

    test("of a broker in the middle of a batch's retries don't begin the batch anew", async () => {
      await createTopic();
      const running = await host({ ...SESSION, RETRIES: "-1" });
      await send(["poison"]);
      await eventually(() => calls().length === 1);
      await killBroker();
      kafka = await startBroker();
      await eventually(() => running.log().split("parcels reads partitions 0").length === 3);
      writeFileSync(healed, "");
      await eventually(async () => (await committed()) === 1n);
      expect(calls().map(({ retry }) => retry?.retryCount)).toEqual([...calls().keys()]);
    });

    async function killBroker(): Promise<void> {
      process.kill(kafka.pid, "SIGKILL");
      await kafka.close();
    }
  });

  describe("a topic that is deleted and made anew", () => {
    const remake = async () => {
      await deleteTopic();
      // The former one goes some time after the answer.
      await eventually(async () => {
        await createTopic();
        return true;
      });
    };

    test("while the host runs is read from its start", async () => {
      await createTopic();
      await host();
      await send(numbered(1, 5));
      await eventually(async () => (await committed()) === 5n);
      await remake();
      await send(["new-1", "new-2"]);
      await eventually(() => texts().includes("new-2"));
      expect(texts()).toEqual([...numbered(1, 5), "new-1", "new-2"]);
    });

    test("and is longer than the former one before the host looks, is read from its start", async () => {
      await createTopic();
      const running = await host();
      await send(numbered(1, 2));
      await eventually(async () => (await committed()) === 2n);
      running.child.kill("SIGSTOP");
      await remake();
      await send(numbered(11, 15));
      running.child.kill("SIGCONT");
      await eventually(() => texts().includes("event-15"));
      expect(texts()).toEqual([...numbered(1, 2), ...numbered(11, 15)]);
    });

    test.each([
      ["beyond its end", { committedOffset: 1_000n, committedMetadata: null }],
      // Within the topic, but committed for an earlier one by its id.
      [
        "of the former one",
        { committedOffset: 1n, committedMetadata: "6a9e2c1e-7d6c-4f0b-9b0a-0123456789ab" },
      ],
    ])("is read from its start though the group has an offset %s", async (_, place) => {
      await createTopic();
      await send(numbered(1, 2));
      await commit(place);
      await host();
      await eventually(() => texts().includes("event-2"));
      expect(texts()).toEqual(numbered(1, 2));
    });
  });

  /** Commits an offset for the group, from outside. */
  const commit = (place: { committedOffset: bigint; committedMetadata: string | null }): Promise<void> =>
    asAdmin(async (admin) => {
      const group = `readers-of-${topic}`;
      const partitions = [{ partitionIndex: 0, committedLeaderEpoch: -1, ...place }];
      await eventually(async () => {
        const { brokers } = await admin.metadata({ topics: [] });
        const [connection] = (await admin.connectToBrokers([...brokers.keys()])).values();
        await offsetCommitV9.api.async(connection!, group, -1, "", null, [{ name: topic, partitions }]);
        return true;
      });
    });

  test("goes on at an offset that a tool has set for the group", async () => {
    await createTopic();
    await send(numbered(1, 2));
    await commit({ committedOffset: 1n, committedMetadata: "" });
    await host();
    await eventually(() => texts().includes("event-2"));
    expect(texts()).toEqual(["event-2"]);
  });

  test("begins at the end where host.json says latest", async () => {
    await createTopic();
    await send(["before"]);
    await host({ AzureFunctionsJobHost__extensions__kafka__autoOffsetReset: "latest" });
    await eventually(async () => (await groupState()) === "STABLE");
    await eventually(async () => {
      await send(["after"]);
      return texts().includes("after");
    });
    expect(texts()).not.toContain("before");
  });

  test("two hosts share the partitions, and one takes over all when the other dies", async () => {
    await createTopic(4);
    const both = await Promise.all([host(SESSION), host(SESSION)]);
    const sent: string[] = [];
    const sendToAll = async () => {
      const some = numbered(sent.length + 1, sent.length + 4);
      for (const [partition, text] of some.entries()) await send([text], partition);
      sent.push(...some);
    };
    await eventually(async () => {
      await sendToAll();
      return new Set(calls().map(({ pid }) => pid)).size === 2;
    });
    await both[0]!.end("SIGKILL");
    await sendToAll();
    await eventually(() => sent.every((text) => texts().includes(text)), 60);
    for (const partition of [0, 1, 2, 3]) {
      const ofPartition = sent.filter((_, index) => index % 4 === partition);
      const first = [...new Set(texts())].filter((text) => ofPartition.includes(String(text)));
      expect(first).toEqual(ofPartition);
    }
  });

  test("partitions that are added are read", async () => {
    await createTopic();
    await host();
    await send(["one"]);
    await eventually(() => texts().includes("one"));
    await asAdmin((admin) => admin.createPartitions({ topics: [{ name: topic, count: 3 }] }));
    await send(["of the new one"], 2);
    await eventually(() => texts().includes("of the new one"));
  });

  test("a binding that can't be used ends the start, and says why", async () => {
    await expect(host({}, { ...MANY, protocol: "saslSsl" })).rejects.toThrow(
      'function "parcels": authenticationMode must be plain',
    );
  });

  test("a function that is disabled reads nothing", async () => {
    await createTopic();
    await send(["one"]);
    const running = await host({ "AzureWebJobs.parcels.Disabled": "1" });
    expect(running.log()).toContain("Function 'Functions.parcels' is disabled");
    await running.end();
    await host();
    await eventually(() => texts().length === 1);
    expect(calls().map(({ pid }) => pid)).not.toContain(running.child.pid);
  });
});
