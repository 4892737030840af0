import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, inject, test } from "vitest";
import { call, makeRoom, newUsers, tokenFor, until } from "../support/client.js";

test("the README's first message is sent and shown", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const example = /<!-- first\.mjs -->\n```js\n([\s\S]*?)```/.exec(readFileSync("README.md", "utf8"))?.[1];
  // Beside package.json, because it imports the packages by name.
  const file = `first-${process.pid}.local.mjs`;
  writeFileSync(file, example ?? "");
  const token = await tokenFor(ann, { nickname: "Ann" });
  const child = spawn(process.execPath, [file, token, String(roomId), inject("stack").webPubSub]);
  try {
    let printed = "";
    child.stdout.on("data", (data) => {
      printed += data;
    });
    child.stderr.on("data", (data) => {
      printed += data;
    });
    await until(() => printed.includes("\n"), "a line of the example");
    expect(JSON.parse(printed)).toMatchObject({
      seq: 1,
      roomId,
      senderNickname: "Ann",
      content: "Hello",
      unreadCount: 1,
    });
    const { messages } = (await call("GET", `/rooms/${roomId}/messages`, ben)).body;
    expect(messages).toHaveLength(1);
  } finally {
    child.kill();
    rmSync(file);
  }
});
