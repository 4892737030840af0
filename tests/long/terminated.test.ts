import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startMySql } from "../../local/services/mysql.js";
import type { Service } from "../../local/services/service.js";
import { call, connect, introduce, makeRoom, newUsers, until } from "../support/client.js";
import {
  beginLoad,
  expectNothingLost,
  showsAgain,
  someMore,
  storedOf,
  storesAgain,
} from "../support/load.js";
import { ownStack } from "../support/ownStack.js";
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.js";

const data = mkdtempSync(join(tmpdir(), "nonstop-terminated-"));
let server: Service;
let proxy: TcpProxy;

beforeAll(async () => {
  server = await startMySql({ data });
  proxy = await startTcpProxy(() => server.port);
});
const stack = ownStack(() => {
  const url = new URL(server.url);
  url.port = String(proxy.port);
  return { MYSQL_URL: url.href };
});
afterAll(async () => {
  await proxy.close();
  await server.close();
  rmSync(data, { recursive: true, force: true });
});

const log = (): string => readFileSync(join(stack.folder, "logs/functionsHost.log"), "utf8");
/** How often a host has ended by itself: its own process and that of its triggers say so. */
const ends = (): number => log().split("functionsHost: stopped").length - 1;

/** Ends the host by SIGTERM, does something meanwhile, and returns when another one runs. */
async function terminate(meanwhile: () => Promise<void> | void = () => {}): Promise<void> {
  const [before, pid] = [ends(), stack.addresses.pids["functionsHost"]];
  stack.kill("functionsHost", "SIGTERM");
  await meanwhile();
  await until(() => stack.addresses.pids["functionsHost"] !== pid, "it is started again");
  expect(ends() - before).toBe(2);
  await until(
    () => call("GET", "/health", undefined, undefined, stack.addresses).then(Boolean, () => false),
    "it answers",
  );
}

test("SIGTERM under load, three times: nothing is lost, and nothing is shown twice", async () => {
  const load = await beginLoad(stack);
  const reader = await connect(load.users[0]!, { stack: stack.addresses });
  const seen = await reader.subscribe(`/sub/chat/room/${load.roomId}`);
  await someMore(load);
  for (let times = 0; times < 3; times += 1) {
    await terminate();
    await someMore(load);
    await storesAgain(load);
  }
  await load.stop();
  const stored = await storedOf(load);
  expectNothingLost(load, stored);
  const shown = () => seen.filter(({ seq }) => seq !== undefined).map(({ seq }) => seq);
  await until(() => shown().includes(stored.length), "the last one is shown");
  expect(shown()).toEqual(stored.slice(-shown().length).map(({ seq }) => seq));
  expect(shown().length).toBeGreaterThan(30);
  await reader.close();
});

test("calls that are under way are answered before the host ends", async () => {
  const users = newUsers(4);
  await introduce(users, stack.addresses);
  const roomId = await makeRoom(users, stack.addresses);
  const holder = await createConnection(server.url);
  await holder.query("START TRANSACTION");
  await holder.query("SELECT room_id FROM rooms WHERE room_id = ? FOR UPDATE", [roomId]);
  const names = users.map((user) => `of ${user}`);
  const answers = users.map((user, index) =>
    call("PATCH", `/group-rooms/${roomId}`, user, { name: names[index] }, stack.addresses),
  );
  const waiting = async (): Promise<number> => {
    const [rows] = await holder.query<RowDataPacket[]>("SHOW FULL PROCESSLIST");
    return rows.filter(({ Info }) => /FROM rooms[\s\S]*FOR UPDATE/.test(String(Info))).length;
  };
  await until(async () => (await waiting()) === users.length, "all wait for the room");
  await terminate(async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await holder.query("ROLLBACK");
    for (const [index, { status, body }] of (await Promise.all(answers)).entries())
      expect([status, body.name]).toEqual([200, names[index]]);
  });
  await holder.end();
});

test("SIGTERM while the database hangs: the host ends by itself, and its batch is stored by the next", async () => {
  const load = await beginLoad(stack);
  const reader = await connect(load.users[0]!, { stack: stack.addresses });
  await someMore(load);
  proxy.isMute = true;
  // Redis knows the members, so messages go on being accepted.
  await someMore(load);
  await terminate();
  proxy.isMute = false;
  proxy.cut();
  await storesAgain(load);
  await load.stop();
  const stored = await storedOf(load);
  expectNothingLost(load, stored);
  await showsAgain(load, stored.length);
  await reader.close();
});
