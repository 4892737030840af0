import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { RedisConfig } from "../config.js";
import { fullJitter } from "../platform/async.js";
import { READONLY } from "./answers.js";

/** A server that says nothing for this long has its connection closed, and opened again. */
const SILENT_MS = 3_000;
const CONNECT_MS = 2_000;
/** A connection that we close is destroyed when the server has not closed its side after this time. */
const DISCONNECT_MS = 100;
const SLOTS_MS = 1_000;
const REDIRECT_PAUSE_MS = 20;
/** Keys on their way to another node are there soon, or not within the time of a call. */
const MOVING_PAUSE_MS = 5;

/** A client of one Redis, or of a cluster; not connected yet. */
export function openClient({ cluster, urls }: RedisConfig): Redis | Cluster {
  return cluster ? openCluster(urls) : openSingle(urls[0]!);
}

/** The servers that keys are asked of. Throws where one of a cluster is not connected. */
export function primariesOf(client: Redis | Cluster): readonly Redis[] {
  if (client instanceof Redis) return [client];
  const connected = new Map(client.nodes("master").map((node) => [addressOf(node), node]));
  const names = new Set(client.slots.flatMap((owners) => owners?.[0] ?? []));
  return [...names].map((name) => {
    const node = connected.get(name);
    if (!node) throw new Error(`Redis node ${name} is not connected`);
    return node;
  });
}

const addressOf = ({ options }: Redis): string => `${options.host}:${options.port}`;

const retryPause = (attempt: number): number =>
  Math.ceil(fullJitter(Math.min(100 * 2 ** Math.min(attempt, 10), 2_000)));

const COMMON = {
  connectTimeout: CONNECT_MS,
  socketTimeout: SILENT_MS,
  disconnectTimeout: DISCONNECT_MS,
  maxLoadingRetryTime: 1_000,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
} as const satisfies RedisOptions;

function openSingle(url: string): Redis {
  return new Redis(url, {
    ...COMMON,
    ...tlsOf(new URL(url)),
    lazyConnect: true,
    enableOfflineQueue: false,
    retryStrategy: retryPause,
    // The server has become a replica. By now the address leads to the new primary.
    reconnectOnError: (error) => READONLY.test(error.message),
  });
}

function openCluster(urls: readonly string[]): Cluster {
  const nodes = urls.map((url) => new URL(url));
  const [first] = nodes as [URL];
  const cluster = new Cluster(
    nodes.map((url) => ({ host: hostOf(url), port: Number(url.port || 6379) })),
    {
      lazyConnect: true,
      // Commands wait in a node's own queue while it connects. Without that queue they would wait for the
      // next refresh of the slots, which a stopped node can hold up.
      enableOfflineQueue: true,
      clusterRetryStrategy: retryPause,
      retryDelayOnFailover: REDIRECT_PAUSE_MS,
      retryDelayOnClusterDown: REDIRECT_PAUSE_MS,
      retryDelayOnTryAgain: MOVING_PAUSE_MS,
      maxRedirections: 8,
      slotsRefreshTimeout: SLOTS_MS,
      redisOptions: {
        ...COMMON,
        ...(first.username === "" ? {} : { username: decodeURIComponent(first.username) }),
        ...(first.password === "" ? {} : { password: decodeURIComponent(first.password) }),
        // Nodes tell their addresses, but their certificates hold the name of the cluster.
        ...tlsOf(first),
      },
      dnsLookup: (address, callback) => callback(null, address),
    },
  );
  // A node is connected at once, so no call has to wait for that. A node that can't be connected is tried
  // again at the next refresh of the slots, or when it is asked.
  cluster.on("+node", (node: Redis) => {
    if (!node.options.readOnly && node.status === "wait") node.connect().catch(() => {});
  });
  return cluster;
}

/** An IPv6 address stands in brackets in a URL, and without them elsewhere. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "");

function tlsOf(url: URL): { tls?: ConnectionOptions } {
  if (url.protocol !== "rediss:") return {};
  // A server may choose its certificate by the name that it is called by. An address is no name.
  return { tls: isIP(hostOf(url)) ? {} : { servername: url.hostname } };
}
