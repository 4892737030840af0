import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AreaName, type AuditDeps, areasOf } from "../../shared/audit/audit.js";
import type { Told } from "../../shared/audit/auditArea.js";
import { HUB } from "../../shared/broadcast/broadcaster.js";
import { connectWebPubSub } from "../../shared/broadcast/webPubSub.js";
import { readAuditConfig } from "../../shared/config.js";
import { inspectRedis, type RedisInspection } from "../../shared/redis/inspection.js";
import type { RedisStore } from "../../shared/redis/ports.js";
import { connectRedis } from "../../shared/redis/redis.js";
import { type Database, openDatabase } from "../../shared/store/database.js";
import { type Connected, call, connect, makeRoom, newUsers, until } from "../support/client.js";
import { ownStack } from "../support/ownStack.js";

const stack = ownStack();

let database: Database;
let store: RedisStore;
let inspection: RedisInspection;
let deps: AuditDeps;

beforeAll(async () => {
  const { mysql, redis, webPubSubConnection } = stack.addresses;
  const settings = { MYSQL_URL: mysql, REDIS_URL: redis, WEB_PUBSUB_CONNECTION: webPubSubConnection };
  const config = readAuditConfig(settings);
  database = openDatabase(mysql);
  store = connectRedis(config.redis);
  inspection = await inspectRedis(config.redis);
  const broadcaster = connectWebPubSub(config.webPubSub, HUB);
  deps = { database, members: store, sessions: store, broadcaster, inspection };
});
afterAll(async () => {
  inspection.close();
  await store.close();
  await database.end();
});

/** Everything, as the program does it; and how much was looked at. */
async function audit(
  pauses: readonly number[],
  only?: readonly AreaName[],
): Promise<{ found: Told[]; looked: Map<string, number> }> {
  const found: Told[] = [];
  const looked = new Map<string, number>();
  for (const [name, auditOne] of areasOf(deps)) {
    if (only && !only.includes(name)) continue;
    const how = { repairs: false, pauses, isOver: () => false };
    looked.set(name, (await auditOne(how, (told) => found.push(told))).places);
  }
  return { found, looked };
}

/** What a user of the load does until it is stopped. Refusals are of no matter: others act at the same time. */
async function act(user: number, rooms: readonly number[], others: readonly number[], isOver: () => boolean) {
  const at = { stack: stack.addresses };
  const roomOf = (turn: number): number => rooms[(turn + user) % rooms.length] ?? 0;
  let client: Connected | undefined;
  for (let turn = 0; !isOver(); turn += 1) {
    const roomId = roomOf(turn);
    const other = others[turn % others.length] ?? 0;
    try {
      client ??= await connect(user, at);
      if (turn % 7 === 0) await client.subscribe(`/sub/chat/room/${roomId}`, { id: `sub-${turn % 21}` });
      await Promise.all([client.say(roomId, `${user} ${turn}`), client.say(roomOf(turn + 1), "again")]);
      if (turn % 3 === 0)
        await call("DELETE", `/group-rooms/${roomId}/members/${other}`, user, undefined, at.stack);
      if (turn % 3 === 1)
        await call("POST", `/group-rooms/${roomId}/invite`, user, { userIds: [other] }, at.stack);
      if (turn % 5 === 0) await call("DELETE", `/rooms/${roomId}`, other, undefined, at.stack);
      if (turn % 11 === 10) {
        await client.close();
        client = undefined;
      }
    } catch {
      await client?.close();
      client = undefined;
    }
  }
  await client?.close();
}

test("an audit finds nothing while messages, members, reads, sessions and subscriptions come and go", async () => {
  const users = newUsers(8);
  const others = newUsers(6);
  const rooms: number[] = [];
  for (const user of users.slice(0, 4)) {
    const rest = users.filter((one) => one !== user);
    rooms.push(await makeRoom([user, ...rest, ...others.slice(0, 4)], stack.addresses));
  }
  let isOver = false;
  const acting = users.map((user) => act(user, rooms, others, () => isOver));
  await until(async () => (await messages()).total > 100, "all act");
  const before = await messages();
  const audits = 30;
  for (let round = 0; round < audits || (await messages()).total < before.total + 500; round += 1) {
    const { found, looked } = await audit([1_000, 1_000]);
    expect(found).toEqual([]);
    expect(looked.get("rooms")).toBe(4);
    // Rooms are judged at one moment, so not even one look takes what is under way for wrong.
    const atOnce = (await audit([], ["rooms"])).found;
    expect(atOnce.filter(({ kind }) => kind !== "cached_members")).toEqual([]);
  }
  const after = await messages();
  isOver = true;
  await Promise.all(acting);
  // There was something to be found.
  expect(after.changes - before.changes).toBeGreaterThan(10);
  await until(async () => (await audit([])).found.length === 0, "all is quiet, and right at the first look");
});

/** How many messages there are, and how many of them tell of a change of members. */
async function messages(): Promise<{ total: number; changes: number }> {
  const connection = await createConnection(stack.addresses.mysql);
  const [rows] = await connection.query(
    "SELECT COUNT(*) AS total, CAST(COALESCE(SUM(type LIKE 'SYSTEM%'), 0) AS SIGNED) AS changes FROM messages",
  );
  await connection.end();
  return (rows as { total: number; changes: number }[])[0] ?? { total: 0, changes: 0 };
}

test("the timer runs it in the functions host, and counts what differs", async () => {
  const roomId = await makeRoom(newUsers(2), stack.addresses);
  await database.query("UPDATE rooms SET member_count = 7 WHERE room_id = ?", [roomId]);
  const { status } = await fetch(`${stack.addresses.api}/admin/functions/audit`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"input":""}',
  });
  expect(status).toBe(202);
  const counted = (name: string, attributes: Readonly<Record<string, string>>) => () =>
    stack.receiver.value(name, attributes) === 1;
  await until(counted("chat.audit.runs", { outcome: "whole" }), "the run");
  const difference = { kind: "member_count", state: "differs" };
  await until(counted("chat.audit.differences", difference), "the difference");
  // It only reports, as nothing says that it should mend.
  expect((await audit([], ["rooms"])).found.map(({ where }) => where)).toEqual([`room ${roomId}`]);
});
