import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inject, test } from "vitest";
import { loseNothing } from "../support/outage.js";

// A taste of `tests/long/outages.test.ts`, on the shared stack: nothing else may use it meanwhile
// (vitest.config.ts).

/**
 * The process of the functions' host, by `stack.json`, which is written anew when a server is started again.
 */
function hostPid(): number {
  const { pids } = JSON.parse(readFileSync(join(inject("stackFolder"), "stack.json"), "utf8"));
  return pids.functionsHost;
}

test("the functions' host killed under load, twice: what had its RECEIPT is stored once, in order, without a gap", async () => {
  const kill = (): void => void process.kill(hostPid(), "SIGKILL");
  await loseNothing({ addresses: inject("stack"), kill, pid: hostPid });
});
