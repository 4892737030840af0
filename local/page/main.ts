import { parseArgs } from "node:util";
import { readAuthSettings } from "../settings.js";
import { readHosts } from "./security.js";
import { start } from "./server.js";

const USAGE = `Serves the chat page on this machine, and tokens for its demo users.

  --folder DIR         the built page
  --api URL            where the page finds the API
  --sockets URL        where the socket service is, which it may connect to (default ws://127.0.0.1:8080)
  --image-hosts HOSTS  whose pictures are shown unasked, pictures.example.com,*.example.net;
                       else those of PAGE_IMAGE_HOSTS, else none
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
      sockets: { type: "string", default: "ws://127.0.0.1:8080" },
      "image-hosts": { type: "string", default: process.env["PAGE_IMAGE_HOSTS"] ?? "" },
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
  return { ...values, folder: values.folder, port, imageHosts: readHosts(values["image-hosts"]) };
}

async function main(): Promise<void> {
  let values: ReturnType<typeof readArguments>;
  try {
    values = readArguments();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
  const { folder, api, sockets, imageHosts, port } = values;
  try {
    const auth = readAuthSettings(process.env);
    const server = await start({ folder, api, sockets, imageHosts, port, auth });
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
