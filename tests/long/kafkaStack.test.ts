import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { type Stack, startStack } from "../../local/stack.js";
import type { BusName } from "../../local/stackBuses.js";
import { call, connect, history, introduce, makeRoom, newUsers } from "../support/client.js";
import { noKafka } from "../support/kafka.js";

// The whole system on a real Kafka, and the way from one bus to the other.

const folder = mkdtempSync(join(tmpdir(), "nonstop-kafka-stack-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let stack: Stack | undefined;
afterEach(() => stack?.close());

async function start(data: string, bus: BusName): Promise<Stack> {
  const env = { MYSQL_URL: "", REDIS_URL: "", KAFKA_BROKERS: "" };
  stack = await startStack({ data: join(folder, data), ports: "auto", quiet: true, bus, env });
  return stack;
}

/** As after a power cut. */
async function kill(running: Stack): Promise<void> {
  running.killAll();
  await running.close();
}

async function sql(statement: string): Promise<void> {
  const connection = await createConnection(stack!.addresses.mysql);
  await connection.query(statement);
  await connection.end();
}

/** Nothing can be stored meanwhile, but everything is accepted. */
const stopStoring = () => sql("RENAME TABLE messages TO messages_away");
const storeAgain = () => sql("RENAME TABLE messages_away TO messages");

async function say(roomId: number, userId: number, ...contents: string[]): Promise<void> {
  const writer = await connect(userId, { stack: stack!.addresses });
  for (const content of contents) await writer.say(roomId, content);
  await writer.close();
}

const contents = async (roomId: number, userId: number): Promise<string[]> =>
  (await history(roomId, userId, stack!.addresses)).map(({ content }) => content);

const health = async () => (await call("GET", "/health", undefined, undefined, stack!.addresses)).body;
const note = (data: string) => JSON.parse(readFileSync(join(folder, data, "bus.json"), "utf8"));

describe.skipIf(noKafka !== undefined)("a stack on Kafka", () => {
  test("stores and delivers, runs no Event Hubs, and goes on after kill -9 of the broker", async () => {
    await start("whole", "kafka");
    const { addresses } = stack!;
    expect([addresses.bus, addresses.eventHubs, addresses.formerBus]).toEqual(["kafka", "", undefined]);
    expect(Object.keys(addresses.pids)).toContain("kafka");
    expect(Object.keys(addresses.pids)).not.toContain("eventHubs");
    expect(existsSync(join(folder, "whole/eventHubs"))).toBe(false);
    const [ann, ben] = newUsers(2) as [number, number];
    await introduce([ann, ben], addresses);
    const roomId = await makeRoom([ann, ben], addresses);
    const reader = await connect(ben, { stack: addresses });
    const shown = await reader.subscribe(`/sub/chat/room/${roomId}`);
    await say(roomId, ann, "one");
    await expect.poll(() => shown.map(({ content }) => content)).toEqual(["one"]);
    const { kafka } = stack!.addresses.pids;
    stack!.kill("kafka", "SIGKILL");
    await expect.poll(() => stack!.addresses.pids.kafka !== kafka).toBe(true);
    await stack!.restart("kafka");
    await say(roomId, ann, "two");
    await expect.poll(() => shown.map(({ content }) => content)).toEqual(["one", "two"]);
    await reader.close();
    await stack!.close();
    expect(note("whole")).toEqual({ bus: "kafka" });
  });
});

describe.skipIf(noKafka !== undefined)("a change of the bus with messages on their way", () => {
  test("loses, repeats and reorders nothing, there and back", async () => {
    await start("changed", "eventhubs");
    const [ann, ben] = newUsers(2) as [number, number];
    await introduce([ann, ben], stack!.addresses);
    const roomId = await makeRoom([ann, ben], stack!.addresses);
    const sent: string[] = [];
    const saySome = async (...more: string[]): Promise<void> => {
      await say(roomId, ann, ...more);
      sent.push(...more);
    };
    await saySome("stored");
    await expect.poll(() => contents(roomId, ben)).toEqual(sent);
    for (const [before, after] of [
      ["eventhubs", "kafka"],
      ["kafka", "eventhubs"],
    ] as const) {
      await stopStoring();
      await saySome(`1 on ${before}`, `2 on ${before}`);
      await kill(stack!);
      // A stack that is killed before anything is stored keeps both.
      await kill(await start("changed", after));
      await start("changed", after);
      expect([stack!.addresses.bus, stack!.addresses.formerBus]).toEqual([after, before]);
      await saySome(`1 on ${after}`);
      expect(await health()).toMatchObject({ formerBus: "draining" });
      expect(note("changed")).toEqual({ bus: after, former: { bus: before } });
      await storeAgain();
      await expect.poll(() => contents(roomId, ben)).toEqual(sent);
      await expect.poll(() => note("changed")).toEqual({ bus: after });
      await saySome(`2 on ${after}`);
      await stack!.close();
      await start("changed", after);
      expect(stack!.addresses.formerBus).toBe(undefined);
      await expect.poll(() => contents(roomId, ben)).toEqual(sent);
    }
    expect(Object.keys(stack!.addresses.pids)).not.toContain("kafka");
    expect(sent).toHaveLength(9);
  });
});
