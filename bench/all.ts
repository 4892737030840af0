import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Runs every measurement, one after the other. Each has its own process, so that none warms the next one's
 * code.
 */
for (const name of [
  "codec",
  "pipeline",
  "roomList",
  "historyPage",
  "reads",
  "redisAway",
  "page",
  "calls",
  "telemetry",
  "cost",
  "growth",
  "members",
  "handshakes",
  "killed",
  "quietRoom",
]) {
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(`${name}.js`, import.meta.url))], {
    stdio: "inherit",
  });
  if (status !== 0) {
    process.exitCode = status ?? 1;
    break;
  }
}
