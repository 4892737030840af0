import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { ConfigInput } from "./config.js";
import { stderrLog } from "./log.js";
import { type Server, start } from "./server.js";

const USAGE = `Usage: node dist/local/webPubSub/main.js --config FILE [options]
  --config FILE        JSON: {"accessKeys": ["..."], "hubs": {"chat": {"anonymousConnectPolicy": "allow",
                       "eventHandlers": [{"urlTemplate": "http://127.0.0.1:7071/api/{hub}/{event}",
                       "userEventPattern": "*", "systemEvents": ["connect", "connected", "disconnected"]}],
                       "webSocketKeepAliveIntervalInSeconds": 30}}}
                       With "managedIdentity": {"issuer", "audience", "objectId", "identityHeader"?} upstream calls bring
                       a token of that identity; its keys are at /identity/keys, and an application gets
                       tokens for REST calls with IDENTITY_ENDPOINT=http://HOST:PORT/identity/token and
                       IDENTITY_HEADER. "disableLocalAuth": true turns the access keys off
  --port N             default 8080, 0 takes any free port
  --host ADDRESS       default 127.0.0.1
  --exit-with-stdin    exit when stdin ends
  --help
`;

interface Flags {
  readonly config: string;
  readonly port: number;
  readonly host: string;
  readonly exitWithStdin: boolean;
}

async function main(): Promise<void> {
  const flags = readFlags();
  let server: Server;
  try {
    server = await start({
      config: readConfig(flags.config),
      port: flags.port,
      host: flags.host,
      log: stderrLog,
    });
  } catch (error) {
    stderrLog("error", explain(error as NodeJS.ErrnoException, flags));
    process.exit(1);
  }
  exitCleanly(server, flags.exitWithStdin);
  stderrLog("info", `listening on ${flags.host}:${server.port}`);
  process.stdout.write(`${JSON.stringify({ ready: true, port: server.port })}\n`);
}

function readFlags(): Flags {
  try {
    const { values } = parseArgs({
      options: {
        config: { type: "string" },
        port: { type: "string", default: "8080" },
        host: { type: "string", default: "127.0.0.1" },
        "exit-with-stdin": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const port = Number(values.port);
    if (!/^\d+$/.test(values.port) || port > 65_535) throw new Error("--port must be 0 to 65535.");
    if (values.config === undefined) throw new Error("--config FILE is needed.");
    return { config: values.config, port, host: values.host, exitWithStdin: values["exit-with-stdin"] };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

function readConfig(file: string): ConfigInput {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as ConfigInput;
  } catch (error) {
    throw new Error(`${file} can't be read as JSON: ${(error as Error).message}`, { cause: error });
  }
}

function explain(error: NodeJS.ErrnoException, { host, port }: Flags): string {
  if (error.code === "EADDRINUSE") {
    return `port ${port} of ${host} is taken: end the other process or choose another with --port`;
  }
  if (error.code === "EACCES" || error.code === "EADDRNOTAVAIL") {
    return `can't listen on ${host}:${port} (${error.code}): choose another --host or --port`;
  }
  return error.message;
}

function exitCleanly(server: Server, exitWithStdin: boolean): void {
  let ending = false;
  // The parent that read our output may end before us. That must not spoil a clean end.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  const end = async (why: string) => {
    if (ending) return;
    ending = true;
    stderrLog("info", `stopping: ${why}`);
    // The last resort: a close that hangs must not keep the process.
    setTimeout(() => process.exit(0), 4500).unref();
    await server.close();
    process.exit(0);
  };
  process.on("SIGTERM", () => void end("SIGTERM"));
  process.on("SIGINT", () => void end("SIGINT"));
  if (!exitWithStdin) return;
  process.stdin.on("end", () => void end("stdin ended"));
  process.stdin.on("error", () => void end("stdin failed"));
  process.stdin.resume();
}

await main();
