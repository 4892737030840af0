import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { expect, test, vi } from "vitest";
import { isGone, machine, ownerName } from "./owners.js";

const owner = (process: number | string, where = machine) => `functionsHost-${where}-${process}-0123abcd`;

test("knows whether an owner of this machine still runs", async () => {
  expect(isGone(ownerName())).toBe(false);
  expect(isGone(owner(process.pid))).toBe(false);
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "exit");
  expect(isGone(owner(child.pid!))).toBe(true);
  expect(isGone(owner(child.pid!, "elsewhere"))).toBe(false);
  expect(isGone("")).toBe(false);
});

test.runIf(existsSync("/proc/self/stat"))(
  "takes one for gone whose number another process has by now",
  () => {
    expect(isGone(owner(`${process.pid}-1-0123abcd`))).toBe(true);
  },
);

test.runIf(existsSync("/proc/self/stat"))("takes one for gone that nobody asked how it ended", async () => {
  // The second sleep stands in for a parent that never asks. The first one ends behind the shell, which would ask.
  const parent = spawn("sh", ["-c", "sleep 1 & echo $!; exec sleep 60"]);
  const [pid] = await once(createInterface(parent.stdout), "line");
  await vi.waitFor(() => expect(isGone(owner(pid))).toBe(true), { timeout: 300_000 });
  expect(() => process.kill(Number(pid), 0)).not.toThrow();
  parent.kill("SIGKILL");
});
