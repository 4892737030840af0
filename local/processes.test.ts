import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { LockedError, lockFolder } from "./eventHubs/lock.js";
import { birth, isRunning } from "./processes.js";
import { StackFolder } from "./stackFolder.js";

const { withLock } = await import(pathToFileURL(join(import.meta.dirname, "setupLock.mjs")).href);

const isLinux = existsSync("/proc/self/stat");

test("a process runs, and one that has ended does not", async () => {
  expect(isRunning(process.pid)).toBe(true);
  expect(isRunning(process.pid, birth(process.pid))).toBe(true);
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  const born = birth(child.pid!);
  await once(child, "exit");
  expect(isRunning(child.pid!)).toBe(false);
  expect(isRunning(child.pid!, born)).toBe(false);
});

test.each([0, -1, Number.NaN, 1.5, 2 ** 53])("no process has the number %d", (pid) => {
  expect(isRunning(pid)).toBe(false);
});

test.runIf(isLinux)(
  "a process tells itself from others with its number, before it and of other boots",
  () => {
    const [ticks, boot] = birth(process.pid).split("-");
    expect(ticks).toMatch(/^[0-9]+$/);
    expect(boot).toMatch(/^[0-9a-f]{8}$/);
    expect(isRunning(process.pid, `${Number(ticks) - 1}-${boot}`)).toBe(false);
    expect(isRunning(process.pid, `${ticks}-00000000`)).toBe(false);
    // Earlier versions did not write down the boot.
    expect(isRunning(process.pid, ticks)).toBe(true);
    expect(isRunning(process.pid, `${Number(ticks) - 1}`)).toBe(false);
  },
);

test.runIf(isLinux)("a program's name hides nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nonstop-name-"));
  const program = join(folder, ") Z 1 (");
  symlinkSync(process.execPath, program);
  const child = spawn(program, ["-e", "console.log(); setInterval(() => {}, 1_000)"], { stdio: "pipe" });
  await once(createInterface(child.stdout), "line");
  expect(readFileSync(`/proc/${child.pid}/comm`, "utf8")).toBe(") Z 1 (\n");
  expect(birth(child.pid!)).toMatch(/^[0-9]{2,}-[0-9a-f]{8}$/);
  expect(isRunning(child.pid!, birth(child.pid!))).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  rmSync(folder, { recursive: true });
});

/**
 * Three locks of the same owner: the data folder of the local Event Hubs, that of a stack, and the set-up's. Taking
 * one resolves to false where the owner counts as running.
 */
const LOCKS = {
  "of the local Event Hubs": async (folder: string, pid: number, born: string) => {
    writeFileSync(join(folder, "lock"), `${pid} ${born}\n`);
    try {
      lockFolder(folder)();
      return true;
    } catch (error) {
      if (error instanceof LockedError) return false;
      throw error;
    }
  },
  "of a stack": async (folder: string, pid: number, born: string) => {
    writeFileSync(join(folder, "lock"), JSON.stringify([{ pid, born }]));
    try {
      new StackFolder(folder).release();
      return true;
    } catch (error) {
      if (/ is running on the data folder /.test(String(error))) return false;
      throw error;
    }
  },
  "of the set-up": async (folder: string, pid: number, born: string) => {
    const lock = join(folder, "setup");
    mkdirSync(lock);
    writeFileSync(join(lock, "pid"), `${pid} ${born}`);
    return withLock(lock, () => true, 300).catch((error: Error) => {
      if (error.message.includes(`process ${pid} holds`)) return false;
      throw error;
    });
  },
};

describe.runIf(isLinux).each(Object.entries(LOCKS))("the lock %s", (_, take) => {
  let parent: ChildProcess;
  let zombie: { readonly pid: number; readonly born: string };
  const folders: string[] = [];
  const folder = (): string => {
    folders.push(mkdtempSync(join(tmpdir(), "nonstop-lock-")));
    return folders.at(-1)!;
  };

  beforeAll(async () => {
    // The second sleep stands in for a parent that never asks. The first ends when its birth is written down.
    parent = spawn("sh", ["-c", "sleep 300 & echo $!; exec sleep 300"]);
    const [line] = await once(createInterface(parent.stdout!), "line");
    const pid = Number(line);
    zombie = { pid, born: birth(pid) };
    // Until then the parent is a shell, which asks.
    const comm = (): string => readFileSync(`/proc/${parent.pid}/comm`, "utf8").trim();
    await vi.waitFor(() => expect(comm()).toBe("sleep"), { timeout: 30_000 });
    process.kill(pid, "SIGKILL");
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), { timeout: 30_000 });
  });
  afterAll(() => {
    parent.kill("SIGKILL");
    for (const one of folders) rmSync(one, { recursive: true, force: true });
  });

  test("is taken over from a zombie", async () => {
    // It can still be signalled, and says when it began.
    expect(() => process.kill(zombie.pid, 0)).not.toThrow();
    expect(birth(zombie.pid)).toBe(zombie.born);
    expect(await take(folder(), zombie.pid, zombie.born)).toBe(true);
    expect(await take(folder(), zombie.pid, "")).toBe(true);
  });

  test("is taken over from a process whose number another one has by now", async () => {
    expect(await take(folder(), process.pid, "1-0123abcd")).toBe(true);
    expect(await take(folder(), process.pid, "1")).toBe(true);
  });

  test("is left to one that runs", async () => {
    expect(await take(folder(), process.pid, birth(process.pid))).toBe(false);
    expect(await take(folder(), parent.pid!, birth(parent.pid!))).toBe(false);
    expect(await take(folder(), process.pid, "")).toBe(false);
  });
});
