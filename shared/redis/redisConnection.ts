import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import calculateSlot from "cluster-key-slot";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { RedisConfig } from "../config.js";
import { Circuit } from "./circuit.js";
import { locateInFiles, type Script } from "./lua.js";
import { Patience } from "./patience.js";

/** Who answers within this is not away. */
const SOON_MS = 75;
/** Unanswered at a time by one node, those that nobody waits for any more included. */
const UNANSWERED = 1_000;
/** A server that says nothing for so long has its connection closed, and made anew. */
const SILENT_MS = 3_000;
const CONNECT_MS = 2_000;
/** A connection that is closed is destroyed when the server hasn't closed its side after so long. */
const DISCONNECT_MS = 100;
const SLOTS_MS = 1_000;
const REDIRECT_PAUSE_MS = 20;
/** Keys on their way to another node are there soon, or not within the time of a call. */
const MOVING_PAUSE_MS = 5;
/** Nodes come and go, and those that went are forgotten only when there are so many. */
const NODES_KNOWN = 1_000;

/** What may be asked of Redis. */
export interface Commands<Name extends string> {
  /** Runs a script; its keys share a slot. */
  script(name: Name, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown>;
  get(key: string): Promise<string | null>;
  /** The first so many bytes of a value, or those that there are. */
  getStart(key: string, length: number): Promise<Buffer>;
  set(key: string, value: string, unit: "PX", milliseconds: number, condition: "NX"): Promise<"OK" | null>;
  /** Sets a value, whatever there was, for so long from now. */
  setFor(key: string, value: string, milliseconds: number): Promise<unknown>;
}

export interface RedisConnection<Name extends string> {
  /** Asks the node of a key. `undefined` when Redis is away, slow, full or says no in another way, after 120 ms at most. Never throws. */
  run<T>(key: string, call: (commands: Commands<Name>) => Promise<T>): Promise<T | undefined>;
  /** Throws when it can't be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What this process knows of one server. */
interface Node {
  readonly circuit: Circuit;
  unanswered: number;
}

/**
 * A connection to one Redis, or to the nodes of a cluster, that never holds up who asks. A node that did not answer in time isn't asked for half a second, then by one call
 * at a time until it answers. Connects again for ever. Every failure goes to `onAway`.
 */
export function openRedis<Name extends string>(
  config: RedisConfig,
  scripts: Readonly<Record<Name, Script>>,
  onAway: (error: unknown) => void,
): RedisConnection<Name> {
  const client = config.cluster ? openCluster(config.urls) : openSingle(config.urls[0]!);
  let isClosed = false;
  const report = (error: unknown): void => {
    if (!isClosed) onAway(error);
  };
  client.on("error", report);
  const commands = commandsOf(client, scripts);
  const nodes = new Map<string, Node>();
  const patience = new Patience();
  const opened = client.connect().catch(report);

  const nodeOf = (key: string): Node => {
    const name = client instanceof Cluster ? (client.slots[calculateSlot(key)]?.[0] ?? "") : "";
    const node = nodes.get(name) ?? { circuit: new Circuit(), unanswered: 0 };
    if (nodes.size >= NODES_KNOWN) nodes.clear();
    nodes.set(name, node);
    return node;
  };

  /** The first connection is waited for, so that Redis is used from its first moment on. */
  const ask = async <T>(call: () => Promise<T>): Promise<T> => {
    if (client.status === "connecting" || client.status === "connect") await opened;
    if (client.status !== "ready") throw new Error("Redis is not connected");
    return call();
  };

  return {
    async run(key, call) {
      const node = nodeOf(key);
      if (node.unanswered >= UNANSWERED) {
        report(new Error(`Redis has left ${UNANSWERED} calls unanswered`));
        return undefined;
      }
      const attempt = node.circuit.attempt();
      if (!attempt) {
        report(node.circuit.why);
        return undefined;
      }
      node.unanswered += 1;
      const answer = ask(() => call(commands)).finally(() => {
        node.unanswered -= 1;
      });
      // A server that is merely slow is there, though nobody waits for it any more: else no probe would ever find it again.
      const asked = performance.now();
      answer.then(
        () => performance.now() - asked < SOON_MS && attempt.answered(),
        () => {},
      );
      try {
        const value = await patience.await(answer, attempt.isProbe);
        attempt.answered();
        return value;
      } catch (error) {
        if (isAnswer(error)) attempt.answered();
        else attempt.failed(error);
        report(error);
        return undefined;
      }
    },
    async ping() {
      await new Patience().await(
        ask(() => Promise.all(primariesOf(client).map((node) => node.ping()))),
        false,
      );
    },
    async close() {
      isClosed = true;
      client.disconnect();
    },
  };
}

/** The servers that keys are asked of; throws when one of a cluster is missing. */
function primariesOf(client: Redis | Cluster): readonly Redis[] {
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

const retryPause = (attempt: number): number => Math.min(100 * 2 ** Math.min(attempt, 10), 2_000);

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
    // What was a primary is one no longer: the address leads to another one by now.
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
      // Commands wait in a node's own queue while it connects: else they would wait for the next refresh of the slots, that a stopped node can hold up.
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
        // Nodes give their addresses, their certificates the name under which the cluster is known.
        ...tlsOf(first),
      },
      dnsLookup: (address, callback) => callback(null, address),
    },
  );
  // At once, not when the first call has to wait for it. Those that fail are tried again with the slots' next refresh, or when they are asked.
  cluster.on("+node", (node: Redis) => {
    if (!node.options.readOnly && node.status === "wait") node.connect().catch(() => {});
  });
  return cluster;
}

/** An IPv6 address stands in brackets in a URL, and without them elsewhere. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "");

function tlsOf(url: URL): { tls?: ConnectionOptions } {
  if (url.protocol !== "rediss:") return {};
  // A server may choose its certificate by the name; an address is none.
  return { tls: isIP(hostOf(url)) ? {} : { servername: url.hostname } };
}

type ScriptCall = (...keysAndArgs: (string | number | Buffer)[]) => Promise<unknown>;

function commandsOf<Name extends string>(
  client: Redis | Cluster,
  scripts: Readonly<Record<Name, Script>>,
): Commands<Name> {
  for (const [name, { lua }] of Object.entries<Script>(scripts))
    client.defineCommand(`chat:${name}`, { lua });
  const defined = client as unknown as Readonly<Record<string, ScriptCall>>;
  return {
    script: (name, keys, args) =>
      defined[`chat:${name}`]!.call(client, keys.length, ...keys, ...args).catch((error: unknown) => {
        if (error instanceof Error) error.message = locateInFiles(error.message, scripts[name]);
        throw error;
      }),
    get: (key) => client.get(key),
    getStart: (key, length) => client.getrangeBuffer(key, 0, length - 1),
    setFor: (key, value, milliseconds) => client.set(key, value, "PX", milliseconds),
    set: (key, value, unit, milliseconds, condition) => client.set(key, value, unit, milliseconds, condition),
  };
}

/** Older servers say first where in a script it happened. */
const IN_SCRIPT = "(?:ERR Error running script .*?-)?";
const READONLY = new RegExp(`^${IN_SCRIPT}READONLY\\b`);
/** Errors by which a server says that it can't be used now: it is loading its data, or is no primary (any more). */
const AWAY = new RegExp(`^${IN_SCRIPT}(?:LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|BUSY)\\b`);
/** The slot of the keys is on its way to another node; all other slots are fine. */
const MOVING = /^Too many Cluster redirections\. Last error: ReplyError: (?:TRYAGAIN|ASK|MOVED)\b/;

/** Whether the server has answered, if only with a refusal: the next call may fare better. */
function isAnswer(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "ReplyError" ? !AWAY.test(error.message) : MOVING.test(error.message);
}
