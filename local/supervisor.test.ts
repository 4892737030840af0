import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Supervised } from "./supervisor.js";

let folder: string;
let supervised: Supervised;
/** The pids of all runs so far. */
const runs = (): readonly string[] => readFileSync(join(folder, "runs"), "utf8").trim().split("\n");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "supervised-"));
  const program = join(folder, "program.mjs");
  // Its second run answers only once it is told to end, and takes some time for its end.
  writeFileSync(
    program,
    `import { appendFileSync, readFileSync } from "node:fs";
     const file = ${JSON.stringify(join(folder, "runs"))};
     process.on("SIGTERM", () => {
       console.log("{}");
       setTimeout(() => process.exit(0), 300);
     });
     process.stdin.on("end", () => process.exit(0)).resume();
     appendFileSync(file, process.pid + "\\n");
     if (readFileSync(file, "utf8").trim().split("\\n").length !== 2) console.log("{}");`,
  );
  const log = { name: "program", logFile: join(folder, "log") };
  const spec = { ...log, program, wrapped: false, args: [], startTimeoutMs: 20_000, stopTimeoutMs: 5_000 };
  supervised = new Supervised(spec, { say: () => {}, onRunning: () => {}, onGivenUp: () => {} });
});
afterEach(async () => {
  await supervised.stop();
  rmSync(folder, { recursive: true });
});

test("a restart that is asked for while another one is under way ends with a run that goes on", async () => {
  await supervised.start();
  const first = supervised.restart();
  await vi.waitFor(() => expect(runs()).toHaveLength(2), 10_000);
  await Promise.all([first, supervised.restart()]);
  expect(runs()).toHaveLength(3);
  expect(String(supervised.pid)).toBe(runs()[2]);
  expect(process.kill(supervised.pid, 0)).toBe(true);
});
