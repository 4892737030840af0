import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { freePort, LOOPBACK } from "../local/ports.js";
import type { Wire } from "./loadGenerator.js";
import { until } from "./target.js";

/**
 * RabbitMQ's Web STOMP: a broker that hands messages on and stores none. It does a part of what the chat does, so
 * what it takes is a floor, and the chat's figures are told as ratios to it.
 */
export interface RabbitMq {
  readonly version: string;
  readonly pid: number;
  readonly wire: Wire;
  close(): Promise<void>;
}

const START_MS = 90_000;
const END_MS = 20_000;

/** Debian's package, and those of RabbitMQ itself. */
const PROGRAMS = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server"];

/** Starts a broker with files and ports of its own. Throws what to install where there is none. */
export async function startRabbitMq(): Promise<RabbitMq> {
  const program = PROGRAMS.find((path) => existsSync(path));
  if (!program)
    throw new Error("--beside rabbitmq needs RabbitMQ: apt-get install rabbitmq-server, or leave it out");
  const folder = mkdtempSync(join(tmpdir(), "nonstop-rabbitmq-"));
  const [web, amqp, epmd, cluster] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const env = environmentOf(folder, { web, amqp, epmd, cluster });
  const broker = spawn(program, [], { env, stdio: "ignore", detached: true });
  const close = async (): Promise<void> => {
    await end(broker);
    // The port mapper outlives its brokers.
    spawnSync("epmd", ["-port", String(epmd), "-kill"], { env });
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `ws://${LOOPBACK}:${web}/ws`;
  const isUp = (): Promise<boolean> =>
    open(url, 0).then(
      (socket) => {
        socket.terminate();
        return true;
      },
      () => false,
    );
  if (!(await until(() => broker.exitCode !== null || isUp(), START_MS)) || broker.exitCode !== null) {
    const log = readLog(folder).slice(-4_000);
    await close();
    throw new Error(`RabbitMQ did not start: ${log}`);
  }
  const version = /RabbitMQ (\d[\d.]*)/.exec(readLog(folder))?.[1] ?? "unknown";
  return { version, pid: broker.pid!, wire: { open: (roomId) => open(url, roomId), frame }, close };
}

interface Ports {
  readonly web: number;
  readonly amqp: number;
  readonly epmd: number;
  readonly cluster: number;
}

function environmentOf(folder: string, { web, amqp, epmd, cluster }: Ports): NodeJS.ProcessEnv {
  mkdirSync(join(folder, "home"));
  writeFileSync(join(folder, "plugins"), "[rabbitmq_web_stomp].\n");
  const rows = [
    `listeners.tcp.default = ${LOOPBACK}:${amqp}`,
    "stomp.listeners.tcp = none",
    `web_stomp.tcp.ip = ${LOOPBACK}`,
    `web_stomp.tcp.port = ${web}`,
  ];
  writeFileSync(join(folder, "rabbitmq.conf"), `${rows.join("\n")}\n`);
  return {
    PATH: process.env["PATH"],
    HOME: join(folder, "home"),
    ERL_EPMD_PORT: String(epmd),
    ERL_EPMD_ADDRESS: LOOPBACK,
    RABBITMQ_NODENAME: `nonstop-${web}@localhost`,
    RABBITMQ_DIST_PORT: String(cluster),
    RABBITMQ_MNESIA_BASE: join(folder, "data"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_LOGS: join(folder, "log", "rabbitmq.log"),
    RABBITMQ_PID_FILE: join(folder, "pid"),
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "plugins"),
    RABBITMQ_CONF_ENV_FILE: join(folder, "none"),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, "none.config"),
  };
}

function readLog(folder: string): string {
  try {
    return readFileSync(join(folder, "log", "rabbitmq.log"), "utf8");
  } catch {
    return "it has written no log";
  }
}

/** Its script has started the broker as a child: both are one process group. */
async function end(broker: ChildProcess): Promise<void> {
  if (broker.exitCode !== null || broker.signalCode !== null) return;
  const ended = once(broker, "exit");
  signal(broker, "SIGTERM");
  const late = setTimeout(() => signal(broker, "SIGKILL"), END_MS);
  await ended;
  clearTimeout(late);
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    process.kill(-pid!, name);
  } catch {
    // It has ended.
  }
}

/** A member on a bare WebSocket, subscribed to its room under the id that stock clients choose. */
async function open(url: string, roomId: number): Promise<WebSocket> {
  const socket = new WebSocket(url, ["v12.stomp"]);
  const steps = [
    "CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0",
    `SUBSCRIBE\nid:sub-0\ndestination:${topic(roomId)}\nreceipt:s\n\n\0`,
  ];
  await new Promise<void>((resolve, reject) => {
    let next = 0;
    const step = (): void => {
      const frame = steps[next++];
      if (frame) socket.send(frame);
      else {
        socket.off("message", answered);
        resolve();
      }
    };
    function answered(data: Buffer): void {
      const text = data.toString();
      if (/^(CONNECTED|RECEIPT)/.test(text)) step();
      else if (text.startsWith("ERROR")) reject(new Error(text));
    }
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("RabbitMQ closed the connection")));
    socket.once("open", step);
    socket.on("message", answered);
  });
  return socket;
}

const topic = (roomId: number): string => `/topic/room-${roomId}`;

/** The broker numbers nothing, so the sender does. Senders of one room are not kept in order. */
function frame(roomId: number, seq: number, id: number, content: string): string {
  const body = `{"roomId":${roomId},"messageId":${seq},"seq":${seq},"content":"${content}","clientMessageId":${id}}`;
  return `SEND\ndestination:${topic(roomId)}\ncontent-length:${body.length}\n\n${body}\0`;
}
