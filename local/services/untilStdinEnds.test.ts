import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { projectRoot } from "../settings.js";

const WRAPPER = join(projectRoot, "local/services/untilStdinEnds.sh");

interface Running {
  readonly wrapper: ChildProcess;
  /** Of the program. */
  readonly pid: number;
  readonly ended: Promise<readonly [code: number | null, signal: NodeJS.Signals | null]>;
}

async function start(...program: readonly string[]): Promise<Running> {
  const wrapper = spawn("sh", [WRAPPER, ...program], { stdio: ["pipe", "pipe", "ignore"], detached: true });
  const ended = new Promise<readonly [number | null, NodeJS.Signals | null]>((resolve) =>
    wrapper.once("exit", (code, signal) => resolve([code, signal])),
  );
  const line = await new Promise<string>((resolve) =>
    wrapper.stdout.once("data", (data) => resolve(`${data}`)),
  );
  return { wrapper, pid: (JSON.parse(line) as { pid: number }).pid, ended };
}

/** One that has ended, and that nobody has taken note of yet, is not there. */
const isThere = (pid: number): boolean =>
  /^[^Z]/.test(
    spawnSync("ps", ["-o", "stat=", "-p", String(pid)])
      .stdout.toString()
      .trim(),
  );

test.each([
  ["its stdin ends", ({ wrapper }: Running) => wrapper.stdin!.end()],
  ["it is asked to end", ({ wrapper }: Running) => wrapper.kill("SIGTERM")],
  ["the program is killed", ({ pid }: Running) => process.kill(pid, "SIGKILL")],
])("nothing of the program is left when %s", async (_when, act) => {
  const running = await start("sleep", "100");
  expect(isThere(running.pid)).toBe(true);
  act(running);
  const [code] = await running.ended;
  expect(code).toBeGreaterThan(128);
  await vi.waitFor(() => expect(isThere(running.pid)).toBe(false));
});

test("the program ends with the parent's pipe though the wrapper itself was killed", async () => {
  const { wrapper, pid, ended } = await start("sleep", "100");
  wrapper.kill("SIGKILL");
  // Then Node closes the pipe.
  await ended;
  await vi.waitFor(() => expect(isThere(pid)).toBe(false));
});

test.each([
  [["sh", "-c", "exit 7"], 7],
  [["/there/is/no/such/program"], 127],
] as const)("the exit code of %j is its own", async (program, code) => {
  expect(await (await start(...program)).ended).toEqual([code, null]);
});

test("a program that takes its time to end is waited for", async () => {
  const running = await start("sh", "-c", "trap 'sleep 0.5; exit 3' TERM; while :; do sleep 0.1; done");
  // Its shell needs a moment until it heeds the signal.
  await new Promise((resolve) => setTimeout(resolve, 300));
  running.wrapper.kill("SIGTERM");
  expect(await running.ended).toEqual([3, null]);
});
