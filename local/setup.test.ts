import { type ChildProcess, spawn } from "node:child_process";
import {
  cpSync,
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
import { afterAll, beforeEach, describe, expect, test } from "vitest";

// Plain JavaScript without declarations: imported by address.
const load = (name: string) =>
  import(pathToFileURL(join(dirname(fileURLToPath(import.meta.url)), name)).href);
const { requireNode } = await load("setup.mjs");
const { build, isInstalled, isBuilt, removeOrphans, sources } = await load("setupBuild.mjs");
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
  test.each(["20.19.0", "20.20.2", "22.12.0", "24.0.0", "25.1.0"])("may be %s", (version) => {
    requireNode(version, "linux");
  });
  test.each(["18.20.0", "20.18.3", "0.10.0", "21.7.3", "22.11.0", "23.11.0"])("must not be %s", (version) => {
    expect(() => requireNode(version, "linux")).toThrow(
      `Node 20.19, 22.12 or 24, or later ones of these, is needed, this is ${version}: install a newer one`,
    );
  });
  test("is looked at in words that Node 12 understands", () => {
    const source = readFileSync(join(import.meta.dirname, "setup.mjs"), "utf8");
    expect(source).not.toMatch(/\?\?|\?\.|\|\|=|^\s*await |^import (?!.*"node:url")/m);
  });
  test("is of no use on Windows itself", () => {
    expect(() => requireNode("24.0.0", "win32")).toThrow("On Windows use WSL");
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

  test("are missing in a fresh clone", () => {
    lock(ws);
    expect(isInstalled(root)).toBe(false);
  });
  test("are there when npm installed them by hand, without what is optional", () => {
    lock({ ...ws, "node_modules/fast": { version: "1.0.0", optional: true } });
    note(ws);
    expect(isInstalled(root)).toBe(true);
    // Noted now, so that the next look is quick.
    expect(readFileSync(join(root, "node_modules/.nonstop-lock-hash"), "utf8")).toMatch(/^[0-9a-f]{64}$/);
  });
  test("are missing when an installation was stopped, whatever was noted before", () => {
    lock(ws);
    note(ws);
    expect(isInstalled(root)).toBe(true);
    rmSync(join(root, "node_modules/.package-lock.json"));
    expect(isInstalled(root)).toBe(false);
  });
  test("can't be looked at with a lock file that is broken, which is said", () => {
    note(ws);
    writeFileSync(join(root, "package-lock.json"), "<<<<<<< HEAD");
    expect(() => isInstalled(root)).toThrow(/package-lock\.json cannot be read .*: restore it/);
  });
  test("are missing when package-lock.json asks for another version since", () => {
    lock(ws);
    note(ws);
    expect(isInstalled(root)).toBe(true);
    lock({ "node_modules/ws": { version: "8.0.1" } });
    expect(isInstalled(root)).toBe(false);
  });
});

describe("the build", () => {
  test("is not there in a fresh clone, and stale once a source changes", () => {
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

  test("is of the client and of whatever the page is made of", () => {
    const page = ["index.html", "package.json", "public/a.svg", "src/a.tsx", "src/a.ts", "src/a.css"];
    put(...page.map((name) => `web/${name}`), "client/a.ts", "client/tsconfig.build.json");
    put("web/src/a.test.ts", "web/src/a.test.tsx", "web/node_modules/b.ts", "web/dist/b.ts");
    put("client/a.test.ts", "client/dist/a.d.ts", "client/node_modules/b.ts");
    const seen = sources(root).map(([file]: [string]) => file);
    expect(seen.sort()).toEqual(
      [...page.map((name) => `web/${name}`), "client/a.ts", "client/tsconfig.build.json"].sort(),
    );
  });

  test("leaves nothing of a source that is gone", () => {
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

describe("a build that fails or is stopped", () => {
  test("is done again, from the beginning: what the compiler noted may be more than it wrote", async () => {
    const note = join(root, "client/dist/.tsbuildinfo");
    for (const file of [note, join(root, "dist/.built")]) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, "[]");
    }
    expect(isBuilt(root)).toBe(true);
    // There is no compiler here.
    await expect(build(root)).rejects.toThrow("the build failed (client/tsconfig.build.json)");
    expect([isBuilt(root), existsSync(note)]).toEqual([false, true]);
    await expect(build(root)).rejects.toThrow("the build failed");
    expect(existsSync(note)).toBe(false);
  });
});

describe("the services", () => {
  test("need no program where their address is given", () => {
    expect(missingServices({ PATH: "", MYSQL_URL: "mysql://a", REDIS_URL: "redis://a" })).toEqual([]);
  });
  test("are not replaced by another where the one that is named is missing", () => {
    expect(() => missingServices({ PATH: "", MYSQLD: join(folder, "none"), REDIS_URL: "redis://a" })).toThrow(
      /MYSQLD=.*none: there is no program that can be run/,
    );
    expect(missingServices({ PATH: "", MYSQLD: process.execPath, REDIS_URL: "redis://a" })).toEqual([]);
  });
  test("may be a browser of one's own", () => {
    const env = { PATH: "", MYSQL_URL: "mysql://a", REDIS_URL: "redis://a", CHROMIUM_PATH: "/opt/browser" };
    expect(missingServices(env, { browser: true })).toEqual([]);
  });
  test.each([
    ["apt-get", ["redis", "chromium"], "install -y --no-install-recommends redis-server chromium"],
    ["dnf", ["mysql", "chromium"], "dnf install -y mariadb-server chromium"],
    ["apk", ["chromium"], "apk add chromium"],
    ["brew", ["mysql", "redis"], "brew install mariadb redis"],
  ])("are installed by %s: %j", (manager, missing, command) => {
    expect(installCommand(manager, missing).join(" ")).toContain(command);
  });
  test.each([
    ["brew", ["redis", "chromium"], /redis: install Redis.*\n {2}chromium: install Chromium .*CHROMIUM_PATH/],
    [
      undefined,
      ["mysql"],
      /by hand:\n {2}mysql: install MariaDB or MySQL, or set MYSQLD to its program or MYSQL_URL/,
    ],
  ])("are for the user to install with %s: %j", (manager, missing, message) => {
    expect(() => installCommand(manager, missing)).toThrow(message);
  });
});

describe("the lock", () => {
  const lock = join(folder, "lock");

  test("lets one set-up after the other work, and is gone then", async () => {
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

  test("is released when the work fails", async () => {
    await expect(withLock(lock, () => Promise.reject(new Error("no network")))).rejects.toThrow("no network");
    expect(await withLock(lock, () => "next")).toBe("next");
  });

  test("is taken over from a process that is gone", async () => {
    const gone: ChildProcess = spawn(process.execPath, ["-e", ""]);
    await new Promise((resolve) => gone.once("exit", resolve));
    mkdirSync(lock);
    writeFileSync(join(lock, "pid"), String(gone.pid));
    expect(await withLock(lock, () => "mine")).toBe("mine");
  });

  test("is taken over from a process whose number another one has by now", async () => {
    mkdirSync(lock);
    writeFileSync(join(lock, "pid"), `${process.pid} 1`);
    expect(await withLock(lock, () => "mine")).toBe("mine");
  });

  test("is taken over when its owner died before saying who it is", async () => {
    mkdirSync(lock);
    utimesSync(lock, 1, 1);
    expect(await withLock(lock, () => "mine")).toBe("mine");
  });

  test("is not waited for without end", async () => {
    mkdirSync(lock);
    writeFileSync(join(lock, "pid"), String(process.pid));
    await expect(withLock(lock, () => "never", 300)).rejects.toThrow(`process ${process.pid} holds`);
    rmSync(lock, { recursive: true });
  });
});

describe("a set-up that is stopped", () => {
  const local = import.meta.dirname;
  let projects = 0;

  /** Runs Node on a script, and waits for a line that matches `until`. */
  async function started(args: string[], until: RegExp, options: object = {}) {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    const run = { child, output: "", ended: new Promise((resolve) => child.once("close", resolve)) };
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding("utf8").on("data", (text: string) => {
        run.output += text;
      });
    await expect.poll(() => run.output, { interval: 20 }).toMatch(until);
    return run;
  }

  /**
   * A set-up that runs one program of the shell under its lock; `program` says "pid N" of whatever must not
   * stay behind.
   */
  function running(program: string, options: object = {}) {
    const folder = join(root, "lock");
    const script = `
      import { interruptible, run } from ${JSON.stringify(join(local, "setupRun.mjs"))};
      import { withLock } from ${JSON.stringify(join(local, "setupLock.mjs"))};
      const work = () => run("sh", ["-c", ${JSON.stringify(program)}], ${JSON.stringify({ name: "it", ...options })});
      await interruptible(() => withLock(${JSON.stringify(folder)}, work)).catch((error) => {
        console.log(error.message);
        process.exitCode = error.exitCode;
      });`;
    return started(["--input-type=module", "--eval", script], /pid \d+/);
  }

  const pids = (output: string) => [...output.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  const isGone = (pid: number) => {
    const state = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "latin1") : ") Z";
    return state.split(") ").at(-1)!.startsWith("Z");
  };
  const STOPPED = "stopped before all was ready: the next start goes on where this one ended";

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("by %s ends at once with %i, all that it started with it", async (signal, exitCode) => {
    const run = await running("sleep 10000 & echo pid $!; echo pid $$; wait");
    run.child.kill(signal);
    expect(await run.ended).toBe(exitCode);
    expect(run.output).toContain("setup: stopping it... (Ctrl+C again kills it)");
    expect(run.output).toContain(STOPPED);
    await expect.poll(() => pids(run.output).filter((pid) => !isGone(pid))).toEqual([]);
    expect(existsSync(join(root, "lock"))).toBe(false);
  });

  test("kills a program that doesn't end by itself", async () => {
    const run = await running("trap '' INT; echo pid $$; while :; do sleep 0.1; done");
    run.child.kill("SIGINT");
    // As a terminal and npm send it.
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(130);
    expect(run.output).toContain(STOPPED);
    await expect.poll(() => pids(run.output).every(isGone)).toBe(true);
  });

  test("lets a package manager end what it is at, until the second Ctrl+C", async () => {
    const program = "trap 'sleep 1; echo done; exit 1' INT; echo pid $$; while :; do sleep 0.1; done";
    const patient = await running(program, { patient: true });
    patient.child.kill("SIGHUP");
    expect(await patient.ended).toBe(129);
    expect(patient.output).toContain("stopping it, which first ends what it is at...");
    expect(patient.output).toContain("done");

    const stubborn = "trap '' INT; echo pid $$; while :; do sleep 0.1; done";
    const run = await running(stubborn, { patient: true });
    run.child.kill("SIGINT");
    await expect.poll(() => run.output).toContain("stopping it");
    // What comes at once is the same press of the keys.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(130);
    expect(run.output).toContain(STOPPED);
    await expect.poll(() => pids(run.output).every(isGone)).toBe(true);
    expect(existsSync(join(root, "lock"))).toBe(false);
  });

  test("ends while it waits for another one, whose lock stays", async () => {
    const other = await running("echo pid $$; sleep 10000");
    const folder = join(root, "lock");
    const script = `
      import { interruptible } from ${JSON.stringify(join(local, "setupRun.mjs"))};
      import { withLock } from ${JSON.stringify(join(local, "setupLock.mjs"))};
      await interruptible(() => withLock(${JSON.stringify(folder)}, () => console.log("mine")));`;
    const run = await started(["--input-type=module", "--eval", script], /waiting for another set-up/);
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(130);
    expect(run.output).toContain(STOPPED);
    expect(existsSync(folder)).toBe(true);
    other.child.kill("SIGTERM");
    await other.ended;
  });

  /** A project with this set-up, no compiler, and a package whose installation ends with `step`. */
  function project(step: string): string {
    const folder = join(root, `project-${projects++}`);
    cpSync(local, join(folder, "local"), { recursive: true, filter: (path) => !/\.ts$/.test(path) });
    const put = (name: string, content: string) => {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    };
    const manifest = { name: "p", version: "1.0.0", dependencies: { a: "file:a" } };
    put("package.json", JSON.stringify({ ...manifest, scripts: { postinstall: step } }));
    put("a/package.json", JSON.stringify({ name: "a", version: "1.0.0" }));
    const packages = {
      "": manifest,
      a: { version: "1.0.0" },
      "node_modules/a": { resolved: "a", link: true },
    };
    put("package-lock.json", JSON.stringify({ ...manifest, lockfileVersion: 3, packages }));
    return folder;
  }

  test("in the middle of npm ci leaves nothing running, and the next one does all", async () => {
    const folder = project("echo pid $$; test -e go || sleep 10000");
    const env = { ...process.env, npm_config_foreground_scripts: "true" };
    const build = join(folder, "local/setup.mjs");
    const run = await started([build, "build"], /pid \d+/, { env });
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(130);
    expect(run.output).toContain("stopping npm ci...");
    expect(run.output).toContain(STOPPED);
    await expect.poll(() => pids(run.output).every(isGone)).toBe(true);
    expect(existsSync(join(folder, ".local-setup"))).toBe(false);

    writeFileSync(join(folder, "go"), "");
    const next = await started([build, "build"], /building/, { env });
    expect(await next.ended).toBe(1);
    // There is no compiler in this project.
    expect(next.output).toContain("the build failed (client/tsconfig.build.json)");
  });
});
