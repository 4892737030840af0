import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { start } from "../../local/eventHubs/server.js";
import { freePort } from "../../local/ports.js";
import { projectRoot } from "../../local/settings.js";
import type { EventBus } from "../../shared/bus/eventBus.js";
import { connectEventHubs } from "../../shared/bus/eventHubs.js";
import { connectKafka } from "../../shared/bus/kafka.js";
import { publishDeadLetters } from "../../shared/consumers/deadLetters.js";
import { readLetters } from "../../shared/deadLetters/letters.js";
import { replayLetters } from "../../shared/deadLetters/replay.js";
import { ChatError } from "../../shared/platform/errors.js";
import { noKafka, ownKafka } from "../support/kafka.js";
import { PATIENCE_MS } from "../support/patience.js";

const HUBS = {
  "chat-messages": 2,
  "chat-messages-dlt": 1,
  "chat-read-events": 1,
  "chat-read-events-dlt": 1,
};

interface Setting {
  readonly bus: EventBus;
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

async function onEventHubs(): Promise<Setting> {
  const data = mkdtempSync(join(tmpdir(), "dead-letters-"));
  const hubs = Object.fromEntries(
    Object.entries(HUBS).map(([name, partitions]) => [
      name,
      { partitions, retentionHours: 1, consumerGroups: name.endsWith("-dlt") ? [] : ["chat-recover"] },
    ]),
  );
  const server = await start({ port: 0, data, hubs });
  const bus = connectEventHubs(server.connectionString);
  return {
    bus,
    env: { EVENT_HUBS_CONNECTION: server.connectionString },
    async close() {
      await bus.close();
      await server.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

async function onKafka(): Promise<Setting> {
  const kafka = await ownKafka(HUBS);
  const bus = connectKafka({ brokers: [kafka.brokers] });
  return {
    bus,
    env: { EVENT_BUS: "kafka", KAFKA_BROKERS: kafka.brokers },
    async close() {
      await bus.close();
      await kafka.close();
    },
  };
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program as it is deployed, with these settings alone. Its stdin is no terminal. */
function run(env: Readonly<Record<string, string>>, ...args: string[]): Promise<Outcome> {
  const program = join(projectRoot, "dist/shared/deadLetters/main.js");
  const options = { env: { PATH: process.env["PATH"], ...env }, timeout: PATIENCE_MS, maxBuffer: 2 ** 24 };
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

const lines = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

/** All bytes there are, over and over, as much as one event may have. No text. */
const LARGE = Buffer.from(Array.from({ length: 1_040_000 }, (_, index) => index % 256));

const BUSES: readonly [name: string, open: () => Promise<Setting>, missing: string | undefined][] = [
  ["Event Hubs", onEventHubs, undefined],
  ["Apache Kafka", onKafka, noKafka],
];

describe.for(BUSES)("dead letters on %s", ([_name, open, missing]) => {
  let setting: Setting;

  beforeAll(async () => {
    if (missing !== undefined) return;
    setting = await open();
    const refuse = (
      hub: string,
      sequenceNumber: number,
      key: string | undefined,
      body: Uint8Array | string,
    ) =>
      publishDeadLetters(
        { hub, partitionId: "1", hubId: "id" },
        [
          {
            event: { sequenceNumber, key, body: Buffer.from(body) },
            error: new ChatError("NOT_A_MEMBER", "gone"),
          },
        ],
        `${hub}-dlt`,
        setting.bus,
      );
    await refuse("chat-messages", 4, "12", '{"roomId":12,"content":"one\\u001b[31m"}');
    await refuse("chat-messages", 5, undefined, LARGE);
    // A crash before the commit repeats it.
    await refuse("chat-messages", 5, undefined, LARGE);
    await refuse("chat-messages", 9, "13", "no JSON");
    await refuse("chat-read-events", 2, "7", '{"roomId":12,"userId":7}');
  });
  afterAll(() => setting?.close());

  test.skipIf(missing !== undefined)("are listed, oldest first, a repeated one once", async () => {
    const { code, stdout, stderr } = await run(setting.env, "list");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const rows = stdout.trim().split("\n");
    expect(rows[0]).toMatch(/^hub +number +when +key +code +state +text$/);
    expect(rows[1]).toMatch(/^chat-messages-dlt +0 +20\S+Z +room 12 +NOT_A_MEMBER +waits +{"roomId":12/);
    expect(rows[2]).toMatch(/^chat-messages-dlt +1 +20\S+Z +none +NOT_A_MEMBER +waits /);
    expect(rows[3]).toMatch(/^chat-messages-dlt +5 +20\S+Z +room 13 +NOT_A_MEMBER +waits +no JSON$/);
    expect(rows[4]).toMatch(/^chat-read-events-dlt +0 +20\S+Z +user 7 +NOT_A_MEMBER +waits /);
    expect(rows).toHaveLength(5);
    expect(stdout).not.toMatch(/\u001b/);
  });

  test.skipIf(missing !== undefined).each<[string[], (readonly [string, number])[]]>([
    [["--hub", "chat-read-events"], [["chat-read-events-dlt", 0]]],
    [
      ["--room", "12"],
      [
        ["chat-messages-dlt", 0],
        ["chat-read-events-dlt", 0],
      ],
    ],
    [["--hub", "chat-messages-dlt", "--room", "13", "--since", "1h"], [["chat-messages-dlt", 5]]],
  ])("are listed for a program, those that are asked for: %s", async (args, expected) => {
    const { stdout } = await run(setting.env, "list", "--json", ...args);
    expect(lines(stdout).map(({ hub, number }) => [hub, number])).toEqual(expected);
  });

  test.skipIf(missing !== undefined)("are none since a time to come", async () => {
    const { stdout } = await run(setting.env, "list", "--since", "2999-01-01");
    expect(stdout).toBe("There are no dead letters.\n");
  });

  test.skipIf(missing !== undefined)("are shown with every byte of their events", async () => {
    const { stdout } = await run(setting.env, "show", "chat-messages", "1", "--json");
    const [{ bodyBase64, ...facts }] = lines(stdout);
    expect(Buffer.from(bodyBase64, "base64").equals(LARGE)).toBe(true);
    expect(facts).toMatchObject({
      number: 1,
      from: { hub: "chat-messages", partitionId: "1", sequenceNumber: 5 },
      bytes: 1_040_000,
      isCut: false,
    });
    const text = await run(setting.env, "show", "chat-messages", "0");
    expect(text.stdout).toMatch(/^letter {4}chat-messages-dlt\/0\/0\n/);
    expect(text.stdout).toMatch(/\n\n{"roomId":12,"content":"one\\u001b\[31m"}\n$/);
    const dump = await run(setting.env, "show", "chat-messages", "1");
    expect(dump.stdout).toContain(
      "\n00000040  40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO\n",
    );
  });

  test.skipIf(missing !== undefined)("are replayed with every byte, under their key, and noted", async () => {
    const { bus, env } = setting;
    const { letters } = await readLetters(bus, "chat-messages-dlt");
    const { sent, unsent } = await replayLetters(bus, "chat-messages-dlt", letters);
    expect([sent.length, unsent]).toEqual([3, []]);
    const events = (
      await Promise.all(["0", "1"].map((id) => bus.readRange("chat-messages", id, 0, 99, 99)))
    ).flat();
    const again = new Map(events.map((event) => [event.replayOf, event]));
    expect([...again.keys()].sort()).toEqual([0, 1, 5].map((number) => `chat-messages-dlt/0/${number}`));
    expect(again.get("chat-messages-dlt/0/0")).toMatchObject({ key: "12" });
    expect(Buffer.from(again.get("chat-messages-dlt/0/1")!.body).equals(LARGE)).toBe(true);
    expect(Buffer.from(again.get("chat-messages-dlt/0/5")!.body).toString()).toBe("no JSON");
    const { stdout } = await run(env, "list", "--json", "--hub", "chat-messages");
    expect(lines(stdout).map(({ number, state }) => [number, state])).toEqual([
      [0, "replayed"],
      [1, "replayed"],
      [5, "replayed"],
    ]);
  });

  test.skipIf(missing !== undefined)("are all listed where there are thousands", async () => {
    const { bus, env } = setting;
    const letter = (sequenceNumber: number) => ({
      v: 1,
      key: "77",
      hub: "chat-read-events",
      partitionId: "0",
      sequenceNumber,
      error: { code: "NOT_A_MEMBER", message: "gone" },
      body: `{"roomId":77,"number":${sequenceNumber}}`,
    });
    for (let from = 100; from < 3_100; from += 500) {
      const some = Array.from({ length: 500 }, (_, index) => letter(from + index));
      await bus.publishAll("chat-read-events-dlt", "77", some);
    }
    const { stdout } = await run(env, "list", "--json", "--room", "77");
    const numbers = lines(stdout).map(({ from }) => from.sequenceNumber);
    expect(numbers).toEqual(Array.from({ length: 3_000 }, (_, index) => 100 + index));
  });

  test.skipIf(missing !== undefined)(
    "can't be replayed without the database's address, and none is",
    async () => {
      const { code, stderr } = await run(setting.env, "replay", "--again");
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: "Settings are missing or wrong:\n  MYSQL_URL is missing\n",
      });
      const { stdout } = await run(
        setting.env,
        "list",
        "--json",
        "--hub",
        "chat-read-events",
        "--room",
        "12",
      );
      expect(lines(stdout)).toMatchObject([{ state: "waits" }]);
    },
  );

  test.skipIf(missing !== undefined).each<[string[], RegExp]>([
    [[], /^The command must be one of list, show/],
    [["list", "--room", "x"], /^--room must be a whole number, not x\.\nUsage: /],
    [["list", "--since", "soon"], /^--since must be like 90m, 12h, 7d or a date, not soon\.\nUsage: /],
    [["show", "chat-messages"], /^show needs a hub and one number\.\nUsage: /],
    [["show", "orders", "1"], /^There is no hub orders with dead letters\.\nUsage: /],
    [["drop"], /^drop needs HUB NUMBER, --hub, --room or --since/],
    [["replay", "--wait", "9999"], /^--wait must be at most 3600 seconds\./],
    [["show", "chat-messages", "77"], /^chat-messages-dlt has no letter of this number/],
  ])("are not shown for wrong arguments: %s", async (args, said) => {
    const { code, stderr } = await run(setting.env, ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(said);
  });
});

test("says that the bus can't be reached, and why, with exit code 1", async () => {
  const port = await freePort();
  const { code, stdout, stderr } = await run(
    { EVENT_BUS: "kafka", KAFKA_BROKERS: `127.0.0.1:${port}` },
    "list",
  );
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/can't be reached[\s\S]*ECONNREFUSED|can't be reached[\s\S]*connect/i);
});
