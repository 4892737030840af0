import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import requireBuild from "../support/built.js";
import { makePackage, unzipPackage, ZIP } from "./packaged.js";

/** The package, unzipped where nothing of this project is above it. */
const folder = mkdtempSync(join(tmpdir(), "nonstop-package-"));
const app = join(folder, "wwwroot");
let files: readonly string[];
let said: string;

beforeAll(async () => {
  requireBuild();
  said = await makePackage();
  files = unzipPackage(app);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

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
