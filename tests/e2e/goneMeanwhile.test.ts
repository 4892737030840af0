import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import type { ResultSetHeader, RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import WebSocket from "ws";
import { destinationKey } from "../../shared/frames/destinations.js";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { listSubscriptionIds } from "../../shared/store/subscriptionIds.js";
import { makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { openConnected } from "../support/rawSocket.js";

let redis: Redis;
let database: Database;

beforeAll(() => {
  redis = new Redis(inject("stack").redis);
  database = openDatabase(inject("stack").mysql);
});
afterAll(async () => {
  redis.disconnect();
  await database.end();
});

const sessionsOf = (userId: number): Promise<number> => redis.hlen(`{user:${userId}}:sessions`);
const keyOf = (roomId: number, userId: number): string => destinationKey({ kind: "room", roomId }, userId);

async function idsOf(roomId: number, userId: number): Promise<string[]> {
  const key = keyOf(roomId, userId);
  return ((await listSubscriptionIds(database, [key])).get(key) ?? []).map(({ wire }) => wire);
}

/** How many wait to add this subscription id; bytes go out as hexadecimal digits. */
async function waitersFor(id: string): Promise<number> {
  const [rows] = await database.query<RowDataPacket[]>(
    "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE info LIKE ? AND id <> CONNECTION_ID()",
    [`INSERT INTO subscription_ids%${Buffer.from(id).toString("hex")}%`],
  );
  return Number(rows[0]?.["n"]);
}

const subscribeFrame = (id: string, roomId: number, receipt = ""): string =>
  `SUBSCRIBE\nid:${id}\ndestination:/sub/chat/room/${roomId}\n${receipt && `receipt:${receipt}\n`}\n\0`;

const CONNECT = "CONNECT\naccept-version:1.2\nhost:chat\n\n\0";

/**
 * A client with a socket that can be cut without a word. Its handshake counts as CONNECT and has been
 * answered.
 */
function cuttable(userId: number): Promise<WebSocket> {
  return cuttableEarly(userId, "&connect=implicit", "message");
}

/** One that is just open. */
async function cuttableEarly(userId: number, query = "", until = "open"): Promise<WebSocket> {
  const url = `${inject("stack").webPubSub}?token=${await tokenFor(userId)}${query}`;
  const socket = new WebSocket(url, ["v12.stomp"]);
  socket.on("error", () => {});
  await new Promise((resolve, reject) => socket.once(until, resolve).once("close", reject));
  return socket;
}

test("a SUBSCRIBE that is still under way when its connection goes leaves nothing behind", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const socket = await cuttable(ann);
  const id = `held by ${ann}`;
  // An id's row is held: the SUBSCRIBE has joined its group by now, and waits to add the id.
  const holder = await database.getConnection();
  try {
    await holder.beginTransaction();
    await holder.query<ResultSetHeader>(
      "INSERT INTO subscription_ids (destination, subscription_id, packed) VALUES (?, ?, 0)",
      [Buffer.from(keyOf(roomId, ann)), Buffer.from(id)],
    );
    socket.send(subscribeFrame(id, roomId));
    await until(async () => (await waitersFor(id)) > 0, "the SUBSCRIBE waits for the row");
    expect(await sessionsOf(ann)).toBe(1);
    socket.terminate();
    await until(async () => (await sessionsOf(ann)) === 0, "the connection's end is heard of");
    await holder.rollback();
  } finally {
    holder.release();
  }
  await until(async () => (await waitersFor(id)) === 0, "the SUBSCRIBE goes on");
  await until(async () => (await idsOf(roomId, ann)).length === 0, "the id is gone");
  expect(await sessionsOf(ann)).toBe(0);
});

test("clients that subscribe and are cut at once leave no session and no id, and take nothing from those who come later", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  for (let round = 0; round < 30; round += 1) {
    const isEarly = round % 2 === 1;
    const socket = await (isEarly ? cuttableEarly(ann) : cuttable(ann));
    if (isEarly) socket.send(CONNECT);
    socket.send(subscribeFrame(`cut-${round}`, roomId));
    await pause(round % 15);
    socket.terminate();
  }
  await until(async () => (await sessionsOf(ann)) === 0, "no session is left");
  await until(async () => (await idsOf(roomId, ann)).length === 0, "no id is left");
  const later = await openConnected(ann);
  for (let id = 0; id < 8; id += 1) {
    later.send(subscribeFrame(`later-${id}`, roomId, `${id}`));
    expect(await later.next()).toContain(`receipt-id:${id}`);
  }
  await later.close();
});

test("a handshake that is given up leaves no session", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const url = `${inject("stack").webPubSub}?token=${await tokenFor(ann)}`;
  for (let round = 0; round < 20; round += 1) {
    const socket = new WebSocket(url, ["v12.stomp"]);
    socket.on("error", () => {});
    await pause(round % 10);
    socket.terminate();
  }
  // Who comes now has got through behind them.
  await (await openConnected(ben)).close();
  await until(async () => (await sessionsOf(ann)) === 0, "no session is left");
  await until(async () => (await sessionsOf(ben)) === 0, "nor of the other one");
});
