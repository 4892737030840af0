import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { EventHubProducerClient } from "@azure/event-hubs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { start } from "../../local/eventHubs/server.js";
import { freePort } from "../../local/ports.js";
import {
  appFolder,
  builtHost,
  eventually,
  type Running,
  runAzurite,
  runHost,
  scratchFolder,
} from "./functionsApp/processes.js";

/** A port whose server went away behind a proxy: each connection is counted and closed at once. */
async function countRefused(port: number): Promise<{ refused(): number; close(): Promise<void> }> {
  let refused = 0;
  const server = createServer((socket) => {
    refused += 1;
    socket.destroy();
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  return {
    refused: () => refused,
    close: async () => {
      await once(server.close(), "close");
    },
  };
}

/** Event Hub triggers against the local Event Hubs server and Azurite. */
describe("the Functions host, reading Event Hubs", () => {
  interface Call {
    readonly pid: number;
    readonly partition: string;
    readonly texts: string[];
    readonly isBuffer: boolean;
    readonly metadata: Record<string, unknown>;
    readonly retry?: { retryCount: number; maxRetryCount: number; exception?: { message: string } };
  }

  let scratch: ReturnType<typeof scratchFolder>;
  // Every test has a hub of its own, so that none meets events or checkpoints of another one.
  const names = Array.from({ length: 16 }, (_, index) => `orders-${index}`);
  const hubs = Object.fromEntries(
    names.map((name, index) => [
      name,
      { partitions: index === 0 ? 4 : 1, retentionHours: 1, consumerGroups: ["readers"] },
    ]),
  );
  let main: string;
  let azurite: Awaited<ReturnType<typeof runAzurite>>;
  let azuritePort: number;
  let eventHubs: Awaited<ReturnType<typeof start>>;
  let eventHubsPort: number;
  let hub = names[0]!;
  let next = 1;
  let callLog: string;
  let healed: string;
  const hosts: Running[] = [];

  beforeAll(async () => {
    scratch = scratchFolder();
    [main, azuritePort, eventHubsPort] = await Promise.all([builtHost(), freePort(), freePort()]);
    azurite = await runAzurite(scratch.path, azuritePort);
    eventHubs = await startEventHubs();
  });
  afterAll(async () => {
    await eventHubs?.close();
    await azurite?.end();
    scratch.remove();
  });
  beforeEach(() => {
    hub = names[next]!;
    callLog = join(scratch.path, `calls-${next}.log`);
    healed = join(scratch.path, `healed-${next++}`);
    writeFileSync(callLog, "");
  });
  afterEach(async () => {
    await Promise.all(hosts.splice(0).map((host) => host.end("SIGKILL")));
  });

  function startEventHubs() {
    return start({ port: eventHubsPort, data: join(scratch.path, "hubs"), hubs });
  }

  function connection(): string {
    return `Endpoint=sb://127.0.0.1:${eventHubsPort};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true`;
  }

  async function host(env: Record<string, string> = {}): Promise<Running> {
    const settings = {
      EVENT_HUBS: connection(),
      AzureWebJobsStorage: azurite.connection,
      ORDERS: "many",
      ORDERS_HUB: hub,
      CALL_LOG: callLog,
      HEALED: healed,
      ...env,
    };
    const running = await runHost(main, settings, "--app", appFolder);
    hosts.push(running);
    return running;
  }

  async function send(texts: string[], options: { partitionKey?: string } = {}): Promise<void> {
    const producer = new EventHubProducerClient(connection(), hub, { retryOptions: { timeoutInMs: 5_000 } });
    try {
      await producer.sendBatch(
        texts.map((text) => ({ body: Buffer.from(text), properties: { about: text } })),
        options,
      );
    } finally {
      await producer.close();
    }
  }

  function calls(): Call[] {
    const lines = readFileSync(callLog, "utf8").split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line));
  }

  function texts(): string[] {
    return calls().flatMap((call) => call.texts);
  }

  function numbered(from: number, to: number): string[] {
    return Array.from({ length: to - from + 1 }, (_, index) => `event-${from + index}`);
  }

  describe("batches", () => {
    test("are bytes in order, no larger than maxEventBatchSize, with their metadata", async () => {
      await send(numbered(1, 12), { partitionKey: "key" });
      const running = await host();
      await eventually(() => texts().length === 12);
      expect(running.log()).toContain("[orders] (hidden)");
      expect(texts()).toEqual(numbered(1, 12));
      const [first] = calls();
      expect(calls().every((call) => call.isBuffer && call.texts.length <= 5)).toBe(true);
      expect(first!.metadata["partitionContext"]).toMatchObject({
        eventHubName: hub,
        consumerGroup: "readers",
        partitionId: "0",
      });
      const size = first!.texts.length;
      expect(first!.metadata["sequenceNumberArray"]).toEqual(
        Array.from({ length: size }, (_, index) => index),
      );
      expect(first!.metadata["partitionKeyArray"]).toEqual(Array(size).fill("key"));
      expect(first!.metadata["propertiesArray"]).toEqual(first!.texts.map((about) => ({ about })));
      expect(first!.metadata["offsetArray"]).toEqual(Array(size).fill(expect.any(Number)));
      expect(first!.metadata["enqueuedTimeUtcArray"]).toEqual(
        Array(size).fill(expect.stringMatching(/^2.*Z$/)),
      );
      expect(first!.metadata["systemPropertiesArray"]).toContainEqual(
        expect.objectContaining({ "x-opt-sequence-number": 0, sequenceNumber: 0, partitionKey: "key" }),
      );
    });

    test("lose the empty keys of events without one", async () => {
      await send(["a", "b"]);
      await host();
      await eventually(() => texts().length === 2);
      expect(calls()[0]!.metadata["partitionKeyArray"]).toEqual([]);
    });

    test("are single events, parsed when they are JSON, for a cardinality of one", async () => {
      await send(['{"n":1}', "plain"], { partitionKey: "key" });
      await host({ ORDERS: "one" });
      await eventually(() => texts().length === 2);
      expect(texts()).toEqual([{ n: 1 }, "plain"]);
      expect(calls()[1]!.metadata).toMatchObject({
        sequenceNumber: 1,
        partitionKey: "key",
        properties: { about: "plain" },
      });
    });

    test("wait for minEventBatchSize, or for maxWaitTime", async () => {
      await host({
        AzureFunctionsJobHost__extensions__eventHubs__minEventBatchSize: "3",
        AzureFunctionsJobHost__extensions__eventHubs__maxWaitTime: "00:00:05",
      });
      await send(["1"]);
      await send(["2"]);
      await send(["3"]);
      await send(["4"]);
      await eventually(() => texts().length === 4);
      expect(calls()[0]!.texts.length).toBeGreaterThanOrEqual(3);
    });
  });

  test("what has come at once is handed over batch by batch, though nothing more comes", async () => {
    const sent = Array.from({ length: 300 }, (_, index) => String(index));
    await send(sent);
    await host({ AzureFunctionsJobHost__extensions__eventHubs__maxEventBatchSize: "5" });
    await eventually(() => texts().length === 300);
    expect(calls().every((call) => call.texts.length <= 5)).toBe(true);
    expect(texts()).toEqual(sent);
  });

  test("a function that is disabled reads nothing", async () => {
    await send(["one"]);
    const running = await host({ "AzureWebJobs.orders.Disabled": "1" });
    expect(running.log()).toContain("Function 'Functions.orders' is disabled");
    await running.end();
    await host();
    await eventually(() => texts().length === 1);
    expect(calls().map(({ pid }) => pid)).not.toContain(running.child.pid);
  });

  describe("retries", () => {
    test("repeat the same batch until it succeeds, later events waiting", async () => {
      await host({ RETRIES: "-1" });
      await send(["poison"]);
      await eventually(() => calls().length === 2);
      await send(["after"]);
      writeFileSync(healed, "");
      await eventually(() => texts().includes("after"));
      expect(texts().lastIndexOf("poison")).toBe(texts().indexOf("after") - 1);
      expect(
        calls()
          .slice(0, 2)
          .map((call) => call.retry),
      ).toMatchObject([
        { retryCount: 0, maxRetryCount: -1 },
        { retryCount: 1, maxRetryCount: -1, exception: { message: "poisoned" } },
      ]);
    });

    test("end at maxRetryCount, and the checkpoint moves past the batch that failed", async () => {
      const first = await host({ RETRIES: "1" });
      await send(["poison"]);
      await eventually(() => first.log().includes("gave up 1 event(s)"));
      await send(["after"]);
      await eventually(() => first.log().includes("done up to sequence number 1"));
      expect(texts()).toEqual(["poison", "poison", "after"]);
      await first.end("SIGTERM");
      await host();
      await send(["later"]);
      await eventually(() => texts().includes("later"));
      expect(texts().filter((text) => text === "poison")).toHaveLength(2);
    });

    test("begin again with the same batch after the process was killed in between", async () => {
      const first = await host({ RETRIES: "-1" });
      await send(["poison-1"]);
      await eventually(() => calls().length === 1);
      await first.end("SIGKILL");
      await host({ RETRIES: "-1" });
      await eventually(() => calls().some((call) => call.pid !== first.child.pid));
      expect(calls().find((call) => call.pid !== first.child.pid)).toMatchObject({
        texts: ["poison-1"],
        retry: { retryCount: 0 },
      });
    });
  });

  describe("restarts", () => {
    test("of the host resume after the last batch", async () => {
      const first = await host();
      await send(numbered(1, 3));
      await eventually(() => texts().length === 3);
      await eventually(() => first.log().includes("partition 0 done up to sequence number 2"));
      expect(await first.end("SIGTERM")).toBe(0);
      await send(numbered(4, 6));
      await host();
      await eventually(() => texts().includes("event-6"));
      expect(texts()).toEqual(numbered(1, 6));
    });

    test("do not wait for Event Hubs and storage that are gone", async () => {
      const running = await host();
      await send(["one"]);
      await eventually(() => texts().includes("one"));
      await eventHubs.close();
      await azurite.end();
      expect(await running.end("SIGTERM")).toBe(0);
      azurite = await runAzurite(scratch.path, azuritePort);
      eventHubs = await startEventHubs();
    });

    test("of Event Hubs that come up after storage and the host are noticed within seconds", async () => {
      await eventHubs.close();
      const running = await host();
      await eventually(() => running.log().includes("orders waits for its event hub"));
      eventHubs = await startEventHubs();
      await send(["one"]);
      await eventually(() => texts().includes("one"));
    });

    test("of Event Hubs and of storage are survived, also when both are away at the start", async () => {
      await eventHubs.close();
      await azurite.end();
      const running = await host();
      expect((await fetch(`http://127.0.0.1:${running.ready.port}/api/nothing`)).status).toBe(204);
      azurite = await runAzurite(scratch.path, azuritePort);
      eventHubs = await startEventHubs();
      await send(["one"]);
      await eventually(() => texts().includes("one"));
      await eventHubs.close();
      eventHubs = await startEventHubs();
      await send(["two"]);
      await eventually(() => texts().includes("two"));
      await azurite.end();
      await send(["three"]);
      await eventually(() => texts().includes("three"));
      azurite = await runAzurite(scratch.path, azuritePort);
      await send(["four"]);
      await eventually(() => texts().includes("four"));
      expect([...new Set(texts())]).toEqual(["one", "two", "three", "four"]);
    });
  });

  test("a partition's reader outlives Event Hubs that are away", async () => {
    const running = await host();
    await send(["one"]);
    await eventually(() => texts().includes("one"));
    await eventHubs.close();
    const away = await countRefused(eventHubsPort);
    await eventually(() => away.refused() >= 20 || running.log().includes("no longer reads"));
    await away.close();
    eventHubs = await startEventHubs();
    await send(["two"]);
    await eventually(() => texts().includes("two"));
    expect(running.log()).not.toContain("no longer reads");
    expect(running.log().split("orders reads partition 0")).toHaveLength(2);
    expect(texts()).toEqual(["one", "two"]);
  });

  test("two hosts share the partitions, and no event is left out", async () => {
    hub = names[0]!;
    const both = await Promise.all([host(), host()]);
    const pids = both.map((one) => one.child.pid!);
    const sent: string[] = [];
    await eventually(async () => {
      const from = sent.length + 1;
      const some = numbered(from, from + 7);
      for (const text of some) await send([text], { partitionKey: text });
      sent.push(...some);
      await new Promise((resolve) => setTimeout(resolve, 500));
      return new Set(calls().map((call) => call.pid)).size === 2;
    });
    await eventually(() => sent.every((text) => texts().includes(text)));
    expect(new Set(calls().map((call) => call.pid))).toEqual(new Set(pids));
  });
});
