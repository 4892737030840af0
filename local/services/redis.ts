import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort, LOOPBACK } from "../ports.js";
import { findBinaries } from "./binaries.js";
import { type ChildSpec, startChild } from "./child.js";
import type { Service, ServiceOptions } from "./service.js";

/** A private Redis in the folder `data`. Its content does not survive a stop, as none of it is only there. */
export async function redisSpec(data: string, port: number, logFile: string): Promise<ChildSpec> {
  const { findRedis } = await findBinaries();
  const program = findRedis(process.env);
  if (!program)
    throw new Error("redis-server was not found: install Redis, or set REDIS_URL to a running one");
  mkdirSync(data, { recursive: true });
  const settings = {
    port,
    bind: LOOPBACK,
    dir: data,
    save: "",
    appendonly: "no",
    maxmemory: "256mb",
    // A full Redis is an error that shows. An evicted key would be a session that silently vanished.
    "maxmemory-policy": "noeviction",
  };
  return {
    name: "redis",
    program,
    wrapped: true,
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    logFile,
    probe: () => pingRedis(LOOPBACK, port),
    startTimeoutMs: 300_000,
    stopTimeoutMs: 5_000,
  };
}

/** Starts a private Redis and waits until it answers. Port 0 takes a free one. */
export async function startRedis({ data, port = 0 }: ServiceOptions): Promise<Service> {
  const chosen = port || (await freePort());
  const child = await startChild(await redisSpec(data, chosen, join(data, "redis.log")));
  return {
    url: `redis://${LOOPBACK}:${chosen}`,
    port: chosen,
    pid: child.pid,
    close: () => child.stop(),
  };
}

/** Throws unless a server that speaks the Redis protocol answers within 2 s. */
export async function pingRedis(host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host, port, timeout: 2_000 });
    socket.once("connect", () => socket.write("PING\r\n"));
    // Without its password a server answers -NOAUTH, and while it loads its data -LOADING.
    socket.once("data", (bytes) =>
      /^(\+PONG|-NOAUTH)/.test(bytes.toString()) ? resolve() : reject(new Error("no Redis answer")),
    );
    socket.once("timeout", () => reject(new Error("no answer within 2 s")));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("connection closed")));
    const end = () => socket.destroy();
    socket.once("data", end).once("timeout", end).once("error", end);
  });
}
