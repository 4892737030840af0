import { relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { makeDemo } from "./demo.js";
import { type DevLoop, startDev } from "./dev.js";
import { type Stack, startStack } from "./stack.js";
import { BUSES, type BusName } from "./stackBuses.js";
import { startTraceScreen } from "./traceScreen.js";

const USAGE = `Starts the whole chat system on this machine.

  --data DIR      where its data and logs are kept (default .local)
  --ports auto    takes free ports instead of the usual ones
  --bus kafka     sends the messages through an Apache Kafka instead of the Event Hubs server
  --watch         builds what changes in the sources, and restarts what it concerns (npm run dev)
  --trace         shows each message's way through the functions, as a tree of spans
  --help          shows this

Ports: PAGE_PORT 7070, API_PORT 7071, WEB_PUBSUB_PORT 8080, EVENT_HUBS_PORT 5672, KAFKA_PORT 9092, MYSQL_PORT 3307, REDIS_PORT 6380, STORAGE_PORT 10000.
MYSQL_URL, REDIS_URL and KAFKA_BROKERS (HOST:PORT) name servers to use instead of starting private ones.
Kafka needs Java 17; it is the one in the folder KAFKA_HOME, one of this machine, or fetched once by Maven.`;

/**
 * One Ctrl+C reaches this process more than once: from the terminal and from the programs that started it.
 */
const SAME_KEYPRESS_MS = 700;

interface Options {
  readonly data: string;
  readonly ports: "auto" | "fixed";
  readonly bus: BusName | undefined;
  readonly watch: boolean;
  readonly trace: boolean;
  readonly exitWithStdin: boolean;
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: "string", default: ".local" },
      ports: { type: "string", default: "fixed" },
      bus: { type: "string" },
      watch: { type: "boolean", default: false },
      trace: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      "exit-with-stdin": { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  if (values.ports !== "auto" && values.ports !== "fixed")
    throw new Error(`--ports is "${values.ports}" but must be auto or fixed`);
  const bus = BUSES.find((name) => name === values.bus);
  if (values.bus !== undefined && bus === undefined)
    throw new Error(`--bus is "${values.bus}" but must be ${BUSES.join(" or ")}`);
  if (values.data === "") throw new Error("--data needs a folder");
  const { data, ports, watch, trace } = values;
  return { data, ports, bus, watch, trace, exitWithStdin: values["exit-with-stdin"] };
}

async function main(): Promise<void> {
  const { exitWithStdin, watch, trace, ...options } = parseOrExit();
  let stack: Stack | undefined;
  let dev: DevLoop | undefined;
  let askedAt: number | undefined;
  const stop = () => {
    if (askedAt !== undefined && performance.now() - askedAt < SAME_KEYPRESS_MS) return;
    if (askedAt !== undefined) {
      stack?.killAll();
      dev?.close();
      process.exit(130);
    }
    askedAt = performance.now();
    console.error("\nstopping... (Ctrl+C again kills at once)");
    dev?.close();
    stack?.close().then(() => process.exit(0), fail);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  process.on("SIGHUP", stop);
  if (exitWithStdin) process.stdin.once("end", stop).once("error", stop).resume();
  try {
    const onStarting = (made: Stack) => {
      stack = made;
    };
    const onGivenUp = () => process.exit(1);
    const env = trace ? (await startTraceScreen((line) => console.error(line))).env : {};
    stack = await startStack({ ...options, env, keepsTrying: watch, onStarting, onGivenUp });
  } catch (error) {
    if (askedAt !== undefined) process.exit(0);
    fail(error);
  }
  if (askedAt !== undefined) return;
  const demo = await makeDemo(options.data, stack.addresses).catch((error: Error) => error);
  if (askedAt !== undefined) return;
  if (demo) console.error(`the demo rooms could not be made, the next start tries again: ${demo.message}`);
  console.log(screen(stack, options.data));
  if (watch) dev = await startDev({ stack, say: (line) => console.error(line) });
  // Ctrl+C may have come while the loop was being made.
  if (askedAt !== undefined) dev?.close();
}

function parseOrExit(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function fail(error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException;
  const isFull = code === "ENOSPC" || /ENOSPC|No space left on device/.test(message);
  console.error(`cannot start: ${message}${isFull ? "\nThe disk is full: make some room." : ""}`);
  process.exit(1);
}

function screen(stack: Stack, data: string): string {
  const { page, api, webPubSub, mysql, redis, bus, kafka } = stack.addresses;
  const folder = relative(process.cwd(), resolve(data)) || ".";
  const ofFolder = folder === ".local" ? "" : ` --data "${folder}"`;
  return `
The chat system is running.

  Open       ${page}

  API        ${api}
  sockets    ${webPubSub}
  MySQL      ${mysql}
  Redis      ${redis}${bus === "kafka" ? `\n  Kafka      ${kafka}` : ""}
  all of it  ${folder}/stack.json   logs in ${folder}/logs

  Try        npm run --silent token -- 1 Ann${ofFolder}
  Stop       Ctrl+C
`;
}

await main();
