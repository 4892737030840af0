import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { EventHubConsumerClient, earliestEventPosition, type ReceivedEventData } from "@azure/event-hubs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Server, start } from "../../local/eventHubs/server.js";
import { copyOf, type Failure, type Found, runIn, SDKS, type Sdk } from "./eventHubs/sdks.js";
import { missing } from "./program.js";

// Event Hubs SDKs of other languages, as they are, against the local server: over plain TCP and to a port of
// its own, which all of them do when the connection string says UseDevelopmentEmulator=true.

const MINUTE = 60_000;
const HUB = "events";
const hundred = Array.from({ length: 100 }, (_, number) => String(number));
const ten = Array.from({ length: 10 }, (_, number) => `key ${number}`);

for (const sdk of SDKS) {
  const absent = missing(sdk.needs).join(" and ");
  const name = absent === "" ? sdk.name : `${sdk.name} (skipped: ${absent} is not on this machine)`;
  describe.skipIf(absent !== "")(name, () => checks(sdk));
}

function checks(sdk: Sdk): void {
  const data = mkdtempSync(join(tmpdir(), "event-hubs-sdk-"));
  let server: Server;
  let found: ReadonlyMap<string, Found>;
  let skipped: string | undefined;
  const value = (check: string): unknown => {
    const { error, text, value } = found.get(check) ?? { error: "the program has not got there" };
    if (error !== undefined) throw new Error(`${error}: ${text}`);
    return value;
  };
  const fails = (check: string, { error, says }: Failure): void =>
    expect(found.get(check)).toMatchObject({ error, text: expect.stringMatching(says) });

  beforeAll(async () => {
    server = await start({
      port: 0,
      data,
      hubs: { [HUB]: { partitions: 3, retentionHours: 24, consumerGroups: [] } },
    });
    try {
      runIn(sdk, sdk.download);
    } catch (error) {
      skipped = `skipped: it can't be downloaded: ${(error as Error).message}`;
      return;
    }
    runIn(sdk, sdk.build);
    found = await run(sdk, server.connectionString);
  }, 15 * MINUTE);
  beforeEach(({ skip }) => skip(skipped !== undefined, skipped));
  afterAll(async () => {
    await server?.close();
    rmSync(data, { recursive: true, force: true });
  });

  test("lists the partitions", () => {
    expect(value("hub")).toEqual({ name: HUB, partitions: ["0", "1", "2"] });
    expect(value("partition")).toEqual({ begin: 0, last: -1, empty: true });
  });
  test("sends to a partition, and with a key to one and the same, in order", async () => {
    value("send");
    const events = await readAll(server.connectionString, 111);
    const keyed = events.filter(({ partitionKey }) => partitionKey === "room-한국");
    expect(keyed.map(({ body }) => String(body))).toEqual(ten);
  });
  test("reads from the start, in order", () => expect(value("read")).toEqual(hundred));
  test("reads from a sequence number", () =>
    expect(value("from a sequence number")).toEqual(["50", "51", "52", "53", "54"]));
  test("reads behind an offset", () =>
    expect(value("behind an offset")).toEqual(["60", "61", "62", "63", "64"]));
  test("gets bytes and properties as they were sent", () =>
    expect(value("bytes and properties")).toEqual({
      body: "0001ff",
      properties: { text: "한국", number: 7, yes: true },
    }));
  test("reads the whole hub with its processor", () => {
    const partitions = value("processor") as Record<string, string[]>;
    expect(partitions["0"]?.filter((text) => !text.startsWith("key"))).toEqual(hundred);
    const keyed = Object.values(partitions).map((texts) => texts.filter((text) => text.startsWith("key")));
    expect(keyed.filter((texts) => texts.length > 0)).toEqual([ten]);
    expect(partitions["1"]).toHaveLength(1 + (keyed[Object.keys(partitions).indexOf("1")]?.length ?? 0));
  });
  test("loses a partition to a higher owner level", () => fails("taken over", sdk.errors.stolen));
  test("is refused with a lower owner level", () => fails("refused", sdk.errors.refused));
  test("says that there is no such hub", () => {
    fails("send to no hub", sdk.errors.noHub);
    fails("read no hub", sdk.errors.noHub);
    fails("properties of no hub", sdk.errors.noHubProperties);
  });
  test("says that the key is wrong", () => {
    fails("send with a wrong key", sdk.errors.wrongKey);
    fails("properties with a wrong key", sdk.errors.wrongKeyProperties);
  });
}

/** Runs a program to its end; what it has printed, by check. */
async function run(sdk: Sdk, connection: string): Promise<ReadonlyMap<string, Found>> {
  const { cwd, env } = copyOf(sdk);
  const variables = { ...env, CONNECTION: connection, HUB };
  const child = spawn("sh", ["-c", `exec ${sdk.run}`], { cwd, env: variables, timeout: 5 * MINUTE });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    complaints = (complaints + text).slice(-10_000);
  });
  const found = new Map<string, Found>();
  createInterface(child.stdout).on("line", (line) => {
    const each = JSON.parse(line) as Found;
    found.set(each.check, each);
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`it ended with ${code}: ${complaints}`);
  return found;
}

/** Everything that is in the hub, with the SDK for JavaScript. */
async function readAll(connection: string, count: number): Promise<ReceivedEventData[]> {
  const client = new EventHubConsumerClient("$Default", connection, HUB);
  const events: ReceivedEventData[] = [];
  await new Promise<void>((resolve, reject) => {
    client.subscribe(
      {
        async processEvents(batch) {
          events.push(...batch);
          if (events.length >= count) resolve();
        },
        processError: async (error) => reject(error),
      },
      { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 },
    );
  });
  await client.close();
  return events;
}
