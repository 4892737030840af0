import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CommandDeps } from "../../shared/commands/command.js";
import { handleMessage } from "../../shared/commands/dispatch.js";
import { groupName } from "../../shared/fanout/groups.js";
import type { Database } from "../../shared/store/database.js";
import { beginStream, moveBroadcast, moveStored, type Stream } from "../../shared/store/streamPositions.js";
import { inTransaction } from "../../shared/store/transaction.js";
import { FakeBroadcaster } from "../fakes/broadcaster.js";
import { commandDeps } from "../fakes/commandDeps.js";
import { FakeEventBus } from "../fakes/eventBus.js";
import { newDatabase } from "../support/database.js";

// A broadcast goes to who is in the room's group at that time. So a member who was invited after a message that is
// stored and not shown yet gets into the group when it has been shown.

const HUB = "chat-messages";
const DAY_MS = 24 * 3_600_000;

let database: Database;
let close: () => Promise<void>;
let bus: FakeEventBus;
let broadcaster: FakeBroadcaster;
let deps: CommandDeps;
let roomId = 100;
let userId = 500;

beforeAll(async () => {
  ({ database, close } = await newDatabase());
});
afterAll(() => close());
beforeEach(() => {
  roomId += 1;
  userId += 1;
  bus = new FakeEventBus({ [HUB]: 4, "chat-read-events": 1 });
  for (const hub of bus.hubs.values()) hub.id = `hub ${roomId}`;
  broadcaster = new FakeBroadcaster();
  deps = commandDeps({ database, bus, broadcaster });
});

const isInGroup = (): Promise<boolean> => broadcaster.groupExists(groupName(`r${roomId}`, "sub-0"));

async function joined(seq: number, ago = 0): Promise<void> {
  await database.query(
    `INSERT INTO room_members (room_id, user_id, joined_at, joined_seq, last_read_seq) VALUES (?, ?, ?, ?, ?)`,
    [roomId, userId, new Date(Date.now() - ago), seq, seq],
  );
}

/** A stream in which events up to 9 are stored, and up to 4 shown. */
async function unshown(partitionId: string, hubId = `hub ${roomId}`): Promise<Stream> {
  const stream = { hub: HUB, partitionId, hubId };
  await beginStream(database, stream, 4);
  await inTransaction(database, async (tx) => moveStored(tx, stream, 9, undefined));
  return stream;
}

const ownPartition = (): Promise<string> => bus.partitionOf(HUB, String(roomId));

async function subscribe(): Promise<string> {
  const data = Buffer.from(`SUBSCRIBE\nid:sub-0\ndestination:/sub/chat/room/${roomId}\nreceipt:1\n\n\0`);
  const state = {
    version: "1.2" as const,
    expiresAt: Date.now() / 1_000 + 60,
    subscriptions: new Map([["errors", `e${userId}`]]),
  };
  const answer = await handleMessage({ data, eventId: "1" }, { connectionId: "conn-1", userId, state }, deps);
  return answer.text!;
}

const RECEIPT = expect.stringContaining("RECEIPT");

describe("a member who was invited after messages that are stored and not shown", () => {
  test("is subscribed when they have been shown, to what was stored until then alone", async () => {
    await joined(3);
    const stream = await unshown(await ownPartition());
    const subscribing = subscribe();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await moveBroadcast(database, stream, 8);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await isInGroup()).toBe(false);
    await inTransaction(database, async (tx) => moveStored(tx, stream, 20, undefined));
    await moveBroadcast(database, stream, 9);
    expect(await subscribing).toEqual(RECEIPT);
    expect(await isInGroup()).toBe(true);
  });

  test("is refused where showing stands, and is subscribed at a later try", async () => {
    await joined(3);
    const stream = await unshown(await ownPartition());
    expect(await subscribe()).toContain('"code":"UNAVAILABLE"');
    expect(await isInGroup()).toBe(false);
    await moveBroadcast(database, stream, 9);
    expect(await subscribe()).toEqual(RECEIPT);
  });

  test("is refused while the bus can't say where they are", async () => {
    await joined(3);
    await unshown(await ownPartition());
    bus.away = true;
    expect(await subscribe()).toContain('"code":"UNAVAILABLE"');
    expect(await isInGroup()).toBe(false);
  });

  test("and was removed meanwhile, is no member", async () => {
    await joined(3);
    const stream = await unshown(await ownPartition());
    const subscribing = subscribe();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await database.query("DELETE FROM room_members WHERE room_id = ?", [roomId]);
    await moveBroadcast(database, stream, 9);
    expect(await subscribing).toContain('"code":"NOT_A_MEMBER"');
    expect(await isInGroup()).toBe(false);
  });
});

describe("nothing waits", () => {
  beforeEach(() => {
    // Asking it where to wait would fail.
    deps = { ...deps, bus: new FakeEventBus({}) };
  });

  test("for a member from the beginning", async () => {
    await joined(0);
    await unshown(await ownPartition());
    expect(await subscribe()).toEqual(RECEIPT);
  });

  test("for one who joined more than a day ago", async () => {
    await joined(3, DAY_MS + 1_000);
    await unshown(await ownPartition());
    expect(await subscribe()).toEqual(RECEIPT);
  });
});

test("nothing waits for other partitions, or for a hub of before", async () => {
  await joined(3);
  const own = await ownPartition();
  for (const partitionId of ["0", "1", "2", "3"]) if (partitionId !== own) await unshown(partitionId);
  await unshown(own, "former hub");
  expect(await subscribe()).toEqual(RECEIPT);
});
