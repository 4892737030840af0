import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startMySql } from "../../local/services/mysql.js";
import type { Service } from "../../local/services/service.js";
import { type Stack, startStack } from "../../local/stack.js";
import requireBuild from "../support/built.js";
import { call, connect, history, makeRoom, newUsers, until } from "../support/client.js";
import { DATABASE_OUTPUTS, fakeAzure } from "./hook.js";
import { makePackage, unzipPackage } from "./packaged.js";
import { findNode } from "./tools.js";

/** The package, unzipped where nothing of this project is above it. The other servers run from the build. */
const folder = mkdtempSync(join(tmpdir(), "nonstop-packaged-"));
const app = join(folder, "wwwroot");
const azure = fakeAzure();
let mysql: Service;

beforeAll(async () => {
  requireBuild();
  mysql = await startMySql({ data: join(folder, "mysql") });
  await makePackage();
  unzipPackage(app);
});
afterAll(async () => {
  await mysql?.close();
  azure.close();
  rmSync(folder, { recursive: true, force: true });
});

describe.each([...new Set([Number(process.versions.node.split(".")[0]), 22, 24])])(
  "the package on Node %i",
  (major) => {
    const node = findNode(major);
    const data = join(folder, `stack-${major}`);
    let stack: Stack;
    beforeAll(async () => {
      if (node === undefined) return;
      const MYSQL_URL = await deployedDatabase(node, `chat_${major}`);
      const env = { MYSQL_URL: addressOf(`chat_${major}`) };
      stack = await startStack({
        data,
        ports: "auto",
        quiet: true,
        env,
        app: { folder: app, node, env: { MYSQL_URL } },
      });
    });
    afterAll(() => stack?.close());

    test.skipIf(node === undefined)("does the main job on a fresh database", async () => {
      const addresses = stack.addresses;
      const [ann, ben] = newUsers(2) as [number, number];
      const roomId = await makeRoom([ann, ben], addresses);
      const [a, b] = await Promise.all([
        connect(ann, { stack: addresses, nickname: "Ann" }),
        connect(ben, { stack: addresses }),
      ]);
      const seen = await b.subscribe(`/sub/chat/room/${roomId}`);
      await a.say(roomId, "first");
      await a.say(roomId, "second");
      await until(() => seen.length === 2, "both messages at Ben");
      expect(
        seen.map(({ seq, content, senderNickname, unreadCount }) => [
          seq,
          content,
          senderNickname,
          unreadCount,
        ]),
      ).toEqual([
        [1, "first", "Ann", 1],
        [2, "second", "Ann", 1],
      ]);
      expect((await history(roomId, ben, addresses)).map(({ content }) => content)).toEqual([
        "first",
        "second",
      ]);
      expect(await unread(roomId, ben)).toBe(2);
      expect(await unread(roomId, ann)).toBe(0);
      await call("PATCH", `/rooms/${roomId}/read?messageId=${seen[1].messageId}`, ben, undefined, addresses);
      await until(async () => (await unread(roomId, ben)) === 0, "Ben has read");
      expect((await history(roomId, ann, addresses)).map(({ unreadCount }) => unreadCount)).toEqual([0, 0]);
      const { body } = await call("GET", "/health", undefined, undefined, addresses);
      expect(body.status).toBe("up");
      await Promise.all([a.close(), b.close()]);
    });

    test.skipIf(node === undefined)("was run by that Node, from the package", () => {
      const pid = String(stack.addresses.pids.functionsHost);
      const command = execFileSync("ps", ["-p", pid, "-ww", "-o", "args="], { encoding: "utf8" });
      expect(command).toMatch(`${node} `);
      expect(command).toContain(` --app ${app} `);
      expect(execFileSync(node!, ["--version"], { encoding: "utf8" })).toMatch(new RegExp(`^v${major}\\.`));
    });

    async function unread(roomId: number, userId: number): Promise<number> {
      const { body } = await call("GET", "/rooms", userId, undefined, stack.addresses);
      return body.rooms.find((room: { roomId: number }) => room.roomId === roomId).unreadCount;
    }
  },
);

/**
 * A database as a deployment leaves it: its tables made by the package itself, run by `node`, its user by the
 * hook. Returns the address that the app has.
 */
async function deployedDatabase(node: string, name: string): Promise<string> {
  const env = { PATH: process.env["PATH"], MYSQL_URL: addressOf(name) };
  const { stdout } = await promisify(execFile)(node, ["dist/shared/store/migrate.js"], { cwd: app, env });
  expect(stdout).toMatch(/^Applied 0001_rooms_and_messages\.sql, /);
  const url = new URL(addressOf(name));
  [url.username, url.password] = ["chat_app", "N-secret"];
  const answers = [
    { when: "az keyvault secret show --vault-name kv-chat --name mysql-admin-password", prints: "chat" },
    { when: "az keyvault secret show --vault-name kv-chat --name mysql-url", prints: url.href },
  ];
  const { code, said } = await azure.run("postprovision", { env: DATABASE_OUTPUTS, answers });
  expect([code, said]).toEqual([0, expect.stringContaining("mysql: the tables are up to date")]);
  return url.href;
}

/** A database on the server of these tests, for the user who may do everything. */
function addressOf(name: string): string {
  const url = new URL(mysql.url);
  url.pathname = `/${name}`;
  return url.href;
}
