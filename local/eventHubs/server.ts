import { type AddressInfo, createServer, type Server as NetServer, type Socket } from "node:net";
import type { Broker } from "./broker.js";
import { Connection } from "./connection.js";
import { type EntraSettings, jwtCheckOf } from "./entra.js";
import { type Hubs, type HubsConfig, openHubs } from "./hubs.js";
import type { Keys } from "./sas.js";

export interface EventHubsOptions {
  /** 0 takes any free port. */
  readonly port: number;
  readonly host?: string;
  /** The data folder; one process at a time may own it. */
  readonly data: string;
  readonly hubs: HubsConfig;
  /** Shared access keys by name; without any, the well-known pair of the emulator's connection string. */
  readonly keys?: Keys;
  /** The tenant of Entra ID whose tokens are taken beside the keys; none if not said. */
  readonly entra?: EntraSettings;
  readonly log?: (level: "info" | "warn" | "error", text: string) => void;
  /** A segment file is closed at this size; 16 MiB if not said. */
  readonly segmentBytes?: number;
  /**
   * How often the running time is noted and events past their retention are looked for, in milliseconds; a
   * minute if not said.
   */
  readonly retentionCheckMs?: number;
}

export interface Server {
  readonly port: number;
  /** For `@azure/event-hubs`, with the first key. */
  readonly connectionString: string;
  close(): Promise<void>;
}

const DEFAULT_KEYS: Keys = { RootManageSharedAccessKey: "SAS_KEY_VALUE" };
const MAX_CONNECTIONS = 1000;

/** How often links are checked for expired tokens. */
const CLAIMS_CHECK_MS = 1000;

/** How long a stopping server waits for its clients to read the goodbye. */
const GOODBYE_MS = 500;

/**
 * Starts an Event Hubs server over the data folder and resolves when it listens.
 * Throws ConfigError, CorruptDataError, LockedError, and the system's error for a taken port.
 */
export async function start(options: EventHubsOptions): Promise<Server> {
  const { host = "127.0.0.1", keys = DEFAULT_KEYS, log = () => {} } = options;
  const hubs = openHubs(options.data, options.hubs, {
    segmentBytes: options.segmentBytes ?? 16 * 1024 * 1024,
    log,
  });
  const broker: Broker = { hubs: hubs.byName, keys, checkJwt: jwtCheckOf(options.entra), log };
  const connections = new Map<Socket, Connection>();
  const listener = listenerFor(broker, connections);
  try {
    await listen(listener, options.port, host);
  } catch (error) {
    await hubs.close();
    throw error;
  }
  const checkMs = options.retentionCheckMs ?? 60_000;
  const timers = [
    setInterval(() => expireAll(hubs, checkMs, log), checkMs),
    setInterval(() => {
      for (const connection of connections.values()) connection.checkClaims();
    }, CLAIMS_CHECK_MS),
  ];
  expireAll(hubs, checkMs, log);
  const { port } = listener.address() as AddressInfo;
  const [name, key] = Object.entries(keys)[0] ?? ["", ""];
  let closing: Promise<void> | undefined;
  return {
    port,
    connectionString: `Endpoint=sb://${host}:${port};SharedAccessKeyName=${name};SharedAccessKey=${key};UseDevelopmentEmulator=true;`,
    close() {
      for (const timer of timers) clearInterval(timer);
      if (!closing) noteRunning(hubs, checkMs, log);
      closing ??= closeAll(listener, connections, hubs);
      return closing;
    },
  };
}

function listenerFor(broker: Broker, connections: Map<Socket, Connection>): NetServer {
  const listener = createServer((socket) => {
    connections.set(socket, new Connection(socket, broker));
    socket.on("close", () => connections.delete(socket));
  });
  listener.maxConnections = MAX_CONNECTIONS;
  return listener;
}

function listen(listener: NetServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(port, host, () => {
      listener.off("error", reject);
      resolve();
    });
  });
}

function noteRunning(hubs: Hubs, interval: number, log: NonNullable<EventHubsOptions["log"]>): void {
  try {
    hubs.running.note(interval);
  } catch (error) {
    log("error", `the running time can't be noted, so events stay for longer: ${(error as Error).message}`);
  }
}

function expireAll(hubs: Hubs, interval: number, log: NonNullable<EventHubsOptions["log"]>): void {
  noteRunning(hubs, interval, log);
  for (const hub of hubs.byName.values())
    for (const partition of hub.partitions) {
      try {
        partition.expire((duration) => hubs.running.ago(duration));
      } catch (error) {
        log("error", `retention of ${hub.name}/${partition.id}: ${(error as Error).message}`);
      }
    }
}

async function closeAll(
  listener: NetServer,
  connections: Map<Socket, Connection>,
  hubs: Hubs,
): Promise<void> {
  const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
  // The flushes under way come first, so that their senders get an answer.
  await hubs.close();
  for (const connection of connections.values()) connection.close();
  const impatient = setTimeout(() => {
    for (const socket of connections.keys()) socket.destroy();
  }, GOODBYE_MS);
  await closed;
  clearTimeout(impatient);
}
