import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Stack, startStack } from "../../local/stack.js";
import type { BusName } from "../../local/stackBuses.js";
import { call, connect, history, makeRoom, newUsers, until } from "../support/client.js";
import { cutLog } from "../support/cutLog.js";
import { noKafka } from "../support/kafka.js";
import { beginLoad, expectNothingLost, showsAgain, someMore, storedOf } from "../support/load.js";

// What becomes of accepted messages when the hub's log goes back, is made anew, or is read by nobody.

const LONG_MS = 90_000;

let folder: string;
let stack: Stack | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nonstop-streams-"));
});
afterEach(async () => {
  await stack?.close();
  rmSync(folder, { recursive: true, force: true });
});

const running = {
  get addresses() {
    return stack!.addresses;
  },
};

async function start(env: Readonly<Record<string, string>> = {}, bus: BusName = "eventhubs"): Promise<void> {
  const own = { MYSQL_URL: "", REDIS_URL: "", KAFKA_BROKERS: "", ...env };
  stack = await startStack({ data: folder, ports: "auto", quiet: true, bus, env: own });
}

const isStored = async (roomId: number, user: number, count: number): Promise<void> =>
  until(
    async () => (await history(roomId, user, running.addresses).catch(() => [])).length === count,
    `${count} messages are stored`,
    LONG_MS,
  );

const numbered = (word: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${word} ${index + 1}`);

async function say(roomId: number, user: number, contents: readonly string[]): Promise<void> {
  const client = await connect(user, { stack: running.addresses });
  for (const content of contents) await client.say(roomId, content, { clientMessageId: content });
  await client.close();
}

describe("a log that went back after event 5 of 10, and took 8 more", () => {
  const OLD = numbered("old", 10);
  const NEW = numbered("new", 8);
  const storesAll = async (bus: BusName): Promise<void> => {
    await start({}, bus);
    const [ann, ben] = newUsers(2) as [number, number];
    const roomId = await makeRoom([ann, ben], running.addresses);
    await say(roomId, ann, OLD);
    await isStored(roomId, ann, 10);
    await stack!.close();
    cutLog(bus, folder, "chat-messages", 5);

    await start({}, bus);
    const reader = await connect(ben, { stack: running.addresses });
    const shown = await reader.subscribe(`/sub/chat/room/${roomId}`);
    await say(roomId, ann, NEW);
    await isStored(roomId, ann, 18);
    const stored = await history(roomId, ben, running.addresses);
    expect(stored.map(({ seq, content }) => [seq, content])).toEqual(
      [...OLD, ...NEW].map((content, index) => [index + 1, content]),
    );
    await until(() => shown.length >= NEW.length, "all are shown");
    expect(shown.map(({ content }) => content)).toEqual(NEW);
    await reader.close();
  };

  test("on Event Hubs: all 8 are stored and shown, once and in order", () => storesAll("eventhubs"));
  test.skipIf(noKafka)("on Apache Kafka: all 8 are stored and shown, once and in order", () =>
    storesAll("kafka"),
  );
});

test("a hub made anew while the host's checkpoints stay: what is sent afterwards is stored and shown", async () => {
  await start();
  const load = await beginLoad(running);
  await someMore(load);
  await storedOf(load);
  await load.stop();
  const before = await storedOf(load);
  await stack!.close();
  rmSync(join(folder, "eventHubs", "chat-messages"), { recursive: true });

  await start();
  const user = load.users[0]!;
  await say(load.roomId, user, numbered("anew", 18));
  await isStored(load.roomId, user, before.length + 18);
  const stored = await history(load.roomId, user, running.addresses);
  expectNothingLost(load, stored.slice(0, before.length));
  expect(stored.slice(before.length).map(({ content }) => content)).toEqual(numbered("anew", 18));
  await showsAgain(load, stored.length);
});

test("a trigger that doesn't run: /health says so, and what waits is stored and shown without it", async () => {
  await start({ "AzureWebJobs.chatMessages.Disabled": "true" });
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben], running.addresses);
  const reader = await connect(ben, { stack: running.addresses });
  const shown = await reader.subscribe(`/sub/chat/room/${roomId}`);
  const contents = numbered("waiting", 18);
  await say(roomId, ann, contents);

  const healths = new Set<string>();
  await until(
    async () => {
      const { body } = await call("GET", "/health", undefined, undefined, running.addresses);
      healths.add(`${body.status}`);
      return shown.length === contents.length;
    },
    "all are shown",
    LONG_MS,
  );
  expect(shown.map(({ content }) => content)).toEqual(contents);
  expect((await history(roomId, ben, running.addresses)).map(({ seq }) => seq)).toEqual(
    contents.map((_, index) => index + 1),
  );
  expect([...healths]).toContain("degraded");
  // Until then it was not silent about it.
  const log = readFileSync(join(folder, "logs", "functionsHost.log"), "utf8");
  expect(log).toContain("a partition stands: no trigger reads it, so its events are read here");
  await reader.close();
});
