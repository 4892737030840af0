import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import { afterTest } from "../support/chat.js";
import { call, makeRoom, newUsers, tokenFor, until } from "../support/client.js";

const readme = readFileSync("README.md", "utf8");
/** The README's example of this name. */
const example = (name: string) =>
  new RegExp(`<!-- ${name} -->\\n\`\`\`\\w+\\n([^]*?)\`\`\``).exec(readme)?.[1] ?? "";

// Beside a node_modules as in the project's folder, because it imports the packages by name.
const folder = mkdtempSync(join(tmpdir(), "nonstop-readme-"));
const file = join(folder, "first.mjs");
beforeAll(() => {
  symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
  writeFileSync(file, example("first.mjs"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The first program on this machine; `printed` grows while it runs. */
function runFirst(token: string, roomId: string) {
  const child = spawn(process.execPath, [file, token, roomId, inject("stack").webPubSub]);
  afterTest(() => child.kill());
  const run = { printed: "", ended: once(child, "close").then(([code]) => code as number | null) };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      run.printed += text;
    });
  return run;
}

test("the README's commands make a token and a room, its program sends the first message", async () => {
  const commands = example("first.sh")
    .replace("npm run --silent token --", `"${process.execPath}" dist/local/token.js`)
    .replace("http://127.0.0.1:7071", inject("stack").api);
  const { stdout } = await promisify(execFile)("sh", ["-c", `${commands}echo "$TOKEN"`]);
  const [room = "", token = ""] = stdout.split("\n");
  const { printed } = await started(runFirst(token, room));
  expect(JSON.parse(printed)).toMatchObject({
    seq: 1,
    roomId: Number(room),
    senderId: 1,
    senderNickname: "Ann",
    content: "Hello",
  });
  const { messages } = (await call("GET", `/rooms/${room}/messages`, 2)).body;
  expect(messages).toHaveLength(1);
});

test("the README's program says that the room or the token is wrong, and ends", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ben]);
  const token = await tokenFor(ann);
  const outcome = async (...args: [token: string, roomId: string]) => {
    const run = runFirst(...args);
    return { code: await run.ended, printed: run.printed };
  };
  const notHers = await outcome(token, String(roomId));
  expect(notHers.code).toBe(0);
  expect(JSON.parse(notHers.printed)).toMatchObject({ type: "ERROR", code: "NOT_A_MEMBER", roomId });
  expect(JSON.parse((await outcome(token, "")).printed)).toMatchObject({ code: "UNKNOWN_DESTINATION" });
  expect((await outcome("no token", String(roomId))).printed).toBe("Unexpected server response: 401\n");
});

async function started<T extends { readonly printed: string }>(run: T): Promise<T> {
  await until(() => run.printed.includes("\n"), "a line of the example");
  return run;
}
