import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { findSettingsFile, readCors } from "./functionsHost/settings.js";
import { LOOPBACK, type PortWish } from "./ports.js";
import type { ChildSpec } from "./services/child.js";
import { projectRoot } from "./settings.js";
import type { StackFolder } from "./stackFolder.js";

/** Signs upstream calls and tokens between processes on the loopback interface. It is no secret. */
const ACCESS_KEY = "bm9uc3RvcC1jaGF0LWxvY2FsLWFjY2Vzcy1rZXktMDAwMQ==";
const EVENT_HUBS_KEY = "SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE";
/** At a thousand messages a second half of it costs the process that answers a twelfth more of its CPU. */
const HOST_SEMI_SPACE_MB = 8;

/** Every server of the stack, with its port when the user chooses none. */
export const DEFAULT_PORTS = {
  page: { service: "the chat page (page)", variable: "PAGE_PORT", port: 7070 },
  functionsHost: { service: "the API (functionsHost)", variable: "API_PORT", port: 7071 },
  webPubSub: { service: "the socket service (webPubSub)", variable: "WEB_PUBSUB_PORT", port: 8080 },
  eventHubs: { service: "eventHubs", variable: "EVENT_HUBS_PORT", port: 5672 },
  kafka: { service: "kafka", variable: "KAFKA_PORT", port: 9092 },
  mysql: { service: "mysql", variable: "MYSQL_PORT", port: 3307 },
  redis: { service: "redis", variable: "REDIS_PORT", port: 6380 },
  storage: { service: "storage", variable: "STORAGE_PORT", port: 10000 },
} as const satisfies Record<string, PortWish>;

export type ServerName = keyof typeof DEFAULT_PORTS;
export type Ports = Readonly<Record<ServerName, number>>;

/** The connection string for the Event Hubs server on `port`. */
export function eventHubsConnection(port: number): string {
  return `Endpoint=sb://${LOOPBACK}:${port};${EVENT_HUBS_KEY};UseDevelopmentEmulator=true;`;
}

/** The connection string for the socket service on `port`. */
export function webPubSubConnection(port: number): string {
  return `Endpoint=http://${LOOPBACK}:${port};AccessKey=${ACCESS_KEY};Version=1.0;`;
}

export function eventHubsSpec(folder: StackFolder, port: number): ChildSpec {
  const config = join(projectRoot, "local/hubs.json");
  return server("eventHubs", port, folder, ["--config", config, "--data", folder.file("eventHubs")]);
}

/** Writes the service's settings into the data folder. The service calls the API at `apiPort`. */
export function webPubSubSpec(folder: StackFolder, port: number, apiPort: number): ChildSpec {
  const handler = {
    urlTemplate: `http://${LOOPBACK}:${apiPort}/api/v1/chat/upstream/{event}`,
    userEventPattern: "*",
    systemEvents: ["connect", "connected", "disconnected"],
  };
  const chat = { anonymousConnectPolicy: "allow", eventHandlers: [handler] };
  folder.write("webPubSub.json", { accessKeys: [ACCESS_KEY], hubs: { chat } });
  return server("webPubSub", port, folder, ["--config", folder.file("webPubSub.json")]);
}

/** The app that the Functions host runs. */
export interface StackApp {
  /** The folder of its `package.json` and `host.json`. */
  readonly folder: string;
  /** The program of the Node that runs it. */
  readonly node?: string;
  /** Settings that win over those of the stack. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The app of this project, as it was built. */
export const PROJECT_APP: StackApp = { folder: projectRoot };

/**
 * `env` holds the app's settings; `local.settings.json` in the app's folder counts where `env` has no value.
 * The page at `pagePort` may always call, whatever `Host.CORS` says.
 */
export function functionsHostSpec(
  folder: StackFolder,
  port: number,
  pagePort: number,
  env: Readonly<Record<string, string>>,
  app = PROJECT_APP,
): ChildSpec {
  const cors = corsWithPage(readCors(findSettingsFile(projectRoot))?.origins, pagePort);
  const args = ["--app", app.folder, "--split", "--cors", cors];
  const host = server("functionsHost", port, folder, args);
  return {
    ...host,
    node: app.node,
    semiSpaceMb: HOST_SEMI_SPACE_MB,
    env: { ...env, ...app.env },
    // The host gives running calls 10 s, and then the app's hooks 5 s.
    stopTimeoutMs: 20_000,
  };
}

/** The origins that may call, with those of the page at `port`, in the form that `--cors` takes. */
export function corsWithPage(origins: readonly string[] = [], port: number): string {
  if (origins.includes("*")) return "*";
  return [...new Set([...origins, `http://${LOOPBACK}:${port}`, `http://localhost:${port}`])].join(",");
}

/**
 * `env` holds the settings for demo users' tokens, and `PAGE_IMAGE_HOSTS`. Throws when the page was not
 * built.
 */
export function pageSpec(
  folder: StackFolder,
  port: number,
  { api, webPubSub }: { readonly api: string; readonly webPubSub: string },
  env: Readonly<Record<string, string>>,
): ChildSpec {
  const page = dirname(built("web/index.html"));
  const args = ["--folder", page, "--api", api, "--sockets", webPubSub];
  return { ...server("page", port, folder, args), env };
}

/** The full path of a file that the build makes. Throws when it was not built. */
export function built(path: string): string {
  const file = join(projectRoot, "dist", path);
  if (existsSync(file)) return file;
  throw new Error(`${file} is missing: build the project, which npm start and npm test do first`);
}

function server(name: ServerName, port: number, folder: StackFolder, args: readonly string[]): ChildSpec {
  return {
    name,
    program: built(`local/${name}/main.js`),
    wrapped: false,
    args: ["--port", String(port), "--host", LOOPBACK, ...args, "--exit-with-stdin"],
    logFile: folder.log(name),
    startTimeoutMs: 300_000,
    stopTimeoutMs: 5_000,
  };
}
