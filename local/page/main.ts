import { parseArgs } from "node:util";
import { readAuthSettings } from "../settings.js";
import { start } from "./server.js";

const USAGE = `Serves the chat page on this machine, and tokens for its demo users.

  --folder DIR         the built page
  --api URL            where the page finds the API
  --port N             0 takes any free one (default 7070)
  --host ADDRESS       127.0.0.1, nothing else
  --exit-with-stdin    end when stdin ends
  --help               this text
`;

function readArguments() {
  const { values } = parseArgs({
    options: {
      folder: { type: "string" },
      api: { type: "string", default: "http://127.0.0.1:7071" },
      port: { type: "string", default: "7070" },
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
  if (!/^\d+$/.test(values.port) || port > 65_535)
    throw new Error(`--port ${values.port}: not a port number`);
  if (values.host !== "127.0.0.1") throw new Error("--host: the page is for this machine only, 127.0.0.1");
  if (values.folder === undefined) throw new Error("--folder DIR is needed");
  return { ...values, folder: values.folder, port };
}

async function main(): Promise<void> {
  let values: ReturnType<typeof readArguments>;
  try {
    values = readArguments();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
  const { folder, api, port } = values;
  try {
    const server = await start({ folder, api, port, auth: readAuthSettings(process.env) });
    const end = () => {
      setTimeout(() => process.exit(0), 4_500).unref();
      void server.close().then(() => process.exit(0));
    };
    process.on("SIGTERM", end);
    process.on("SIGINT", end);
    if (values["exit-with-stdin"]) process.stdin.on("end", end).on("error", end).resume();
    process.stdout.write(`${JSON.stringify({ ready: true, port: server.port })}\n`);
  } catch (error) {
    process.stderr.write(`cannot serve the page: ${(error as Error).message}\n`);
    process.exit(1);
  }
}

await main();
