import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BlobServiceClient } from "@azure/storage-blob";
import type { Admin } from "@platformatic/kafka";
import { Redis } from "ioredis";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { expect, test } from "vitest";
import { deadLettersOf } from "../support/bus.js";
import { call, connect, history, introduce, makeRoom, newUsers } from "../support/client.js";
import { rootUrl } from "../support/database.js";
import { byAdmin } from "../support/kafka.js";
import { ownStack } from "../support/ownStack.js";

// MySQL is set back to an earlier moment while the hubs keep what came since (docs/operations.md, Runbooks).
// On a stack of its own: nobody else's messages may be lost.

const stack = ownStack();
const addresses = () => stack.addresses;
const CHECKPOINTS = "azure-webjobs-eventhub";

async function asRoot<T>(work: (root: Connection) => Promise<T>): Promise<T> {
  const root = await createConnection(rootUrl(addresses().mysql));
  try {
    return await work(root);
  } finally {
    await root.end();
  }
}

async function tablesOf(root: Connection): Promise<readonly string[]> {
  const [rows] = await root.query<RowDataPacket[]>(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'chat'",
  );
  return rows.map((row) => String(row["name"]));
}

/** Keeps what the database holds now, in another one. */
const backUp = (): Promise<void> =>
  asRoot(async (root) => {
    await root.query("DROP DATABASE IF EXISTS earlier");
    await root.query("CREATE DATABASE earlier");
    for (const table of await tablesOf(root)) {
      await root.query(`CREATE TABLE earlier.${table} LIKE chat.${table}`);
      await root.query(`INSERT INTO earlier.${table} SELECT * FROM chat.${table}`);
    }
  });

/** All tables are as they were, at one moment. Redis forgets the memberships of the time that is undone. */
async function restore(): Promise<void> {
  await asRoot(async (root) => {
    await root.query("START TRANSACTION");
    for (const table of await tablesOf(root)) {
      await root.query(`DELETE FROM chat.${table}`);
      await root.query(`INSERT INTO chat.${table} SELECT * FROM earlier.${table}`);
    }
    await root.query("COMMIT");
  });
  const redis = new Redis(addresses().redis);
  await redis.flushall();
  redis.disconnect();
}

/** The stored positions of `chat-messages`, by partition. */
const positions = (): Promise<ReadonlyMap<string, number>> =>
  asRoot(async (root) => {
    const [rows] = await root.query<RowDataPacket[]>(
      "SELECT partition_id AS id, stored_sequence_number AS number FROM chat.stream_positions WHERE hub = 'chat-messages'",
    );
    return new Map(rows.map((row) => [String(row["id"]), Number(row["number"])]));
  });

const contentsOf = async (roomId: number, caller: number): Promise<readonly [number, string][]> =>
  (await history(roomId, caller, addresses())).map(({ seq, content }) => [seq, content]);

/** A room, and the partition of its messages, which its first message shows. */
async function roomWithPartition(users: readonly number[]): Promise<{ roomId: number; partition: string }> {
  const roomId = await makeRoom(users, addresses());
  const before = await positions();
  const writer = await connect(users[0]!, { stack: addresses() });
  await writer.say(roomId, "first");
  await expect.poll(() => contentsOf(roomId, users[0]!)).toEqual([[1, "first"]]);
  await writer.close();
  const moved = [...(await positions())].find(([id, stored]) => stored > (before.get(id) ?? -1));
  return { roomId, partition: moved![0] };
}

/** Rooms whose messages go to different partitions. */
async function twoRooms(users: readonly number[]): Promise<readonly [number, number]> {
  const first = await roomWithPartition(users);
  for (let tries = 0; tries < 20; tries += 1) {
    const other = await roomWithPartition(users);
    if (other.partition !== first.partition) return [first.roomId, other.roomId];
  }
  throw new Error("twenty rooms have all come to the same partition");
}

/** The error codes of all dead letters so far. */
async function deadLetters(): Promise<readonly string[]> {
  const letters = await deadLettersOf(addresses(), "chat-messages-dlt");
  return letters.map(({ error }) => error.code);
}

/** The host reads the hubs from the beginning when it is started the next time. */
async function deleteCheckpoints(): Promise<void> {
  const container = BlobServiceClient.fromConnectionString(addresses().storage).getContainerClient(
    CHECKPOINTS,
  );
  const names: string[] = [];
  for await (const { name } of container.listBlobsFlat()) names.push(name);
  expect(names.some((name) => name.includes("chat-messages"))).toBe(true);
  for (const name of names) await container.deleteBlob(name);
}

/** A group of Kafka can be deleted while it has no member: between the end of the host and its next start. */
async function deleteGroup(): Promise<void> {
  const { kafka = "" } = addresses();
  let isDeleted = false;
  const deletion = async (admin: Admin): Promise<void> => {
    while (!isDeleted)
      isDeleted = await admin.deleteGroups({ groups: ["chat-persist"] }).then(
        () => true,
        () => false,
      );
  };
  const deleting = byAdmin(kafka, deletion, 0);
  while (!isDeleted) await stack.restart("functionsHost");
  await deleting;
}

async function readFromTheBeginning(): Promise<void> {
  if (addresses().bus === "kafka") return deleteGroup();
  await deleteCheckpoints();
  stack.kill("functionsHost", "SIGKILL");
}

test("a database set back to an earlier moment gets from the hubs what came since, and dead-letters what has no room or member any more", async () => {
  const [ann, ben, carl] = newUsers(3) as [number, number, number];
  await introduce([ann, ben, carl], addresses());
  const [roomId, quietId] = await twoRooms([ann, ben]);
  await backUp();

  const writer = await connect(ann, { stack: addresses() });
  for (const content of ["second", "third"]) await writer.say(roomId, content);
  await writer.say(quietId, "quiet");
  await call("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [carl] }, addresses());
  const late = await connect(carl, { stack: addresses() });
  await late.say(roomId, "of a later member");
  await late.close();
  await expect.poll(async () => (await contentsOf(roomId, ben)).at(-1)?.[1]).toBe("of a later member");
  await expect.poll(async () => (await contentsOf(quietId, ben)).length).toBe(2);
  const before = await contentsOf(roomId, ben);

  await restore();
  expect(await contentsOf(roomId, ben)).toEqual([[1, "first"]]);
  // The next message of a partition brings all of that partition back, under the numbers it had.
  await writer.say(roomId, "after");
  await expect.poll(async () => (await contentsOf(roomId, ben)).at(-1)?.[1]).toBe("after");
  const after = await contentsOf(roomId, ben);
  expect(after.slice(0, -1)).toEqual(before.slice(0, -1));
  // The later member is none any more: that message can't be stored, and the next one has its number.
  expect(after.at(-1)).toEqual([before.at(-1)![0], "after"]);
  expect(await deadLetters()).toEqual(["NOT_A_MEMBER"]);

  // A partition to which nothing comes stands still, until the sweep reads it or, at once, the host from the
  // beginning.
  expect(await contentsOf(quietId, ben)).toEqual([[1, "first"]]);
  await readFromTheBeginning();
  await expect
    .poll(() => contentsOf(quietId, ben).catch(() => []))
    .toEqual([
      [1, "first"],
      [2, "quiet"],
    ]);
  expect(await contentsOf(roomId, ben)).toEqual(after);
  await writer.close();
});

test("the end of a partition to which nothing comes is brought back by the sweep, the host's place behind it", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const { roomId } = await roomWithPartition([ann, ben]);
  await backUp();
  const writer = await connect(ann, { stack: addresses() });
  await writer.say(roomId, "quiet");
  await writer.close();
  const both = [
    [1, "first"],
    [2, "quiet"],
  ];
  await expect.poll(() => contentsOf(roomId, ben)).toEqual(both);

  await restore();
  expect(await contentsOf(roomId, ben)).toEqual([[1, "first"]]);
  await expect.poll(() => contentsOf(roomId, ben)).toEqual(both);
  const log = readFileSync(join(stack.folder, "logs", "functionsHost.log"), "utf8");
  expect(log).toContain("a partition stands: no trigger reads it, so its events are read here");
});
