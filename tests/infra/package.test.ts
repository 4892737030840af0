import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import { type Stack, startStack } from "../../local/stack.js";
import requireBuild from "../support/built.js";
import { call, connect, history, makeRoom, newUsers, until } from "../support/client.js";
import { findNode } from "./tools.js";

const ZIP = join(projectRoot, "dist/package.zip");

/** The package, unzipped where nothing of this project is above it. */
const folder = mkdtempSync(join(tmpdir(), "nonstop-package-"));
const app = join(folder, "wwwroot");
let files: readonly string[];
let said: string;

beforeAll(async () => {
  requireBuild();
  ({ stdout: said } = await makePackage());
  const content = unzipSync(readFileSync(ZIP));
  files = Object.keys(content);
  for (const [name, bytes] of Object.entries(content)) {
    mkdirSync(dirname(join(app, name)), { recursive: true });
    writeFileSync(join(app, name), bytes);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const makePackage = () =>
  promisify(execFile)(process.execPath, ["local/package.mjs"], { cwd: projectRoot, timeout: 300_000 });

/** The package's files, but for packages. */
const own = (): readonly string[] => files.filter((file) => !file.startsWith("node_modules/"));

const readJson = (path: string) => JSON.parse(readFileSync(path, "utf8"));

describe("the package", () => {
  test("says its size, which is below 25 MB", () => {
    console.log(said.trim());
    expect(said).toMatch(/^dist\/package.zip: \d+ files, [\d.]+ MB unpacked, [\d.]+ MB compressed\n$/);
    const [, compressed] = /, ([\d.]+) MB compressed/.exec(said)!;
    expect(Number(compressed)).toBe(Number((readFileSync(ZIP).length / 1_000_000).toFixed(1)));
    expect(Number(compressed)).toBeLessThan(25);
  });

  test("has the app, and nothing that is for developers", () => {
    const compiled = (name: string): string => `dist/${name.replace(/\.ts$/, ".js")}`;
    const sources = trackedFiles("functions", "shared").filter((name) => !name.endsWith(".test.ts"));
    expect(own()).toEqual(
      [
        "host.json",
        "package.json",
        "package-lock.json",
        ...sources.filter((name) => name.endsWith(".ts")).map(compiled),
        ...sources.filter((name) => /\.(sql|lua)$/.test(name)),
      ].sort(),
    );
  });

  test("has the packages that the app needs, in the versions of the lock file, and no others", () => {
    const lock = readJson(join(projectRoot, "package-lock.json")).packages;
    const installed = files.filter((file) =>
      /^(.*\/)?node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(file),
    );
    for (const file of installed) {
      const { version } = readJson(join(app, file));
      expect([file, version]).toEqual([file, lock[dirname(file)]?.version]);
    }
    const names = installed.map((file) => dirname(file).slice("node_modules/".length));
    expect(names).toEqual(
      expect.arrayContaining(Object.keys(readJson(join(app, "package.json")).dependencies)),
    );
    const developers = [
      "typescript",
      "vitest",
      "azurite",
      "azure-functions-core-tools",
      "react",
      "vite",
      "fflate",
    ];
    for (const name of developers) expect(names).not.toContain(name);
  });

  test("has no workspaces, scripts or optional packages that a build in the cloud would fetch", () => {
    const { dependencies } = readJson(join(projectRoot, "package.json"));
    expect(readJson(join(app, "package.json"))).toEqual({
      name: "nonstop-chat",
      version: expect.any(String),
      private: true,
      license: "MIT",
      type: "module",
      main: "dist/functions/*.js",
      engines: { node: expect.any(String) },
      dependencies,
    });
    expect(JSON.stringify(readJson(join(app, "package-lock.json")))).not.toMatch(/"resolved"|registry/);
  });

  test("is the same bytes when it is made again", async () => {
    const before = hash(ZIP);
    await makePackage();
    expect(hash(ZIP)).toBe(before);
  });

  test("does not hold where it was made, links, or settings of this machine", () => {
    for (const file of files.filter((name) => !name.startsWith("node_modules/")))
      expect(readFileSync(join(app, file), "utf8")).not.toContain(projectRoot);
    for (const entry of readdirSync(join(projectRoot, "dist/package"), {
      recursive: true,
      withFileTypes: true,
    }))
      expect(entry.isSymbolicLink() ? entry.name : "").toBe("");
    expect(files.filter((file) => /local\.settings|\.env|\.pem$|\.key$/.test(file))).toEqual([]);
  });

  test("loads nothing from outside of itself", async () => {
    const loaded = await modulesLoaded();
    expect(loaded.length).toBeGreaterThan(500);
    const inside = `${pathToFileURL(app).href}/`;
    expect(loaded.filter((url) => !url.startsWith(inside) && !url.startsWith("node:"))).toEqual([]);
  });
});

describe.each([...new Set([Number(process.versions.node.split(".")[0]), 22, 24])])(
  "the package on Node %i",
  (major) => {
    const node = findNode(major);
    const data = join(folder, `stack-${major}`);
    let stack: Stack;
    beforeAll(async () => {
      if (node === undefined) return;
      stack = await startStack({ data, ports: "auto", quiet: true, app: { folder: app, node } });
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

describe(".funcignore", () => {
  const patterns = readFileSync(join(projectRoot, ".funcignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

  test("leaves the files of the package at the top of the project, as git reads it", () => {
    expect(left()).toEqual(own());
  });

  test("leaves the same as Core Tools read it", () => {
    const everything = left("/dev/null").filter(
      (file) => !/^(\.git\b|\.vscode\/|\.(func|git)ignore$)/.test(file),
    );
    expect(everything.length).toBeGreaterThan(800);
    const denied = new RegExp(`^((${patterns.map(asCoreTools).join(")|(")}))\\b`);
    expect(everything.filter((file) => !denied.test(file))).toEqual(own());
  });

  test("has node_modules in, which azd demands where nothing is built in the cloud", () => {
    const said = execFileSync(
      "git",
      [
        "-c",
        `core.excludesFile=${join(projectRoot, ".funcignore")}`,
        "check-ignore",
        "--no-index",
        "node_modules/zod/index.d.ts",
        "node_modules/zod/index.js",
        "node_modules",
      ],
      {
        cwd: emptyRepository(),
        encoding: "utf8",
      },
    );
    expect(said).toBe("node_modules/zod/index.d.ts\n");
  });

  /** The files of this machine's checkout that are left, without packages. */
  function left(ignoreFile = join(projectRoot, ".funcignore")): readonly string[] {
    const args = [
      "--work-tree",
      projectRoot,
      "ls-files",
      "--others",
      `--exclude-from=${ignoreFile}`,
      "--exclude=/node_modules/",
      "--exclude=/dist/package/",
    ];
    const env = { ...process.env, GIT_DIR: join(emptyRepository(), ".git") };
    const listed = execFileSync("git", args, {
      cwd: projectRoot,
      env,
      encoding: "utf8",
      maxBuffer: 100_000_000,
    });
    return listed
      .trim()
      .split("\n")
      .filter((file) => file !== ".funcignore")
      .sort();
  }

  function emptyRepository(): string {
    const repository = join(folder, "git");
    if (!existsSync(repository)) execFileSync("git", ["init", "--quiet", repository]);
    return repository;
  }
});

/**
 * As Core Tools 4.13 translate a pattern: from the top, `**` at least one character, `*` at least one that is
 * no slash. A match may end before the path does.
 */
const asCoreTools = (pattern: string): string =>
  pattern
    .replace(/^\//, "")
    .replace(/[-[\]/{}()+?.\\^$|]/g, "\\$&")
    .replaceAll("**", "(.+)")
    .replaceAll("*", "([^/]+)");

const hash = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

/** What git knows below these folders, but what was deleted and not yet committed. */
function trackedFiles(...folders: string[]): string[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", ...folders];
  const listed = execFileSync("git", args, { cwd: projectRoot, encoding: "utf8" }).trim().split("\n");
  return listed.filter((name) => existsSync(join(projectRoot, name)));
}

/**
 * The addresses of all modules that the functions load, in a process of their own: those that are imported as
 * Node finds them, those that are required as its cache has them in the end.
 */
async function modulesLoaded(): Promise<readonly string[]> {
  const log = join(folder, "modules.txt");
  const note = `import { appendFileSync } from "node:fs"; const note = (url) => appendFileSync(${JSON.stringify(log)}, url + String.fromCharCode(10));`;
  const hooks = `${note} export async function resolve(...given) {
    const found = await given.at(-1)(...given.slice(0, 2));
    note(found.url);
    return found;
  }`;
  const functions = files
    .filter((file) => /^dist\/functions\/[^/]+\.js$/.test(file))
    .map((file) => join(app, file));
  const code = `import { createRequire, register } from "node:module";
    import { pathToFileURL } from "node:url";
    ${note}
    register("data:text/javascript," + encodeURIComponent(${JSON.stringify(hooks)}));
    for (const file of ${JSON.stringify(functions)}) await import(pathToFileURL(file).href);
    for (const file of Object.keys(createRequire("file:///").cache)) note(pathToFileURL(file).href);
    process.exit(0);`;
  const env = { PATH: process.env["PATH"], ...settings() };
  await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], {
    cwd: "/",
    env,
    timeout: 60_000,
  });
  return [...new Set(readFileSync(log, "utf8").trim().split("\n"))];
}

/** Settings with which the app can be loaded. Nothing answers at their addresses. */
function settings(): Readonly<Record<string, string>> {
  const { Values } = readJson(join(projectRoot, "local.settings.example.json"));
  return { ...Values, REDIS_URL: "redis://127.0.0.1:1" };
}
