import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { ConfigError, type HubsConfig, parseHubs } from "./hubs.js";
import { type Server, start } from "./server.js";

const USAGE = `usage: node dist/local/eventHubs/main.js --data DIR [options]
  --data DIR          the folder for the events; made when missing, one process at a time
  --config FILE       the hubs, as JSON (default: local/hubs.json)
  --port N            the AMQP port, 0 for any free one (default 5672)
  --host ADDRESS      the address to listen on (default 127.0.0.1)
  --exit-with-stdin   stop when stdin ends
  --help              print this`;

/** How long a stop may take before the process goes anyway. */
const STOP_MS = 4000;

function log(level: string, text: string): void {
  process.stderr.write(`${level} eventHubs: ${text}\n`);
}

function usageError(text: string): never {
  process.stderr.write(`${text}\n${USAGE}\n`);
  process.exit(2);
}

function readFlags() {
  try {
    return parseArgs({
      options: {
        data: { type: "string" },
        config: { type: "string", default: "local/hubs.json" },
        port: { type: "string", default: "5672" },
        host: { type: "string", default: "127.0.0.1" },
        "exit-with-stdin": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return usageError((error as Error).message);
  }
}

function readConfig(path: string): HubsConfig {
  try {
    return parseHubs(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new ConfigError(`${path}: ${(error as Error).message}`);
  }
}

function explain(error: unknown, port: number): string {
  if ((error as NodeJS.ErrnoException).code === "EADDRINUSE")
    return `port ${port} is taken: stop what uses it, or choose another with --port`;
  return (error as Error).message;
}

function stopOnSignals(server: Server, withStdin: boolean): void {
  let stopping = false;
  const stop = (why: string) => {
    if (stopping) return;
    stopping = true;
    log("info", `stopping (${why})`);
    setTimeout(() => process.exit(0), STOP_MS).unref();
    server.close().then(
      () => process.exit(0),
      (error) => {
        log("error", `could not stop cleanly: ${(error as Error).message}`);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  if (withStdin)
    process.stdin
      .on("end", () => stop("stdin ended"))
      .on("error", () => stop("stdin ended"))
      .resume();
}

async function main(): Promise<void> {
  const flags = readFlags();
  if (flags.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const port = Number(flags.port);
  if (!/^\d+$/.test(flags.port) || port > 65_535) usageError("--port must be 0 to 65535");
  if (!flags.data) usageError("--data is missing");
  try {
    const hubs = readConfig(flags.config);
    const server = await start({ port, host: flags.host, data: flags.data, hubs, log });
    stopOnSignals(server, flags["exit-with-stdin"]);
    log("info", `listening on ${flags.host}:${server.port}, data in ${flags.data}`);
    const ready = { ready: true, port: server.port, connectionString: server.connectionString };
    process.stdout.write(`${JSON.stringify(ready)}\n`);
  } catch (error) {
    log("error", explain(error, port));
    process.exit(1);
  }
}

await main();
