import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, describe, expect, test } from "vitest";
import { type Stack, startStack } from "../../local/stack.js";
import type { BusName } from "../../local/stackBuses.js";
import { busServer } from "../support/bus.js";
import { call } from "../support/client.js";
import { noKafka } from "../support/kafka.js";
import { beginLoad, expectNothingLost, type Load, showsAgain, someMore, storedOf } from "../support/load.js";

// From one bus to the other and back, on one data folder, while four users write into each of two rooms.

const folder = mkdtempSync(join(tmpdir(), "nonstop-switched-"));
let stack: Stack | undefined;
afterAll(async () => {
  await stack?.close();
  rmSync(folder, { recursive: true, force: true });
});

const running = {
  get addresses() {
    return stack!.addresses;
  },
};

async function start(bus: BusName): Promise<void> {
  const env = { MYSQL_URL: "", REDIS_URL: "", KAFKA_BROKERS: "" };
  stack = await startStack({ data: folder, ports: "auto", quiet: true, bus, env });
}

/** Killed: as after a power cut. */
async function stop(how: "killed" | "stopped"): Promise<void> {
  if (how === "killed") stack!.killAll();
  await stack!.close();
}

async function sql(statement: string): Promise<readonly RowDataPacket[]> {
  const connection = await createConnection(running.addresses.mysql);
  const [rows] = await connection.query<RowDataPacket[]>(statement);
  await connection.end();
  return rows;
}

/** Nothing can be stored meanwhile, but everything is accepted. */
const stopStoring = () => sql("RENAME TABLE messages TO messages_away");
const storeAgain = () => sql("RENAME TABLE messages_away TO messages");

/** How many of the accepted messages are not stored. */
async function waiting(loads: readonly Load[]): Promise<number> {
  const accepted = loads.flatMap((load) => load.accepted.flat()).length;
  const rooms = loads.map(({ roomId }) => roomId).join(", ");
  const [row] = await sql(
    `SELECT COUNT(*) AS total FROM messages_away WHERE type = 'TEXT' AND room_id IN (${rooms})`,
  );
  return accepted - Number(row!["total"]);
}

const formerBus = async () =>
  (await call("GET", "/health", undefined, undefined, running.addresses)).body.formerBus;
const note = () => JSON.parse(readFileSync(join(folder, "bus.json"), "utf8"));

describe.skipIf(noKafka)("a change of the bus under load, with accepted messages that are not stored", () => {
  let loads: readonly Load[] = [];

  test.each([
    ["eventhubs", "killed", "kafka"],
    ["kafka", "killed", "eventhubs"],
    ["eventhubs", "stopped", "kafka"],
    ["kafka", "stopped", "eventhubs"],
  ] as const)(
    "from %s, %s, to %s: each is stored once, in each sender's order, before what is sent afterwards",
    async (before, how, after) => {
      if (!stack) await start(before);
      loads = [await beginLoad(running), await beginLoad(running)];
      for (const load of loads) await someMore(load);

      await stopStoring();
      for (const load of loads) await someMore(load);
      expect(await waiting(loads)).toBeGreaterThanOrEqual(2 * 4 * 2);
      await stop(how);

      await start(after);
      expect([stack!.addresses.bus, stack!.addresses.formerBus]).toEqual([after, before]);
      for (const load of loads) await someMore(load);
      expect(await formerBus()).toBe("draining");
      expect(note()).toEqual({ bus: after, former: { bus: before } });

      await storeAgain();
      await expect.poll(formerBus).toBe("drained");
      for (const load of loads) await someMore(load);
      for (const load of loads) await load.stop();
      for (const load of loads) {
        const stored = await storedOf(load);
        expectNothingLost(load, stored);
        await showsAgain(load, stored.length);
      }
      await expect.poll(note).toEqual({ bus: after });

      await stop("stopped");
      await start(after);
      expect(stack!.addresses.formerBus).toBe(undefined);
      expect(Object.keys(stack!.addresses.pids)).not.toContain(busServer({ bus: before }));
      expect(await formerBus()).toBe(undefined);
      for (const load of loads) {
        const stored = (await storedOf(load)).slice(0, -1);
        expectNothingLost(load, stored);
      }
    },
  );
});
