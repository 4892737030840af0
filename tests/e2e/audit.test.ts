import { execFile } from "node:child_process";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { describe, expect, inject, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import { connect, history, type Json, makeRoom, newUsers, until } from "../support/client.js";
import { PATIENCE_MS } from "../support/patience.js";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program, with the settings of the stack that runs on the folder. */
function audit(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const launcher = join(projectRoot, "dist/local/withStack.js");
  const all = [launcher, "dist/shared/audit/main.js", ...args, "--data", inject("stackFolder")];
  const options = { env: { PATH: process.env["PATH"], ...env }, timeout: PATIENCE_MS };
  return new Promise((resolve) => {
    execFile(process.execPath, all, options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

const lines = (text: string): Json[] =>
  text.split("\n").flatMap((line) => (line === "" ? [] : JSON.parse(line)));

async function sql(statement: string, values: unknown[]): Promise<void> {
  const connection = await createConnection(inject("stack").mysql);
  await connection.query(statement, values);
  await connection.end();
}

async function roomWith(count: number): Promise<{ roomId: number; users: number[] }> {
  const users = newUsers(2);
  const [ann] = users as [number, number];
  const roomId = await makeRoom(users);
  const client = await connect(ann);
  for (let message = 1; message <= count; message += 1) await client.say(roomId, `message ${message}`);
  await client.close();
  await until(async () => (await history(roomId, ann)).length === count, "the messages are stored");
  return { roomId, users };
}

test("a room of the running stack is compared, mended and right again", async () => {
  const { roomId } = await roomWith(3);
  const room = ["--room", String(roomId)];
  expect(await audit(room)).toEqual({
    code: 0,
    stdout: "",
    stderr: "Nothing differs. Looked at: 4 lists, 0 ids, 1 rooms.\n",
  });

  await sql("UPDATE rooms SET last_seq = 7, member_count = 1 WHERE room_id = ?", [roomId]);
  const table = await audit(room);
  expect({ ...table, stdout: table.stdout.split("\n").map((line) => line.split(/ {2,}/)) }).toEqual({
    code: 1,
    stdout: [
      ["what", "where", "expected", "found", "state"],
      ["last_seq", `room ${roomId}`, "3", "7", "can be mended"],
      ["member_count", `room ${roomId}`, "2", "1", "can be mended"],
      [""],
    ],
    stderr: "2 differences. Looked at: 4 lists, 0 ids, 1 rooms.\n",
  });

  const mended = await audit([...room, "--repair", "--json"]);
  expect(mended.code).toBe(0);
  expect(lines(mended.stdout)).toEqual([
    { kind: "last_seq", where: `room ${roomId}`, expected: "3", found: "7", state: "mended" },
    { kind: "member_count", where: `room ${roomId}`, expected: "2", found: "1", state: "mended" },
  ]);
  expect((await audit(room)).code).toBe(0);
});

test("a hole is named, and not mended", async () => {
  const { roomId } = await roomWith(3);
  await sql("DELETE FROM messages WHERE room_id = ? AND seq = 2", [roomId]);
  const { code, stdout, stderr } = await audit(["--room", String(roomId), "--repair"]);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^1 difference\./) });
  expect(stdout).toContain("  1, 2, 3, ... without a hole  no 2   can't be mended\n");
  expect(stdout).toContain("seq: a message that is gone can't be derived: restore the database");
});

describe("what can't be done is told, and is exit code 2", () => {
  test.each([
    [["--rom", "5"], "Unknown option '--rom'"],
    [["--room", "five"], "--room must be a whole number, not five.\nUsage: npm run audit"],
    [["5"], "Unexpected argument '5'"],
    [["--room", "4000000000"], "There is no room 4000000000."],
  ])("%j", async (args, message) => {
    const { code, stderr } = await audit(args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  });

  test("settings of another system are not filled up with the stack's", async () => {
    const { code, stderr } = await audit([], { MYSQL_URL: "mysql://chat:chat@127.0.0.1:1/elsewhere" });
    expect(code).toBe(2);
    expect(stderr).toContain("WEB_PUBSUB_CONNECTION is missing");
    expect(stderr).toContain("REDIS_URL is missing");
  });

  test("a Redis that is away", async () => {
    const { mysql, webPubSubConnection } = inject("stack");
    const env = { MYSQL_URL: mysql, WEB_PUBSUB_CONNECTION: webPubSubConnection };
    const { code, stderr } = await audit([], { ...env, REDIS_URL: "redis://127.0.0.1:1" });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("Redis can't be asked") });
  });
});
