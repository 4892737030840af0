import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { inspect } from "node:util";
import type { TokenCredential } from "@azure/identity";
import { Admin, Producer, stringSerializers } from "@platformatic/kafka";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { start } from "../../local/eventHubs/server.js";
import { kafkaAccess } from "../../shared/bus/connectBus.js";
import type { EventBus } from "../../shared/bus/eventBus.js";
import { connectEventHubs } from "../../shared/bus/eventHubs.js";
import { connectKafka } from "../../shared/bus/kafka.js";
import { health } from "../../shared/calls/health.js";
import type { ChatError, OnFault } from "../../shared/platform/errors.js";
import { openDatabase } from "../../shared/store/database.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { FakeSessionStore } from "../fakes/sessionStore.js";
import { type Authority, makeAuthority } from "../support/certificates.js";
import { type Kafka, noKafka, ownKafka } from "../support/kafka.js";
import { ADMIN, GUEST, type SecuredKafka, startSecuredKafka } from "../support/kafkaPrograms.js";
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.js";

const TOPIC = "chat-messages";
const END = 1_000_000_000;

interface Content {
  readonly key: string;
  readonly index: number;
}

describe.skipIf(noKafka !== undefined)("Apache Kafka behind the port", () => {
  let kafka: Kafka;
  let proxy: TcpProxy;
  let brokerPort = 0;
  let bus: EventBus;
  const told: string[] = [];

  beforeAll(async () => {
    proxy = await startTcpProxy(() => brokerPort);
    // Clients are told the proxy's address, so nothing goes past it.
    kafka = await ownKafka({}, { "advertised.listeners": `PLAINTEXT://127.0.0.1:${proxy.port}` });
    brokerPort = Number(kafka.brokers.split(":")[1]);
    await kafka.makeTopics({ [TOPIC]: 3 });
  });
  afterAll(async () => {
    await proxy?.close();
    await kafka?.close();
  });
  beforeEach(() => {
    bus = connectKafka(
      { brokers: [`127.0.0.1:${proxy.port}`] },
      { onFault: ({ kind }) => void told.push(kind) },
    );
  });
  afterEach(async () => {
    proxy.isMute = false;
    told.length = 0;
    await bus.close();
  });

  test("a broker that accepts and says nothing is down in /health, and up when it answers again", async () => {
    const database = openDatabase("mysql://nobody@127.0.0.1:1/nothing");
    onTestFinished(() => database.end());
    const others = {
      database,
      broadcaster: new FakeBroadcaster(),
      redis: new FakeSessionStore(),
      faults: { note: () => {}, any: async () => false },
      lag: async () => [],
      formerBusState: () => undefined,
    };
    const state = async () => (await health({ bus, ...others })).dependencies.eventHubs;
    expect(await state()).toBe("up");
    proxy.isMute = true;
    expect([await state(), await state()]).toEqual(["down", "down"]);
    proxy.isMute = false;
    proxy.cut();
    await expect.poll(state).toBe("up");
  });

  async function contentsOf(topic: string): Promise<readonly Content[][]> {
    const contents = [];
    for (const id of await bus.partitionIds(topic)) {
      const events = await bus.readRange(topic, id, 0, END, END);
      contents.push(events.map(({ body }) => JSON.parse(Buffer.from(body).toString())));
    }
    return contents;
  }

  const indexesOf = (contents: readonly Content[], key: string): number[] =>
    contents.filter((one) => one.key === key).map(({ index }) => index);

  test("connections cut a thousand times between a send and its answer: each event is there once, in order", async () => {
    const CUTS = 1_000;
    const topic = "cut";
    await kafka.makeTopics({ [topic]: 3 });
    const keys = ["a", "b", "c", "d", "e"];
    const sent = new Map(keys.map((key) => [key, 0]));
    let isOver = false;
    const sending = keys.map(async (key) => {
      for (let index = 0; !isOver; index += 1) {
        await bus.publish(topic, key, { key, index });
        sent.set(key, index + 1);
      }
    });
    const total = () => [...sent.values()].reduce((sum, one) => sum + one, 0);
    for (let cuts = 0; cuts < CUTS; ) {
      // Every other time the broker has done the work when its answer is lost.
      proxy.isMute = cuts % 2 === 0;
      await pause(5);
      const before = total();
      if (proxy.cut() > 0) cuts += 1;
      proxy.isMute = false;
      // The next cut meets a connection that works again.
      while (total() === before) await pause(1);
    }
    isOver = true;
    await Promise.all(sending);
    expect(proxy.opened).toBeGreaterThanOrEqual(CUTS);
    const contents = await contentsOf(topic);
    for (const key of keys) {
      const found = contents.map((one) => indexesOf(one, key)).filter(({ length }) => length > 0);
      expect(found).toEqual([Array.from({ length: sent.get(key)! }, (_, index) => index)]);
    }
  });

  test("a broker killed under load: what was told stored is there once, in order, and the rest at most once", async () => {
    const topic = "killed";
    await kafka.makeTopics({ [topic]: 3 });
    const keys = ["a", "b", "c"];
    const stored = new Map<string, number[]>(keys.map((key) => [key, []]));
    let isOver = false;
    const sending = keys.map(async (key) => {
      for (let index = 0; !isOver; index += 1)
        await bus.publish(topic, key, { key, index }).then(
          () => stored.get(key)!.push(index),
          () => {},
        );
    });
    for (let times = 0; times < 3; times += 1) {
      await pause(300);
      await kafka.startAgain(times === 1 ? "stopped" : "killed");
    }
    const before = keys.map((key) => stored.get(key)!.length);
    await expect
      .poll(() => keys.every((key, index) => stored.get(key)!.length > before[index]! + 5))
      .toBe(true);
    isOver = true;
    await Promise.all(sending);
    const contents = await contentsOf(topic);
    for (const key of keys) {
      const [found = [], ...others] = contents
        .map((one) => indexesOf(one, key))
        .filter(({ length }) => length > 0);
      expect(others).toEqual([]);
      expect(found).toEqual([...new Set(found)].sort((a, b) => a - b));
      expect(stored.get(key)!.filter((index) => !found.includes(index))).toEqual([]);
    }
  });

  test("a broker that answers nothing is given up after a while, and one that answers again is used at once", async () => {
    await bus.publish(TOPIC, "key", { index: 0 });
    proxy.isMute = true;
    await expect(bus.publish(TOPIC, "key", { index: 1 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    proxy.isMute = false;
    await bus.publish(TOPIC, "key", { index: 2 });
  });

  test("too much that waits is refused at once", async () => {
    await bus.publish(TOPIC, "key", { index: 0 });
    proxy.isMute = true;
    const large = { text: "x".repeat(900_000) };
    const waiting = Array.from({ length: 45 }, () => bus.publish(TOPIC, "key", large));
    const outcomes = waiting.map((one) =>
      one.then(
        () => "stored",
        (error) => String(error.cause?.message),
      ),
    );
    const first = await Promise.race(outcomes);
    expect(first).toMatch(/^33554432 bytes wait for the brokers already/);
    proxy.isMute = false;
    proxy.cut();
    expect((await Promise.all(outcomes)).filter((one) => one === "stored").length).toBeGreaterThan(20);
  });

  test("an event that brokers don't take is refused, and those beside it are stored", async () => {
    const sizes = [10, 1_200_000, 10];
    const outcomes = await Promise.allSettled(
      sizes.map((size) => bus.publish(TOPIC, "sizes", { size, text: "x".repeat(size) })),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  test("a topic made anew has another id and is published on from its start", async () => {
    const topic = "anew";
    await kafka.makeTopics({ [topic]: 1 });
    const id = await bus.hubId(topic, "fresh");
    await bus.publish(topic, "key", { index: 0 });
    await kafka.deleteTopic(topic);
    await kafka.makeTopics({ [topic]: 1 });
    await expect.poll(() => bus.hubId(topic, "fresh").catch(() => id)).not.toBe(id);
    await expect
      .poll(() =>
        bus.publish(topic, "key", { index: 1 }).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    const events = await bus.readRange(topic, "0", 0, END, END);
    expect(events.map(({ sequenceNumber, body }) => [sequenceNumber, String(body)])).toEqual([
      [0, '{"index":1}'],
    ]);
  });

  test("a topic made anew with another number of partitions has each key in one of them", async () => {
    const topic = "recount";
    await kafka.makeTopics({ [topic]: 2 });
    const idle = connectKafka({ brokers: [kafka.brokers] });
    await idle.publish(topic, "before", {});
    await kafka.deleteTopic(topic);
    await kafka.makeTopics({ [topic]: 5 });
    // What a process knows of a topic counts for 5 s.
    await pause(5_100);
    const keys = Array.from({ length: 20 }, (_, room) => String(room));
    for (const one of [bus, idle])
      await expect
        .poll(() =>
          Promise.all(keys.map((key) => one.publish(topic, key, { key }))).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true);
    const places = new Map<string, Set<string>>();
    for (const id of await bus.partitionIds(topic))
      for (const { key = "" } of await bus.readRange(topic, id, 0, END, END))
        places.set(key, (places.get(key) ?? new Set()).add(id));
    expect([...places.values()].filter((ids) => ids.size !== 1)).toEqual([]);
    expect(places.size).toBe(keys.length);
    await idle.close();
  });

  test("a broker that takes connections and says nothing is passed over", async () => {
    const sockets: Socket[] = [];
    const hung = createServer((socket) => void sockets.push(socket));
    await new Promise<void>((resolve) => hung.listen(0, "127.0.0.1", resolve));
    const { port } = hung.address() as AddressInfo;
    const other = connectKafka({ brokers: [`127.0.0.1:${port}`, `127.0.0.1:${proxy.port}`] });
    await other.publish(TOPIC, "key", { index: 0 });
    await other.ping();
    await other.close();
    expect(sockets.length).toBeGreaterThan(0);
    for (const socket of sockets) socket.destroy();
    hung.close();
  });

  test("what a leader may have appended though it told an error is not taken for another event's repeat", async () => {
    const topic = "unsure";
    await kafka.makeTopics({ [topic]: 1 });
    await bus.publish(topic, "key", { index: 0 });
    // Appended, and nobody hears of it until the time of the delivery is over.
    proxy.isMute = true;
    await expect(bus.publish(topic, "key", { index: 1 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    proxy.isMute = false;
    await bus.publish(topic, "key", { index: 2 });
    const events = await bus.readRange(topic, "0", 0, END, END);
    expect(events.map(({ body }) => JSON.parse(String(body)).index)).toContain(2);
  });

  test("marks of transactions are told as absent, and a null body is an empty one", async () => {
    const topic = "marks";
    await kafka.makeTopics({ [topic]: 1 });
    const producer = new Producer({
      clientId: "other",
      bootstrapBrokers: [kafka.brokers],
      transactionalId: "other",
      idempotent: true,
      serializers: stringSerializers,
    });
    for (const value of ["one", "two"]) {
      const transaction = await producer.beginTransaction();
      await transaction.send({ messages: [{ topic, key: "k", value, partition: 0 }] });
      await transaction.commit();
    }
    await producer.close();
    await bus.publish(topic, "key", { index: 0 });
    const shape = (await bus.readRange(topic, "0", 0, END, END)).map(({ sequenceNumber, absent, body }) => [
      sequenceNumber,
      absent ?? String(body),
    ]);
    expect(shape).toEqual([
      [0, "one"],
      [1, true],
      [2, "two"],
      [3, true],
      [4, '{"index":0}'],
    ]);
    const from = await bus.readRange(topic, "0", 1, 1, 10);
    expect(from.map(({ sequenceNumber, absent }) => [sequenceNumber, absent])).toEqual([[1, true]]);
    expect(await bus.lastEnqueued(topic, "0")).toMatchObject({ sequenceNumber: 4 });
  });

  test("a topic that is not there is told, is made by nobody, and asks nobody to send again", async () => {
    for (const ask of [() => bus.publish("not-there", "k", {}), () => bus.partitionIds("not-there")]) {
      const failure = await ask().catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "UNAVAILABLE", details: { toBeMended: true } });
      expect(String((failure as Error).cause)).toMatch(/no topic not-there: npm run topics makes it/);
    }
    expect(told).toEqual(["UnknownTopic", "UnknownTopic"]);
  });
});

describe.skipIf(noKafka !== undefined)("a broker that asks who is there, over TLS", () => {
  let authority: Authority;
  let secured: SecuredKafka;
  let folder: string;
  const told: (readonly [kind: string, isOwn: boolean | undefined])[] = [];
  const as = (username: string, password: string, ca: readonly string[] = [authority.file]): EventBus => {
    const tls = { ca: ca.map((file) => readFileSync(file)) };
    const sasl = { mechanism: "PLAIN", username, password } as const;
    const onFault: OnFault = ({ kind, isOwn }) => void told.push([kind, isOwn]);
    return connectKafka({ brokers: [secured.brokers], tls, sasl }, { onFault });
  };
  const failure = async (bus: EventBus): Promise<ChatError> => {
    told.length = 0;
    const error = await bus.publish(TOPIC, "key", { index: 0 }).then(
      () => expect.fail("it was published"),
      (thrown: ChatError) => thrown,
    );
    await bus.close();
    return error;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "nonstop-secured-"));
    authority = await makeAuthority();
    const certificate = await authority.certify("localhost");
    secured = await startSecuredKafka(join(folder, "kafka"), certificate);
    const ca = readFileSync(authority.file);
    const admin = new Admin({
      clientId: "admin",
      bootstrapBrokers: [secured.brokers],
      tls: { ca },
      tlsServerName: true,
      sasl: { mechanism: "PLAIN", username: ADMIN[0], password: ADMIN[1] },
      retries: 20,
      retryDelay: 200,
    });
    await admin.createTopics({ topics: [TOPIC], partitions: 2, replicas: 1 });
    await admin.close();
  });
  afterAll(async () => {
    await secured?.close();
    authority?.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  test("takes events of whom it knows, and gives them back", async () => {
    const bus = as(...ADMIN);
    await bus.publish(TOPIC, "key", { index: 1 });
    const found = await Promise.all(["0", "1"].map((id) => bus.readRange(TOPIC, id, 0, END, END)));
    expect(found.flat().map(({ body }) => String(body))).toEqual(['{"index":1}']);
    await bus.close();
  });

  test.each<[string, () => EventBus, string]>([
    ["a wrong password", () => as(ADMIN[0], "wrong"), "SASL_AUTHENTICATION_FAILED"],
    ["a user without rights", () => as(...GUEST), "TOPIC_AUTHORIZATION_FAILED"],
  ])("%s is a fault of this app's own, and asks nobody to send again", async (_what, open, kind) => {
    const error = await failure(open());
    expect(error).toMatchObject({ code: "UNAVAILABLE", details: { toBeMended: true } });
    expect(told).toEqual([[kind, true]]);
  });

  test("takes the tokens of an identity, a new one for each connection and whenever it asks", async () => {
    const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
    const scopes: string[] = [];
    const credential: TokenCredential = {
      async getToken(scope) {
        scopes.push(String(scope));
        const now = Date.now() / 1_000;
        const token = `${encoded({ alg: "none" })}.${encoded({ sub: ADMIN[0], iat: now, exp: now + 60 })}.`;
        return { token, expiresOnTimestamp: (now + 60) * 1_000 };
      },
    };
    const access = kafkaAccess(
      {
        kind: "kafka",
        brokers: [secured.tokenBrokers],
        security: "SASL_SSL",
        login: { mechanism: "OAUTHBEARER" },
        eventHubs: { kind: "entra", namespace: "name.servicebus.windows.net" },
      },
      credential,
    );
    const bus = connectKafka({ ...access, tls: { ca: readFileSync(authority.file) } });
    const until = Date.now() + 5_000;
    for (let index = 0; Date.now() < until; index += 1) await bus.publish(TOPIC, "tokens", { index });
    await bus.close();
    // The first connection is also the leader's, and lives on by new tokens.
    expect(scopes.length).toBeGreaterThanOrEqual(3);
    expect(new Set(scopes)).toEqual(new Set(["https://name.servicebus.windows.net/.default"]));
  });

  test("a certificate of an unknown authority is not trusted", async () => {
    const error = await failure(as(ADMIN[0], ADMIN[1], []));
    expect(error).toMatchObject({ code: "UNAVAILABLE" });
    expect(inspect(error, { depth: 9 })).toMatch(/UNABLE_TO_|SELF_SIGNED|unable to/);
  });
});

describe.skipIf(noKafka !== undefined)("rooms on both buses", () => {
  const PARTITIONS = 16;
  const keys = [...Array.from({ length: 200 }, (_, room) => String(room * 7_919)), "", "방-🎉"];

  test("each key has one partition, the same on either, whoever publishes", async () => {
    const data = mkdtempSync(join(tmpdir(), "both-buses-"));
    const hubs = { [TOPIC]: { partitions: PARTITIONS, consumerGroups: ["chat-recover"] } };
    const [server, kafka] = await Promise.all([
      start({ port: 0, data, hubs }),
      ownKafka({ [TOPIC]: PARTITIONS }),
    ]);
    const buses = [connectEventHubs(server.connectionString), connectKafka({ brokers: [kafka.brokers] })];
    try {
      const places = [];
      for (const bus of buses) {
        await Promise.all(keys.map((key) => bus.publish(TOPIC, key, { key })));
        await Promise.all(keys.map((key) => bus.publishAll(TOPIC, key, [{ key }, { key }])));
        places.push(await placesOf(bus));
      }
      expect(places[0]!.size).toBe(keys.length);
      expect(places[1]).toEqual(places[0]);
    } finally {
      await Promise.all(buses.map((bus) => bus.close()));
      await Promise.all([server.close(), kafka.close()]);
      rmSync(data, { recursive: true, force: true });
    }
  });

  /** The partitions of each key. */
  async function placesOf(bus: EventBus): Promise<ReadonlyMap<string, readonly string[]>> {
    const places = new Map<string, string[]>();
    for (const id of await bus.partitionIds(TOPIC)) {
      const events = await bus.readRange(TOPIC, id, 0, END, END);
      for (const { body } of events) {
        const { key } = JSON.parse(Buffer.from(body).toString());
        places.set(key, [...(places.get(key) ?? []), id]);
      }
    }
    expect([...places.values()].every((ids) => ids.length === 3 && new Set(ids).size === 1)).toBe(true);
    return places;
  }
});
