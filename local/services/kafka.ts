import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { freePort, LOOPBACK } from "../ports.js";
import { Child, type ChildSpec, startChild } from "./child.js";
import { findKafka, type KafkaProgram } from "./kafkaProgram.js";
import type { Service, ServiceOptions } from "./service.js";

const FORMAT_TIMEOUT_MS = 120_000;
const PING_TIMEOUT_MS = 2_000;
/** The key of the request that asks which requests a broker knows. Source: kafka.apache.org/protocol. */
const API_VERSIONS = 18;

/**
 * Measured: with the quick compiler alone and the simple garbage collector a broker answers after 1.7 s
 * instead of 2.2, takes 160 MB, and less CPU than with the others in its first minutes.
 */
const JVM = ["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/**
 * A private Kafka of one node, its data in the folder `data`, which is prepared on its first start; `say`
 * gets a line when that happens. Throws when the folder cannot be used.
 */
export async function kafkaSpec(
  program: KafkaProgram,
  data: string,
  port: number,
  logFile: string,
  say: (line: string) => void = () => {},
  stopping: AbortSignal = new AbortController().signal,
  more: Settings = {},
): Promise<ChildSpec> {
  const folder = resolve(data);
  // Kafka takes a list of folders.
  if (folder.includes(","))
    throw new Error(`Kafka takes no folder with a comma in its path: choose another than ${folder}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "log4j2.properties"), LOGGING);
  const controller = await freePort();
  const settings = (files: string) =>
    properties({ ...serverSettings(join(folder, files), port, controller), ...more });
  if (!existsSync(join(folder, "files"))) {
    say("kafka: first start, preparing its data folder...");
    writeFileSync(join(folder, "format.properties"), settings("files.unfinished"));
    await format(program, folder, logFile, stopping);
  }
  writeFileSync(join(folder, "server.properties"), settings("files"));
  return {
    ...java(program, folder, ["kafka.Kafka", join(folder, "server.properties")]),
    name: "kafka",
    logFile,
    probe: () => pingKafka(LOOPBACK, port),
    startTimeoutMs: 300_000,
    stopTimeoutMs: 10_000,
  };
}

/**
 * Starts a private Kafka and waits until it answers. Its `url` is `HOST:PORT`. Port 0 takes a free one.
 * `settings` win over ours.
 */
export async function startKafka({
  data,
  port = 0,
  settings,
}: ServiceOptions & { readonly settings?: Settings }): Promise<Service> {
  const program = await findKafka({ say: console.error });
  const chosen = port || (await freePort());
  const log = join(data, "kafka.log");
  const spec = await kafkaSpec(program, data, chosen, log, undefined, undefined, settings);
  const child = await startChild(spec);
  return { url: `${LOOPBACK}:${chosen}`, port: chosen, pid: child.pid, close: () => child.stop() };
}

/** Throws unless a Kafka broker answers within 2 s which requests it knows. */
export async function pingKafka(host: string, port: number): Promise<void> {
  const correlation = randomBytes(4);
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host, port, timeout: PING_TIMEOUT_MS });
    let answer = Buffer.alloc(0);
    socket.once("connect", () => socket.write(apiVersionsRequest(correlation)));
    socket.on("data", (bytes) => {
      answer = Buffer.concat([answer, bytes]);
      // Behind its size: the number of the request, and the error code 0.
      if (answer.length < 10) return;
      if (answer.subarray(4, 10).equals(Buffer.concat([correlation, Buffer.alloc(2)]))) resolve();
      else reject(new Error("this is no Kafka broker's answer"));
      socket.destroy();
    });
    socket.once("timeout", () => socket.destroy(new Error("no answer within 2 s")));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("connection closed")));
  });
}

/** Version 0, with no name of the client. */
function apiVersionsRequest(correlation: Buffer): Buffer {
  const request = Buffer.alloc(14);
  request.writeInt32BE(10, 0);
  request.writeInt16BE(API_VERSIONS, 4);
  correlation.copy(request, 8);
  request.writeInt16BE(-1, 12);
  return request;
}

/** Gives the folder its cluster id. It gets its name last, so a preparation that was cut is made again. */
async function format(
  program: KafkaProgram,
  folder: string,
  logFile: string,
  stopping: AbortSignal,
): Promise<void> {
  const unfinished = join(folder, "files.unfinished");
  rmSync(unfinished, { recursive: true, force: true });
  const options = ["--cluster-id", newClusterId(), "--config", join(folder, "format.properties")];
  const run = new Child({
    ...java(program, folder, ["kafka.tools.StorageTool", "format", ...options]),
    name: "kafka: preparing its data folder",
    logFile,
    startTimeoutMs: FORMAT_TIMEOUT_MS,
    stopTimeoutMs: 5_000,
  });
  await run.done(stopping);
  renameSync(unfinished, join(folder, "files"));
}

/** 16 bytes. With the highest bit 0 the text begins with no dash, which the tool would take for an option. */
function newClusterId(): string {
  const id = randomBytes(16);
  id[0]! &= 0x7f;
  return id.toString("base64url");
}

function java(
  { java: program, libs }: KafkaProgram,
  folder: string,
  args: readonly string[],
): Pick<ChildSpec, "program" | "wrapped" | "args" | "env"> {
  const logging = `-Dlog4j2.configurationFile=${join(folder, "log4j2.properties")}`;
  return {
    program,
    wrapped: true,
    args: [...JVM, logging, "-cp", join(libs, "*"), ...args],
    // Java 17 reads names of files in the locale's encoding, and in the plain C locale that is ASCII.
    env: { LC_ALL: "C.UTF-8" },
  };
}

/** As in Kafka's `server.properties`. */
type Settings = Readonly<Record<string, string | number>>;

function serverSettings(files: string, port: number, controller: number): Settings {
  return {
    "process.roles": "broker,controller",
    "node.id": 1,
    // Fixed voters: the address of a voter that was kept in the data would be an older start's.
    "controller.quorum.voters": `1@${LOOPBACK}:${controller}`,
    listeners: `PLAINTEXT://${LOOPBACK}:${port},CONTROLLER://${LOOPBACK}:${controller}`,
    "advertised.listeners": `PLAINTEXT://${LOOPBACK}:${port}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "log.dirs": files,
    // As Event Hubs: what is written and not there is an error.
    "auto.create.topics.enable": "false",
    // There is one node, so one copy.
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    // A few groups need no fifty partitions, each with files of its own.
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.num.partitions": 1,
    // A stack may lie still for months. Event Hubs' checkpoints stay as well.
    "offsets.retention.minutes": 525_600,
    // The first member of a group need not wait for others.
    "group.initial.rebalance.delay.ms": 0,
    // After a SIGKILL the controller refuses the broker until the session of the run before has ended.
    "broker.session.timeout.ms": 2_000,
    "broker.heartbeat.interval.ms": 500,
    // For one user: fewer threads, and 8 MB instead of 128 for cleaning the few positions of groups.
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 2,
    "log.cleaner.dedupe.buffer.size": 8_388_608,
  };
}

/** Java reads these files as Latin-1, with escapes for all else. */
function properties(settings: Settings): string {
  const escaped = (text: string) =>
    text
      .replaceAll("\\", "\\\\")
      .replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${escaped(String(value))}\n`)
    .join("");
}

/**
 * Warnings and errors, and what the recovery of the data and the start of the server tell. An error is one
 * line that begins with its first cause.
 */
const LOGGING = `rootLogger.level=WARN
rootLogger.appenderRef.err.ref=err
appender.err.type=Console
appender.err.name=err
appender.err.target=SYSTEM_ERR
appender.err.layout.type=PatternLayout
appender.err.layout.pattern=%d [%p] %c{1} %m %rEx{2,separator(|)}%n
logger.version.name=org.apache.kafka.common.utils.AppInfoParser
logger.version.level=INFO
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=INFO
logger.recovery.name=org.apache.kafka.storage.internals.log.LogLoader
logger.recovery.level=INFO
`;
