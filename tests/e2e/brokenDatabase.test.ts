import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { type Stack, startStack } from "../../local/stack.js";
import { call, connect, history, introduce, makeRoom, newUsers } from "../support/client.js";
import type { Addresses } from "../support/stack.js";

// A database that answers and lacks something, as one does whose migrations were forgotten, or that has left out what an older one had. A stack of its own: the others' health is down meanwhile.

const folder = mkdtempSync(join(tmpdir(), "nonstop-broken-"));
const name = `broken_${process.pid}`;
let stack: Stack;
const addresses = (): Addresses => stack.addresses as unknown as Addresses;

/** A statement of somebody who repairs or breaks it. */
async function run(sql: string): Promise<void> {
  const connection = await createConnection(inject("stack").mysql);
  await connection.query(sql);
  await connection.end();
}

beforeAll(async () => {
  const url = new URL(inject("stack").mysql);
  url.pathname = `/${name}`;
  const env = { MYSQL_URL: url.href, REDIS_URL: "" };
  stack = await startStack({ data: folder, ports: "auto", quiet: true, env });
});
afterAll(async () => {
  await stack.close();
  await run(`DROP DATABASE IF EXISTS ${name}`);
  rmSync(folder, { recursive: true, force: true });
});

const healthOf = async (): Promise<[status: number, mysql: string]> => {
  const { status, body } = await call("GET", "/health", undefined, undefined, addresses());
  return [status, body.dependencies.mysql];
};
const said = (): string => readFileSync(join(folder, "logs/functionsHost.log"), "utf8");

test("what can never be done is said, and asks nobody to try again; what was accepted waits and is shown when it is mended", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  await introduce([ann, ben], addresses());
  const roomId = await makeRoom([ann, ben], addresses());
  const writer = await connect(ann, { stack: addresses() });
  const shown = await writer.subscribe(`/sub/chat/room/${roomId}`);
  await writer.say(roomId, "before");
  await expect.poll(() => shown.map(({ content }) => content)).toEqual(["before"]);
  expect(await healthOf()).toEqual([200, "up"]);

  await run(`RENAME TABLE ${name}.messages TO ${name}.lost_messages`);
  // By its RECEIPT it can't be lost any more.
  await writer.say(roomId, "meanwhile");
  await expect.poll(healthOf).toEqual([503, "down"]);
  const refused = await call("GET", `/rooms/${roomId}/messages`, ann, undefined, addresses());
  expect(refused).toMatchObject({ status: 503, body: { code: "UNAVAILABLE" } });
  expect(refused.body.detail).not.toMatch(/again|retry/i);
  await expect.poll(said).toMatch(/ error .*\.messages' doesn't exist/);
  expect(shown).toHaveLength(1);

  await run(`RENAME TABLE ${name}.lost_messages TO ${name}.messages`);
  await expect.poll(() => shown.map(({ content }) => content)).toEqual(["before", "meanwhile"]);
  expect((await history(roomId, ben, addresses())).map(({ content }) => content)).toEqual([
    "before",
    "meanwhile",
  ]);
  await writer.close();
});
