import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { StackFolder } from "../stackFolder.js";
import { functionsHostSpec } from "../stackServers.js";
import { azuriteSpec } from "./azurite.js";
import { startChild } from "./child.js";
import { leanArgs, leanEnv } from "./nodeArgs.js";

const folder = mkdtempSync(join(tmpdir(), "nonstop-lean-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Makes garbage, as a server under load does, and tells how much room V8 took for young objects. */
const SERVER = `
const { getHeapSpaceStatistics } = require("node:v8");
let kept = [];
for (let made = 0; made < 3_000_000; made += 1) {
  kept.push({ made });
  if (kept.length > 100_000) kept = [];
}
const young = getHeapSpaceStatistics().find((one) => one.space_name === "new_space").space_size;
const { execArgv, env } = process;
console.log(JSON.stringify({ youngMb: young / 1024 / 1024, execArgv, arenas: env.MALLOC_ARENA_MAX }));
setInterval(() => {}, 1_000);
`;

async function reportOf(semiSpaceMb?: number): Promise<Readonly<Record<string, unknown>>> {
  const program = join(folder, "server.cjs");
  writeFileSync(program, SERVER);
  const child = await startChild({
    name: "server",
    program,
    wrapped: false,
    args: [],
    ...(semiSpaceMb !== undefined && { semiSpaceMb }),
    logFile: join(folder, "server.log"),
    startTimeoutMs: 300_000,
    stopTimeoutMs: 5_000,
  });
  await child.stop();
  return child.report;
}

test("a server takes little room for young objects, and no more helpers than other processors", async () => {
  const { youngMb, execArgv, arenas } = await reportOf();
  expect(youngMb).toBeLessThanOrEqual(8);
  const helpers = Math.max(1, Math.min(4, availableParallelism() - 1));
  expect(execArgv).toEqual(["--max-semi-space-size=4", `--v8-pool-size=${helpers}`]);
  expect(arenas).toBe(process.env["MALLOC_ARENA_MAX"] ?? "2");
});

test("what the user says wins", () => {
  const NODE_OPTIONS = "--enable-source-maps --max_semi_space_size=64";
  expect(leanArgs(4, { NODE_OPTIONS })).toEqual([expect.stringMatching(/^--v8-pool-size=\d$/)]);
  expect(leanArgs(4, {}).length).toBe(2);
  expect(leanEnv({ MALLOC_ARENA_MAX: "8" })).toEqual({ MALLOC_ARENA_MAX: "8" });
});

test("the storage and the Functions host are run so, too", () => {
  const storage = azuriteSpec(join(folder, "storage"), 1, join(folder, "storage.log"));
  expect(storage.args).toEqual(expect.arrayContaining([...leanArgs()]));
  expect(storage.env).toEqual(leanEnv());
  const host = functionsHostSpec(new StackFolder(join(folder, "stack")), 1, 2, {});
  expect(host.semiSpaceMb).toBe(8);
});

test("one that answers for the whole system may take more", async () => {
  const { youngMb } = await reportOf(8);
  expect(youngMb).toBeGreaterThan(8);
  expect(youngMb).toBeLessThanOrEqual(16);
});
