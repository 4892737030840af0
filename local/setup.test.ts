import { type ChildProcess, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeEach, describe, expect, it } from "vitest";

// Plain JavaScript without declarations: imported by address.
const load = (name: string) =>
  import(pathToFileURL(join(dirname(fileURLToPath(import.meta.url)), name)).href);
const { isInstalled, isBuilt, removeOrphans, requireNode, sources } = await load("setup.mjs");
const { installCommand, missingServices } = await load("setupServices.mjs");
const { withLock } = await load("setupLock.mjs");

const folder = mkdtempSync(join(tmpdir(), "nonstop-setup-"));
const root = join(folder, "project");

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the Node version", () => {
  it.each(["20.19.0", "20.20.2", "22.1.0", "24.0.0"])("may be %s", (version) => {
    requireNode(version);
  });
  it.each(["18.20.0", "20.18.3", "0.10.0"])("must not be %s", (version) => {
    expect(() => requireNode(version)).toThrow(`Node 20.19 or later is needed, this is ${version}`);
  });
});

describe("the packages", () => {
  const lock = (packages: object) =>
    writeFileSync(join(root, "package-lock.json"), JSON.stringify({ packages: { "": {}, ...packages } }));
  const note = (packages: object) => {
    mkdirSync(join(root, "node_modules"), { recursive: true });
    writeFileSync(join(root, "node_modules/.package-lock.json"), JSON.stringify({ packages }));
  };
  const ws = { "node_modules/ws": { version: "8.0.0" } };

  it("are missing in a fresh clone", () => {
    lock(ws);
    expect(isInstalled(root)).toBe(false);
  });
  it("are there when npm installed them by hand, without what is optional", () => {
    lock({ ...ws, "node_modules/fast": { version: "1.0.0", optional: true } });
    note(ws);
    expect(isInstalled(root)).toBe(true);
    // Noted now, so that the next look is quick.
    expect(readFileSync(join(root, "node_modules/.nonstop-lock-hash"), "utf8")).toMatch(/^[0-9a-f]{64}$/);
  });
  it("are missing when package-lock.json asks for another version since", () => {
    lock(ws);
    note(ws);
    expect(isInstalled(root)).toBe(true);
    lock({ "node_modules/ws": { version: "8.0.1" } });
    expect(isInstalled(root)).toBe(false);
  });
});

describe("the build", () => {
  it("is not there in a fresh clone, and stale once a source changes", () => {
    mkdirSync(join(root, "shared"));
    mkdirSync(join(root, "dist"));
    writeFileSync(join(root, "shared/a.ts"), "1");
    expect(isBuilt(root)).toBe(false);
    const { size, mtimeMs } = statSync(join(root, "shared/a.ts"));
    writeFileSync(join(root, "dist/.built"), JSON.stringify([["shared/a.ts", size, mtimeMs]]));
    expect(isBuilt(root)).toBe(true);
    utimesSync(join(root, "shared/a.ts"), 1, 1);
    expect(isBuilt(root)).toBe(false);
  });

  const put = (...names: string[]) => {
    for (const name of names) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), name);
    }
  };

  it("is of the client and of whatever the page is made of", () => {
    const page = ["index.html", "package.json", "public/a.svg", "src/a.tsx", "src/a.ts", "src/a.css"];
    put(...page.map((name) => `web/${name}`), "client/a.ts", "client/tsconfig.build.json");
    put("web/src/a.test.ts", "web/src/a.test.tsx", "web/node_modules/b.ts", "web/dist/b.ts");
    put("client/a.test.ts", "client/dist/a.d.ts", "client/node_modules/b.ts");
    const seen = sources(root).map(([file]: [string]) => file);
    expect(seen.sort()).toEqual(
      [...page.map((name) => `web/${name}`), "client/a.ts", "client/tsconfig.build.json"].sort(),
    );
  });

  it("leaves nothing of a source that is gone", () => {
    put("client/a.ts", "functions/a.ts");
    const made = (folder: string, name: string) =>
      [".js", ".js.map", ".d.ts", ".d.ts.map"].map((end) => `${folder}/${name}${end}`);
    const kept = [...made("client/dist", "a"), ...made("dist/functions", "a"), "client/dist/.tsbuildinfo"];
    const orphans = [...made("client/dist", "gone"), ...made("dist/functions", "gone")];
    put(...kept, ...orphans);
    removeOrphans(root, sources(root));
    expect(kept.filter((name) => !existsSync(join(root, name)))).toEqual([]);
    expect(orphans.filter((name) => existsSync(join(root, name)))).toEqual([]);
  });
});

describe("the services", () => {
  it("need no program where their address is given", () => {
    expect(missingServices({ PATH: "", MYSQL_URL: "mysql://a", REDIS_URL: "redis://a" })).toEqual([]);
  });
  it("may be a browser of one's own", () => {
    const env = { PATH: "", MYSQL_URL: "mysql://a", REDIS_URL: "redis://a", CHROMIUM_PATH: "/opt/browser" };
    expect(missingServices(env, { browser: true })).toEqual([]);
  });
  it.each([
    ["apt-get", ["redis", "chromium"], "install -y --no-install-recommends redis-server chromium"],
    ["dnf", ["mysql", "chromium"], "dnf install -y mariadb-server chromium"],
    ["apk", ["chromium"], "apk add chromium"],
    ["brew", ["mysql", "redis"], "brew install mariadb redis"],
  ])("are installed by %s: %j", (manager, missing, command) => {
    expect(installCommand(manager, missing).join(" ")).toContain(command);
  });
  it.each([
    ["brew", ["redis", "chromium"], /redis: install Redis.*\n {2}chromium: install Chromium .*CHROMIUM_PATH/],
    [undefined, ["mysql"], /by hand:\n {2}mysql: install MariaDB or MySQL, or set MYSQL_URL/],
  ])("are for the user to install with %s: %j", (manager, missing, message) => {
    expect(() => installCommand(manager, missing)).toThrow(message);
  });
});

describe("the lock", () => {
  const lock = join(folder, "lock");

  it("lets one set-up after the other work, and is gone then", async () => {
    const events: string[] = [];
    const work = (name: string) => async () => {
      events.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 20));
      events.push(`${name} ends`);
    };
    await Promise.all(["a", "b", "c"].map((name) => withLock(lock, work(name))));
    for (let index = 0; index < 6; index += 2)
      expect(events[index + 1]).toBe(events[index]!.replace("begins", "ends"));
    expect(() => statSync(lock)).toThrow("ENOENT");
  });

  it("is released when the work fails", async () => {
    await expect(withLock(lock, () => Promise.reject(new Error("no network")))).rejects.toThrow("no network");
    expect(await withLock(lock, () => "next")).toBe("next");
  });

  it("is taken over from a process that is gone", async () => {
    const gone: ChildProcess = spawn(process.execPath, ["-e", ""]);
    await new Promise((resolve) => gone.once("exit", resolve));
    mkdirSync(lock);
    writeFileSync(join(lock, "pid"), String(gone.pid));
    expect(await withLock(lock, () => "mine")).toBe("mine");
  });

  it("is taken over when its owner died before saying who it is", async () => {
    mkdirSync(lock);
    utimesSync(lock, 1, 1);
    expect(await withLock(lock, () => "mine")).toBe("mine");
  });

  it("is not waited for without end", async () => {
    mkdirSync(lock);
    writeFileSync(join(lock, "pid"), String(process.pid));
    await expect(withLock(lock, () => "never", 300)).rejects.toThrow(`process ${process.pid} holds`);
    rmSync(lock, { recursive: true });
  });
});
