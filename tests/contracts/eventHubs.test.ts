import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
  EventHubBufferedProducerClient,
  EventHubConsumerClient,
  EventHubProducerClient,
  type EventPosition,
  earliestEventPosition,
  type PartitionProperties,
  type ReceivedEventData,
} from "@azure/event-hubs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Server, start } from "../../local/eventHubs/server.js";

// What the chat needs of Event Hubs, through the SDK only. With EVENT_HUBS_CONNECTION_STRING set the suite
// runs against that namespace, on the hub EVENT_HUBS_NAME with the consumer groups $Default and
// EVENT_HUBS_GROUP; it sends a few hundred small events there and reads from where each test began.
const outside = process.env["EVENT_HUBS_CONNECTION_STRING"];
const hub = process.env["EVENT_HUBS_NAME"] ?? "events";
const otherGroup = process.env["EVENT_HUBS_GROUP"] ?? "second";
const hubs = {
  [hub]: { partitions: 3, retentionHours: 24, consumerGroups: [otherGroup] },
  brief: { partitions: 1, retentionHours: 1 / 3600, consumerGroups: [] },
};
const quick = { retryOptions: { maxRetries: 0, timeoutInMs: 10_000 } };

/** As built: a process to kill must be one process, without a loader. */
const PROGRAM = join(process.cwd(), "dist/local/eventHubs/main.js");

const scratch = mkdtempSync(join(tmpdir(), "event-hubs-"));
const open: { close(): Promise<unknown> }[] = [];
let server: Server | undefined;
let connectionString: string;

beforeAll(async () => {
  if (!outside) server = await start({ port: 0, data: join(scratch, "shared"), hubs });
  connectionString = outside ?? server!.connectionString;
});
afterEach(async () => {
  await closeAll();
});
afterAll(async () => {
  await server?.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** The newest first, so that clients go before the server they talk to. */
async function closeAll(): Promise<void> {
  for (const each of open.splice(0).reverse()) await each.close();
}

function keep<T extends { close(): Promise<unknown> }>(client: T): T {
  open.push(client);
  return client;
}

const producer = (to = connectionString, name = hub) => keep(new EventHubProducerClient(to, name, quick));
const consumer = (group = "$Default", to = connectionString, name = hub) =>
  keep(new EventHubConsumerClient(group, to, name, quick));
const numbered = (count: number, first = 0) =>
  Array.from({ length: count }, (_, index) => ({ body: Buffer.from(String(first + index)) }));
const text = (event: ReceivedEventData) => String(event.body);
const facts = ({ body, sequenceNumber, offset, enqueuedTimeUtc, partitionKey }: ReceivedEventData) => ({
  body,
  sequenceNumber,
  offset,
  enqueuedTimeUtc,
  partitionKey,
});
const texts = (events: readonly ReceivedEventData[]) => events.map(text);

/** Where a partition ends now, as a position that starts with the next event. */
async function endOf(client: EventHubProducerClient, id: string): Promise<EventPosition> {
  const { lastEnqueuedSequenceNumber } = await client.getPartitionProperties(id);
  return { sequenceNumber: lastEnqueuedSequenceNumber, isInclusive: false };
}

/** Reads one partition from a position until `count` events have come; fails with the reader's error. */
function read(
  client: EventHubConsumerClient,
  id: string,
  startPosition: EventPosition,
  count: number,
  options: { ownerLevel?: number; trackLastEnqueuedEventProperties?: boolean } = {},
): Promise<ReceivedEventData[]> {
  return new Promise((resolve, reject) => {
    const events: ReceivedEventData[] = [];
    const finish = (outcome: () => void) => subscription.close().then(outcome, reject);
    const subscription = client.subscribe(
      id,
      {
        async processEvents(batch) {
          events.push(...batch);
          if (events.length >= count) void finish(() => resolve(events));
        },
        async processError(error) {
          void finish(() => reject(error));
        },
      },
      { startPosition, maxWaitTimeInSeconds: 1, ...options },
    );
  });
}

function properties(client: EventHubProducerClient): Promise<PartitionProperties[]> {
  return client
    .getPartitionIds({})
    .then((ids) => Promise.all(ids.map((id) => client.getPartitionProperties(id))));
}

describe("sending", () => {
  test("keeps the order of a key, in one partition", async () => {
    const client = producer();
    const before = await properties(client);
    for (let index = 0; index < 20; index++) {
      await client.sendBatch(numbered(3, index * 3), { partitionKey: "room-ä-한국" });
    }
    const after = await properties(client);
    const grown = after.filter(
      (each, id) => each.lastEnqueuedSequenceNumber !== before[id]!.lastEnqueuedSequenceNumber,
    );
    expect(grown).toHaveLength(1);
    const id = grown[0]!.partitionId;
    const from = before[Number(id)]!.lastEnqueuedSequenceNumber;
    const events = await read(consumer(), id, { sequenceNumber: from, isInclusive: false }, 60);
    expect(texts(events)).toEqual(Array.from({ length: 60 }, (_, index) => String(index)));
    expect(events.map((each) => each.sequenceNumber)).toEqual(events.map((_, index) => from + 1 + index));
    expect(new Set(events.map((each) => each.partitionKey))).toEqual(new Set(["room-ä-한국"]));
  });

  test("brings body, properties and message fields back with the types they were sent with", async () => {
    const client = producer();
    const from = await endOf(client, "0");
    const batch = await client.createBatch({ partitionId: "0" });
    batch.tryAdd({
      body: Buffer.from([0, 255, 128]),
      contentType: "x/y",
      messageId: "m",
      correlationId: "c",
    });
    batch.tryAdd({
      body: { nested: [1, "two", null] },
      properties: { flag: true, count: 5, half: 0.5, word: "w" },
    });
    await client.sendBatch(batch);
    const [first, second] = await read(consumer(), "0", from, 2);
    expect(first).toMatchObject({ contentType: "x/y", messageId: "m", correlationId: "c" });
    expect(first!.body).toEqual(Buffer.from([0, 255, 128]));
    expect(second!.body).toEqual({ nested: [1, "two", null] });
    expect(second!.properties).toEqual({ flag: true, count: 5, half: 0.5, word: "w" });
  });

  test("spreads events without a key over the partitions", async () => {
    const client = producer();
    const before = await properties(client);
    for (const event of numbered(before.length)) await client.sendBatch([event]);
    const after = await properties(client);
    for (const [id, each] of after.entries())
      expect(each.lastEnqueuedSequenceNumber).toBeGreaterThan(before[id]!.lastEnqueuedSequenceNumber);
  });

  test("takes many sends at once and loses none", async () => {
    const client = producer();
    const from = await endOf(client, "1");
    await Promise.all(numbered(300).map((event) => client.sendBatch([event], { partitionId: "1" })));
    const events = await read(consumer(), "1", from, 300);
    expect(new Set(texts(events)).size).toBe(300);
  });

  test("takes events from the buffered producer", async () => {
    const from = await endOf(producer(), "2");
    const client = new EventHubBufferedProducerClient(connectionString, hub, {
      ...quick,
      onSendEventsErrorHandler: async () => {},
    });
    for (const event of numbered(50)) await client.enqueueEvent(event, { partitionId: "2" });
    await client.close();
    expect(texts(await read(consumer(), "2", from, 50))).toEqual(
      numbered(50).map((each) => String(each.body)),
    );
  });

  test("takes events from an idempotent producer in order, once", async () => {
    const from = await endOf(producer(), "2");
    const errors: unknown[] = [];
    const client = new EventHubBufferedProducerClient(connectionString, hub, {
      ...quick,
      enableIdempotentRetries: true,
      onSendEventsErrorHandler: async ({ error }) => void errors.push(error),
    });
    for (const event of numbered(20)) await client.enqueueEvent(event, { partitionId: "2" });
    await client.flush();
    for (const event of numbered(20, 20)) await client.enqueueEvent(event, { partitionId: "2" });
    await client.close();
    expect(errors).toEqual([]);
    expect(texts(await read(consumer(), "2", from, 40))).toEqual(
      numbered(40).map((each) => String(each.body)),
    );
  });

  test("lets an idempotent producer that comes back go on behind its last number", async () => {
    const partition = { startingSequenceNumber: 0, ownerLevel: 1, producerGroupId: groupId() };
    const from = await endOf(producer(), "0");
    await numberedProducer(partition).sendBatch(numbered(2, 100), { partitionId: "0" });
    const again = numberedProducer(partition);
    await again.sendBatch(numbered(2, 200), { partitionId: "0" });
    await again.sendBatch(numbered(1, 300), { partitionId: "0" });
    expect(texts(await read(consumer(), "0", from, 5))).toEqual(["100", "101", "200", "201", "300"]);
    await expect(
      numberedProducer({ ...partition, ownerLevel: 0 }).sendBatch(numbered(1), { partitionId: "0" }),
    ).rejects.toThrow("epoch");
  });

  test("refuses an event and a batch above 1 MiB, and the same producer goes on", async () => {
    const client = producer();
    const tooLarge = [{ body: Buffer.alloc(1_048_577) }];
    await expect(client.sendBatch(tooLarge, { partitionId: "0" })).rejects.toMatchObject({
      code: "MessageTooLargeError",
    });
    const together = Array.from({ length: 30 }, () => ({ body: Buffer.alloc(100_000) }));
    await expect(client.sendBatch(together, { partitionId: "0" })).rejects.toMatchObject({
      code: "MessageTooLargeError",
    });
    const batch = await client.createBatch();
    expect(batch.maxSizeInBytes).toBe(1_048_576);
    await client.sendBatch([{ body: Buffer.alloc(1_000_000) }], { partitionId: "0" });
  });
});

const groupId = () => Math.floor(Math.random() * 1_000_000_000);

/** Idempotent publishing with numbers of our choosing, which the SDK has and doesn't publish in its types. */
function numberedProducer(partition: object): EventHubProducerClient {
  const hidden = { _enableIdempotentRetries: true, _partitionOptions: { 0: partition } };
  return Object.assign(producer(), hidden) as unknown as EventHubProducerClient;
}

describe("reading", () => {
  test("starts where it is told", async () => {
    const client = producer();
    const from = await endOf(client, "1");
    await client.sendBatch(numbered(2), { partitionId: "1" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await client.sendBatch(numbered(3, 2), { partitionId: "1" });
    const events = await read(consumer(), "1", from, 5);
    const [, second, third] = events;
    const cases: [string, EventPosition, string[]][] = [
      ["a sequence number", { sequenceNumber: third!.sequenceNumber, isInclusive: true }, ["2", "3", "4"]],
      ["behind a sequence number", { sequenceNumber: third!.sequenceNumber }, ["3", "4"]],
      ["an offset", { offset: third!.offset, isInclusive: true }, ["2", "3", "4"]],
      ["behind an offset", { offset: second!.offset }, ["2", "3", "4"]],
      ["behind a time", { enqueuedOn: second!.enqueuedTimeUtc }, ["2", "3", "4"]],
    ];
    for (const [name, position, expected] of cases)
      expect(texts(await read(consumer(), "1", position, expected.length)), name).toEqual(expected);
  });

  test("brings events that are sent while a reader waits at the end", async () => {
    const client = producer();
    const reading = read(consumer(), "1", await endOf(client, "1"), 10);
    for (const event of numbered(10)) await client.sendBatch([event], { partitionId: "1" });
    expect(texts(await reading)).toEqual(numbered(10).map((each) => String(each.body)));
  });

  test("gives every consumer group every event", async () => {
    const client = producer();
    const from = await endOf(client, "0");
    await client.sendBatch(numbered(3), { partitionId: "0" });
    const both = await Promise.all([
      read(consumer(), "0", from, 3),
      read(consumer(otherGroup), "0", from, 3),
    ]);
    expect(both.map(texts)).toEqual([
      ["0", "1", "2"],
      ["0", "1", "2"],
    ]);
  });

  test("lets a higher owner level take over, and refuses a lower one", async () => {
    const client = producer();
    const from = await endOf(client, "2");
    await client.sendBatch(numbered(1), { partitionId: "2" });
    let began!: () => void;
    const started = new Promise<void>((resolve) => {
      began = resolve;
    });
    const lost = new Promise<{ code?: string }>((resolve) => {
      consumer().subscribe(
        "2",
        {
          processEvents: async (events) => void (events.length > 0 && began()),
          processError: async (error) => resolve(error as { code?: string }),
        },
        { startPosition: from, ownerLevel: 5, maxWaitTimeInSeconds: 1 },
      );
    });
    await started;
    await expect(read(consumer(), "2", from, 1, { ownerLevel: 1 })).rejects.toMatchObject({
      code: "ReceiverDisconnectedError",
    });
    expect(texts(await read(consumer(), "2", from, 1, { ownerLevel: 6 }))).toEqual(["0"]);
    expect(await lost).toMatchObject({ code: "ReceiverDisconnectedError" });
  });

  test("tells readers that ask what the last event is", async () => {
    const client = producer();
    const from = await endOf(client, "0");
    await client.sendBatch(numbered(3), { partitionId: "0" });
    const last = await client.getPartitionProperties("0");
    const seen = await new Promise((resolve) => {
      consumer().subscribe(
        "0",
        {
          processEvents: async (events, context) => {
            if (events.length > 0) resolve(context.lastEnqueuedEventProperties);
          },
          processError: async () => {},
        },
        { startPosition: from, trackLastEnqueuedEventProperties: true, maxWaitTimeInSeconds: 1 },
      );
    });
    expect(seen).toMatchObject({
      sequenceNumber: last.lastEnqueuedSequenceNumber,
      offset: last.lastEnqueuedOffset,
      enqueuedOn: last.lastEnqueuedOnUtc,
    });
  });
});

describe("refusing", () => {
  test("an unknown hub", async () => {
    const nowhere = producer(connectionString, "no-such-hub");
    await expect(nowhere.sendBatch(numbered(1))).rejects.toMatchObject({
      code: "MessagingEntityNotFoundError",
    });
    await expect(nowhere.getEventHubProperties()).rejects.toMatchObject({
      code: "MessagingEntityNotFoundError",
    });
  });

  test("an unknown consumer group", async () => {
    await expect(read(consumer("no-such-group"), "0", earliestEventPosition, 1)).rejects.toMatchObject({
      code: "MessagingEntityNotFoundError",
    });
  });

  test("an unknown partition", async () => {
    await expect(producer().sendBatch(numbered(1), { partitionId: "77" })).rejects.toMatchObject({
      code: "ArgumentOutOfRangeError",
    });
  });

  test("a wrong key", async () => {
    const wrong = connectionString.replace(/SharedAccessKey=[^;]*/, "SharedAccessKey=d3Jvbmc=");
    await expect(producer(wrong).sendBatch(numbered(1))).rejects.toMatchObject({ code: "UnauthorizedError" });
  });
});

describe.skipIf(outside)("the local server", () => {
  let next = 0;
  const folder = () => join(scratch, `data-${next++}`);
  const begin = async (data: string) => keep(await start({ port: 0, data, hubs, retentionCheckMs: 50 }));

  test("keeps everything over a restart: events, sequence numbers, offsets, times and the date of the hub", async () => {
    const data = folder();
    const first = await begin(data);
    const sender = producer(first.connectionString);
    await sender.sendBatch(numbered(3), { partitionId: "1" });
    await sender.sendBatch(numbered(2, 3), { partitionId: "1" });
    const before = await read(consumer("$Default", first.connectionString), "1", earliestEventPosition, 5);
    const { createdOn } = await sender.getEventHubProperties();
    const known = await sender.getPartitionProperties("1");
    await closeAll();
    const second = await begin(data);
    const after = await read(consumer("$Default", second.connectionString), "1", earliestEventPosition, 5);
    expect(after.map(facts)).toEqual(before.map(facts));
    const again = producer(second.connectionString);
    expect((await again.getEventHubProperties()).createdOn).toEqual(createdOn);
    expect(await again.getPartitionProperties("1")).toEqual(known);
    await again.sendBatch(numbered(1, 5), { partitionId: "1" });
    const { lastEnqueuedSequenceNumber } = await again.getPartitionProperties("1");
    expect(lastEnqueuedSequenceNumber).toBe(5);
  });

  test("cuts an unfinished record off and goes on behind the last whole one", async () => {
    const data = folder();
    const first = await begin(data);
    await producer(first.connectionString).sendBatch(numbered(2), { partitionId: "0" });
    await closeAll();
    const partition = join(data, hub, "0");
    const file = join(partition, readdirSync(partition)[0]!);
    const whole = statSync(file).size;
    appendFileSync(file, Buffer.from([0, 0, 1, 44, 9, 9, 9, 9, 0, 255, 255, 0, 0, 0]));
    const second = await begin(data);
    expect(statSync(file).size).toBe(whole);
    await producer(second.connectionString).sendBatch(numbered(1, 2), { partitionId: "0" });
    const events = await read(consumer("$Default", second.connectionString), "0", earliestEventPosition, 3);
    expect(texts(events)).toEqual(["0", "1", "2"]);
  });

  test("opens a log that was cut after five of ten events, and goes on with the sixth number", async () => {
    const data = join(scratch, "went-back");
    const first = await begin(data);
    const sender = producer(first.connectionString);
    for (const event of numbered(10)) await sender.sendBatch([event], { partitionId: "0" });
    const { createdOn } = await sender.getEventHubProperties();
    await closeAll();
    const folder = join(data, hub, "0");
    const log = join(folder, readdirSync(folder).find((name) => name.endsWith(".log"))!);
    truncateSync(log, statSync(log).size / 2);
    const second = await begin(data);
    const again = producer(second.connectionString);
    expect((await again.getEventHubProperties()).createdOn).toEqual(createdOn);
    expect((await again.getPartitionProperties("0")).lastEnqueuedSequenceNumber).toBe(4);
    await again.sendBatch(numbered(3, 100), { partitionId: "0" });
    const reader = consumer("$Default", second.connectionString);
    const found = await read(reader, "0", earliestEventPosition, 8);
    expect(texts(found)).toEqual(["0", "1", "2", "3", "4", "100", "101", "102"]);
    expect(found.map((each) => each.sequenceNumber)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("lets events go when their retention is over, and goes on counting", async () => {
    const server = await begin(folder());
    const sender = producer(server.connectionString, "brief");
    await sender.sendBatch(numbered(4), { partitionId: "0" });
    await expect.poll(async () => (await sender.getPartitionProperties("0")).isEmpty).toBe(true);
    expect(await sender.getPartitionProperties("0")).toMatchObject({ beginningSequenceNumber: 4 });
    const reading = read(
      consumer("$Default", server.connectionString, "brief"),
      "0",
      earliestEventPosition,
      1,
    );
    await sender.sendBatch(numbered(1, 4), { partitionId: "0" });
    expect((await reading)[0]).toMatchObject({ sequenceNumber: 4 });
  });

  test("has every confirmed event, in order, after it was killed in the middle of sends", async () => {
    const data = folder();
    for (let round = 0; round < 2; round++) {
      const { child, connection } = await run(data);
      const confirmed = await sendUntilKilled(connection, child);
      const again = await begin(data);
      for (const [id, sent] of confirmed.entries()) {
        const { lastEnqueuedSequenceNumber, beginningSequenceNumber } = await producer(
          again.connectionString,
        ).getPartitionProperties(String(id));
        const count = lastEnqueuedSequenceNumber - beginningSequenceNumber + 1;
        const stored = texts(
          await read(consumer("$Default", again.connectionString), String(id), earliestEventPosition, count),
        );
        const ours = stored
          .filter((each) => each.startsWith(`${round}-`))
          .map((each) => Number(each.split("-")[1]));
        expect(sent).toBeGreaterThan(0);
        // One sender a partition, one send at a time: what is stored is what was confirmed, and at most one
        // more.
        expect(ours.slice(0, sent)).toEqual(Array.from({ length: sent }, (_, index) => index));
        expect(ours.length - sent).toBeLessThanOrEqual(1);
      }
      await closeAll();
    }

    /**
     * Sends to each partition one event after the other, kills the server, and returns how many were
     * confirmed.
     */
    async function sendUntilKilled(connection: string, child: ChildProcess): Promise<number[]> {
      const confirmed = [0, 0, 0];
      const round = readdirSync(data).includes("round") ? 1 : 0;
      writeFileSync(join(data, "round"), "");
      const clients = confirmed.map(
        () =>
          new EventHubProducerClient(connection, hub, { retryOptions: { maxRetries: 0, timeoutInMs: 1000 } }),
      );
      let alive = true;
      const sending = clients.map(async (client, id) => {
        while (alive) {
          await client.sendBatch([{ body: Buffer.from(`${round}-${confirmed[id]}`) }], {
            partitionId: String(id),
          });
          confirmed[id]! += 1;
        }
      });
      const settled = Promise.allSettled(sending);
      while (confirmed.some((count) => count < 50)) await new Promise((resolve) => setTimeout(resolve, 5));
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
      alive = false;
      await settled;
      await Promise.allSettled(clients.map((client) => client.close()));
      return confirmed;
    }
  });

  test("leaves when its stdin ends, and says what is wrong with its flags", async () => {
    const { child } = await run(folder());
    const gone = once(child, "exit");
    child.stdin!.end();
    expect(await gone).toEqual([0, null]);
    const confused = spawn(process.execPath, [PROGRAM, "--colour"], { stdio: ["ignore", "ignore", "pipe"] });
    let complaint = "";
    confused.stderr.on("data", (bytes) => {
      complaint += bytes;
    });
    expect(await once(confused, "close")).toEqual([2, null]);
    expect(complaint).toContain("usage:");
  });

  /** Starts the server as a process. Throws if it ends before it listens. */
  async function run(data: string): Promise<{ child: ChildProcess; connection: string }> {
    const config = join(scratch, "hubs.json");
    writeFileSync(config, JSON.stringify({ hubs }));
    const flags = ["--port", "0", "--data", data, "--config", config, "--exit-with-stdin"];
    const child = spawn(process.execPath, [PROGRAM, ...flags], { stdio: ["pipe", "pipe", "inherit"] });
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`the server ended with ${code} before it listened: see what it printed`);
    });
    const listening = once(createInterface(child.stdout!), "line");
    const [line] = (await Promise.race([listening, ended])) as [string];
    return { child, connection: (JSON.parse(line) as { connectionString: string }).connectionString };
  }
});
