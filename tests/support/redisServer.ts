import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, LOOPBACK } from "../../local/ports.js";
import { startChild } from "../../local/services/child.js";
import { redisSpec } from "../../local/services/redis.js";

/** A Redis process of a test's own. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Of its present process. */
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Starts another process, empty, on the same port. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Starts one on a free port, with settings beside the usual ones. */
export async function startRedisServer(
  settings: Readonly<Record<string, string>> = {},
): Promise<RedisServer> {
  const data = mkdtempSync(join(tmpdir(), "nonstop-redis-"));
  const port = await freePort();
  const usual = await redisSpec(data, port, join(data, "redis.log"));
  const more = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const start = () => startChild({ ...usual, args: [...usual.args, ...more] });
  let child = await start();
  return {
    url: `redis://${LOOPBACK}:${port}`,
    port,
    get pid() {
      return child.pid;
    },
    kill: (signal) => process.kill(child.pid, signal),
    async restart() {
      await child.stop();
      child = await start();
    },
    async close() {
      // One that was stopped does not hear that it should end.
      try {
        process.kill(child.pid, "SIGCONT");
      } catch {
        // It was killed before.
      }
      await child.stop();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
