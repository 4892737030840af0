import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LOOPBACK } from "../../../local/ports.js";
import { azuriteSpec, storageConnection } from "../../../local/services/azurite.js";
import type { ChildSpec } from "../../../local/services/child.js";
import { kafkaSpec } from "../../../local/services/kafka.js";
import { findKafka } from "../../../local/services/kafkaProgram.js";
import { mySqlSpec, mySqlUrl } from "../../../local/services/mysql.js";
import { findServer } from "../../../local/services/mysqlProgram.js";
import { redisSpec } from "../../../local/services/redis.js";
import { projectRoot, readAuthSettings } from "../../../local/settings.js";
import type { StackFolder } from "../../../local/stackFolder.js";
import { runScript } from "../../../local/stackParts.js";
import {
  eventHubsConnection,
  eventHubsSpec,
  functionsHostSpec,
  PROJECT_APP,
  type StackApp,
  webPubSubConnection,
  webPubSubSpec,
} from "../../../local/stackServers.js";
import type { BusName, HostName, LinkName, PartName } from "./names.js";

/** Where everything listens. */
export interface Ports {
  readonly parts: Readonly<Record<PartName, number>>;
  readonly links: Readonly<Record<LinkName, number>>;
  readonly front: number;
  /** Kafka tells its clients where it is, so each host has a listener of its own, which names its link. */
  readonly kafka: Readonly<Record<HostName | "controller", number>>;
}

/** The application's account: it has no rights of an administrator, so a read-only server is so for it, too. */
export const APP_USER = "chaos";

/** As the machine itself reaches the server, on no link. */
export async function mySqlPart(folder: StackFolder, ports: Ports): Promise<ChildSpec> {
  const [data, log] = [folder.file("mysql"), folder.log("mysql")];
  return mySqlSpec(await findServer(), data, ports.parts.mysql, log);
}

export async function databaseUrl(ports: Ports): Promise<string> {
  return mySqlUrl(await findServer(), ports.parts.mysql);
}

export const redisPart = (folder: StackFolder, ports: Ports): Promise<ChildSpec> =>
  redisSpec(folder.file("redis"), ports.parts.redis, folder.log("redis"));

export const storagePart = (folder: StackFolder, ports: Ports): ChildSpec =>
  azuriteSpec(folder.file("storage"), ports.parts.storage, folder.log("storage"));

export async function busPart(folder: StackFolder, ports: Ports, bus: BusName): Promise<ChildSpec> {
  if (bus === "eventhubs")
    return { ...eventHubsSpec(folder, ports.parts.bus), name: "bus", logFile: folder.log("bus") };
  const program = await findKafka({ say: console.error });
  const say = (): void => {};
  const stopping = new AbortController().signal;
  const [data, log, more] = [folder.file("kafka"), folder.log("bus"), kafkaSettings(ports)];
  const spec = await kafkaSpec(program, data, ports.parts.bus, log, say, stopping, more);
  return { ...spec, name: "bus" };
}

function kafkaSettings({ parts, links, kafka }: Ports): Readonly<Record<string, string>> {
  const at = (name: string, port: number) => `${name}://${LOOPBACK}:${port}`;
  const own = at("PLAINTEXT", parts.bus);
  const listeners = [at("HOST1", kafka.host1), at("HOST2", kafka.host2), at("CONTROLLER", kafka.controller)];
  const advertised = [own, at("HOST1", links["host1-bus"]), at("HOST2", links["host2-bus"])];
  const protocols = ["PLAINTEXT", "CONTROLLER", "HOST1", "HOST2"].map((name) => `${name}:PLAINTEXT`);
  return {
    "controller.quorum.voters": `1@${LOOPBACK}:${kafka.controller}`,
    listeners: [own, ...listeners].join(),
    "advertised.listeners": advertised.join(),
    "listener.security.protocol.map": protocols.join(),
  };
}

/** Its events go to the front, by a link. */
export const socketsPart = (folder: StackFolder, ports: Ports): ChildSpec => ({
  ...webPubSubSpec(folder, ports.parts.sockets, ports.links["sockets-front"]),
  name: "sockets",
  logFile: folder.log("sockets"),
});

/** A Functions host that reaches everything by links of its own. */
export async function hostPart(
  folder: StackFolder,
  ports: Ports,
  bus: BusName,
  host: HostName,
  app: StackApp,
): Promise<ChildSpec> {
  const settings = await hostSettings(ports, bus, host);
  const spec = functionsHostSpec(folder, ports.parts[host], ports.front, settings, app);
  return { ...spec, name: host, logFile: folder.log(host) };
}

async function hostSettings({ links, parts }: Ports, bus: BusName, host: HostName) {
  const url = new URL(mySqlUrl(await findServer(), parts.mysql));
  url.username = url.password = APP_USER;
  url.port = String(links[`${host}-mysql`]);
  return {
    ...readAuthSettings(process.env),
    MYSQL_URL: url.href,
    REDIS_URL: `redis://${LOOPBACK}:${links[`${host}-redis`]}`,
    EVENT_BUS: bus,
    EVENT_TRIGGER: "",
    EVENT_HUBS_CONNECTION: bus === "eventhubs" ? eventHubsConnection(links[`${host}-bus`]) : "",
    KAFKA_BROKERS: bus === "kafka" ? `${LOOPBACK}:${links[`${host}-bus`]}` : "",
    KAFKA_SECURITY_PROTOCOL: "",
    KAFKA_SASL_MECHANISM: "",
    WEB_PUBSUB_CONNECTION: webPubSubConnection(links[`${host}-sockets`]),
    AzureWebJobsStorage: storageConnection(links[`${host}-storage`]),
  };
}

/** Brings the tables up to date. */
export async function migrate(ports: Ports): Promise<void> {
  await script("the migrations", ["dist/shared/store/migrate.js"], { MYSQL_URL: await databaseUrl(ports) });
}

/** Makes Kafka's topics. */
export async function makeTopics(ports: Ports): Promise<void> {
  const settings = {
    EVENT_BUS: "kafka",
    KAFKA_BROKERS: `${LOOPBACK}:${ports.parts.bus}`,
    KAFKA_SECURITY_PROTOCOL: "",
    KAFKA_SASL_MECHANISM: "",
  };
  const table = join(projectRoot, "local/hubs.json");
  await script("the topics", ["dist/shared/bus/makeTopics.js", "--table", table], settings);
}

function script(what: string, file: readonly [string, ...string[]], settings: Record<string, string>) {
  const env = { ...process.env, ...settings };
  return runScript(PROJECT_APP, { what, script: file, env, signal: new AbortController().signal });
}

/** The option that sets the clock of a Node process off, by so many milliseconds. */
export function clockOff(spec: ChildSpec, offMs: number): ChildSpec {
  const preload = new URL("./shiftClock.js", import.meta.url);
  fileURLToPath(preload);
  const env = { ...spec.env, NODE_OPTIONS: `--import=${preload.href}`, CHAOS_CLOCK_MS: String(offMs) };
  return { ...spec, env };
}
