import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Addresses } from "../../local/stack.js";

/** What a project of its own has no use for, or must have as its own. */
const NOT_COPIED = new Set([".git", ".local", "node_modules"]);

/** A project of its own, to edit: a copy of this one, with its packages. */
const root = mkdtempSync(join(tmpdir(), "nonstop-dev-"));
const data = join(root, ".local");
const command = {
  output: "",
  ended: false,
  exitCode: Promise.resolve<number | null>(null),
  interrupt: () => {},
};

beforeAll(() => {
  const entries = readdirSync(".").filter((name) => !NOT_COPIED.has(name));
  execFileSync("cp", ["-a", ...entries, root]);
  symlinkSync(join(process.cwd(), "node_modules"), join(root, "node_modules"));
  const child = spawn(process.execPath, ["local/setup.mjs", "dev", "--", "--ports", "auto"], {
    cwd: root,
    env: { ...process.env, MYSQL_URL: "", REDIS_URL: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  command.interrupt = () => void child.kill("SIGINT");
  command.exitCode = new Promise((resolve) => child.once("close", resolve));
  void command.exitCode.then(() => {
    command.ended = true;
  });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      command.output += text;
    });
});
afterAll(async () => {
  command.interrupt();
  await command.exitCode;
  rmSync(root, { recursive: true, force: true });
});

/**
 * Resolves when the command has printed `text`, behind what it had printed before this call or before `from`.
 * Fails when it has ended without.
 */
async function says(text: string, from = 0): Promise<void> {
  await expect.poll(() => command.ended || command.output.slice(from).includes(text)).toBe(true);
  expect(command.output.slice(from)).toContain(text);
}

const addresses = (): Addresses => JSON.parse(readFileSync(join(data, "stack.json"), "utf8"));
const write = (file: string, text: string) => writeFileSync(join(root, file), text);
const read = (file: string) => readFileSync(join(root, file), "utf8");
const edit = (file: string, from: string, to: string) => {
  expect(read(file)).toContain(from);
  write(file, read(file).replace(from, to));
};

/** A function that answers with the value of an expression. */
const probe = (expression: string, before = "") =>
  `import { app } from "@azure/functions";\n${before}\nconst body: string = ${expression};\n` +
  `app.http("devProbe", { route: "dev-probe", authLevel: "anonymous", handler: () => ({ body }) });\n`;

const fromProbe = async () => {
  const answer = await fetch(`${addresses().api}/api/v1/chat/dev-probe`).catch(() => undefined);
  return answer?.ok ? answer.text() : undefined;
};

describe("npm run dev", () => {
  test("runs the whole system", async () => {
    await says("The chat system is running");
  });

  test("runs a function that is added, and starts nothing else again", async () => {
    const { pids } = addresses();
    write("functions/devProbe.ts", probe('"one"'));
    await expect.poll(fromProbe).toBe("one");
    await says("functionsHost runs the new code");
    expect({ ...addresses().pids, functionsHost: 0 }).toEqual({ ...pids, functionsHost: 0 });
  });

  test("tells a compile error, and the old code goes on running, also when its process dies", async () => {
    const from = command.output.length;
    write("functions/devProbe.ts", probe("1"));
    await says("TS2322", from);
    await says("tsconfig.build.json: there are errors, see above", from);
    expect(await fromProbe()).toBe("one");
    const { functionsHost } = addresses().pids;
    process.kill(functionsHost!, "SIGKILL");
    await expect.poll(() => addresses().pids.functionsHost).not.toBe(functionsHost);
    await expect.poll(fromProbe).toBe("one");
  });

  test("makes one build of many quick saves", async () => {
    const from = command.output.length;
    for (let round = 0; round < 30; round += 1) write("functions/devProbe.ts", probe(`"draft ${round}"`));
    write("functions/devProbe.ts", probe('"two"'));
    await expect.poll(fromProbe).toBe("two");
    await says("functionsHost runs the new code", from);
    expect(command.output.slice(from).match(/building/g)).toHaveLength(1);
  });

  test("restarts a local server alone for its own folder", async () => {
    const { pids } = addresses();
    edit("local/page/demo.ts", '"Ann"', '"Anna"');
    const users = async () => (await fetch(`${addresses().page}/demo/users`).catch(() => undefined))?.text();
    await expect.poll(users).toContain('"Anna"');
    await expect.poll(() => addresses().pids.page).not.toBe(pids.page);
    expect({ ...addresses().pids, page: 0 }).toEqual({ ...pids, page: 0 });
  });

  test("serves the page as it was changed", async () => {
    edit("web/index.html", "<title>", "<title>Dev: ");
    const page = async () => (await fetch(addresses().page).catch(() => undefined))?.text();
    await expect.poll(page).toContain("<title>Dev: ");
  });

  test("waits for code that can't start to be mended", async () => {
    const from = command.output.length;
    write("functions/devProbe.ts", probe('"three"', 'if (Date.now()) throw new Error("boo");'));
    await says("starting it again", from);
    write("functions/devProbe.ts", probe('"four"'));
    await expect.poll(fromProbe).toBe("four");
    // For each of the two changes: a try may have found the mended code before its own restart was asked for.
    const restarts = () => command.output.slice(from).match(/functionsHost runs the new code/g);
    await expect.poll(restarts).toHaveLength(2);
  });

  test("takes a removed function away", async () => {
    rmSync(join(root, "functions/devProbe.ts"));
    await expect.poll(fromProbe).toBeUndefined();
    expect(existsSync(join(root, "dist/functions/devProbe.js"))).toBe(false);
  });

  test("says what counts at the next start only", async () => {
    const from = command.output.length;
    write("local/demo.ts", `${read("local/demo.ts")}\n`);
    await says("local/demo.ts: counts when you stop and start again", from);
  });

  test("ends with all it has started, and leaves a build that is up to date", async () => {
    const { pids } = addresses();
    command.interrupt();
    expect(await command.exitCode).toBe(0);
    const isThere = (pid: number) => existsSync(`/proc/${pid}`);
    expect(Object.values(pids).filter(isThere)).toEqual([]);
    const { isBuilt } = await import(pathToFileURL(join(root, "local/setupBuild.mjs")).href);
    expect(isBuilt(root)).toBe(true);
  });
});
