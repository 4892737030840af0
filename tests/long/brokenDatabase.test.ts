import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { afterAll, expect, inject, test } from "vitest";
import { call, connect, history, introduce, makeRoom, newUsers } from "../support/client.js";
import { ownStack } from "../support/ownStack.js";

// A database that answers and lacks something: its migrations were forgotten, or it was restored without a
// table. On a stack of its own, as the stack's health is down meanwhile.

const name = `broken_${process.pid}`;

/** A statement of somebody who repairs or breaks it. */
async function run(sql: string): Promise<void> {
  const connection = await createConnection(inject("stack").mysql);
  await connection.query(sql);
  await connection.end();
}

afterAll(() => run(`DROP DATABASE IF EXISTS ${name}`));
const stack = ownStack(() => {
  const url = new URL(inject("stack").mysql);
  url.pathname = `/${name}`;
  return { MYSQL_URL: url.href, REDIS_URL: "" };
});
const addresses = () => stack.addresses;

const healthOf = async (): Promise<[status: number, mysql: string]> => {
  const { status, body } = await call("GET", "/health", undefined, undefined, addresses());
  return [status, body.dependencies.mysql];
};
const said = (): string => readFileSync(join(stack.folder, "logs/functionsHost.log"), "utf8");

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
