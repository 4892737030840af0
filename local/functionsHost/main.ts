import { Console } from "node:console";
import nodeModule from "node:module";
import { parseArgs } from "node:util";
import { type EventsProcess, onCallTimer, startEventsProcess } from "./eventsProcess.js";
import { createLog, describe } from "./log.js";
import { CLOSE_MS, start, type TriggerKind } from "./server.js";

const usage = `Runs an Azure Functions app (Node, programming model v4): its HTTP, Event Hub, Kafka and timer
triggers.

  --port N             HTTP port, 0 for any free one (default 7071)
  --host ADDRESS       address to listen on (default 127.0.0.1)
  --app DIR            folder with package.json and host.json (default: the current one)
  --settings FILE      app settings (default: local.settings.json, or local.settings.example.json)
  --cors ORIGINS       pages that may call, separated by commas, or * (default: Host.CORS of the settings)
  --key KEY            admin calls, and functions whose authLevel is not anonymous, need it (default: none asked for)
  --triggers KIND      only http, or only events: Event Hubs, Kafka and timers (default: both)
  --split              both, those of events in a process of their own
  --exit-with-stdin    end when stdin ends
  --help               this text
`;

const log = createLog("information");

function readArguments() {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "7071" },
      host: { type: "string", default: "127.0.0.1" },
      app: { type: "string", default: "." },
      settings: { type: "string" },
      cors: { type: "string" },
      key: { type: "string" },
      triggers: { type: "string" },
      split: { type: "boolean", default: false },
      "exit-with-stdin": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65_535)
    throw new Error(`--port ${values.port}: not a port number`);
  if (values.triggers !== undefined && values.triggers !== "http" && values.triggers !== "events")
    throw new Error(`--triggers ${values.triggers}: must be http or events`);
  if (values.key === "") throw new Error("--key must not be empty");
  if (values.triggers !== undefined && values.split) throw new Error("--split goes without --triggers");
  return { ...values, port, triggers: values.triggers as TriggerKind | undefined };
}

/** The other process of `--split`. When it ends, this one ends too, and the parent starts both again. */
async function startOther({ app, settings }: ReturnType<typeof readArguments>): Promise<EventsProcess> {
  const args = ["--app", app, ...(settings === undefined ? [] : ["--settings", settings])];
  return startEventsProcess(process.argv[1] as string, args, (code) =>
    fail(new Error(`the process of the Event Hub, Kafka and timer triggers has ended with ${code}`)),
  );
}

function crash(what: string, error: unknown): never {
  log.write("critical", `${what}, the process ends: ${describe(error, true)}`);
  process.exit(1);
}

function fail(error: unknown): never {
  log.write("error", error instanceof Error ? error.message : describe(error));
  process.exit(1);
}

async function main(): Promise<void> {
  let values: ReturnType<typeof readArguments>;
  try {
    values = readArguments();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  // Where Node can, from version 22.8 on, it keeps the app's compiled code for the next start.
  (nodeModule as { enableCompileCache?: () => void }).enableCompileCache?.();
  // Standard output is for the ready line alone, whatever the app prints.
  globalThis.console = new Console(process.stderr, process.stderr);
  // Either of them ends the real host's worker, with all its calls.
  process.on("unhandledRejection", (error) => crash("a promise was rejected and nobody handles it", error));
  process.on("uncaughtException", (error) => crash("an error was thrown and nobody catches it", error));
  const kinds: TriggerKind[] | undefined = values.split ? ["http"] : values.triggers && [values.triggers];
  let ending = false;
  let isListening = (): void => {};
  const listening = new Promise<void>((resolve) => {
    isListening = resolve;
  });
  const starting = start({
    port: values.port,
    host: values.host,
    app: values.app,
    ...(values.settings !== undefined && { settings: values.settings }),
    ...(values.cors !== undefined && { cors: values.cors }),
    ...(values.key !== undefined && { key: values.key }),
    ...(kinds !== undefined && { triggers: kinds }),
    // The real host restarts a worker whose function timed out. Here the parent of this process does.
    onTimeout: () => process.exit(1),
    onListening: () => isListening(),
    ...(values.split && { callTimer: (name) => void other?.then((one) => one?.callTimer(name)) }),
  });
  // Loading an app keeps more than one processor busy: first calls must find the port open.
  const other = values.split ? listening.then(() => (ending ? undefined : startOther(values))) : undefined;
  onCallTimer((name) => void starting.then((server) => server.callTimer(name)));
  const end = () => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(0), CLOSE_MS + 2_000);
    Promise.all([starting.then((server) => server.close()), other?.then((one) => one?.close())])
      .then(() => log.write("information", "stopped"))
      .catch((error) => log.write("error", describe(error, true)))
      .finally(() => process.exit(0));
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  if (values["exit-with-stdin"]) process.stdin.on("end", end).on("close", end).on("error", end).resume();
  const [server] = await Promise.all([starting, other]).catch(fail);
  process.stdout.write(
    `${JSON.stringify({ ready: true, port: server.port, functions: server.functions })}\n`,
  );
  const where = server.port === 0 ? "" : ` on http://${values.host}:${server.port}`;
  log.write("information", `${server.functions.length} function(s)${where}`);
}

void main();
