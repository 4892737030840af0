import calculateSlot from "cluster-key-slot";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { RedisConfig } from "../config.js";
import { Circuit } from "./circuit.js";

/** One call waits so long for Redis, the wait for the first connection included, and then goes on without it. */
const CALL_MS = 120;
/** Unanswered at a time in this process, those that nobody waits for any more included. */
const UNANSWERED = 1_000;
/** A server that says nothing for so long has its connection closed, and made anew. */
const SILENT_MS = 3_000;
const CONNECT_MS = 2_000;
const REDIRECT_PAUSE_MS = 20;

export interface Script {
  readonly keys: number;
  readonly lua: string;
}

/** What may be asked of Redis. */
export interface Commands<Name extends string> {
  /** Runs a script; its keys share a slot. */
  script(name: Name, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  get(key: string): Promise<string | null>;
  set(key: string, value: string, unit: "PX", milliseconds: number, condition: "NX"): Promise<"OK" | null>;
}

export interface RedisConnection<Name extends string> {
  /** Asks the node of a key. `undefined` when Redis is away, slow, full or says no in another way, after 120 ms at most. Never throws. */
  run<T>(key: string, call: (commands: Commands<Name>) => Promise<T>): Promise<T | undefined>;
  /** Throws when it can't be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
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
  client.on("error", onAway);
  const commands = commandsOf(client, scripts);
  const circuits = new Map<string, Circuit>();
  let unanswered = 0;
  const opened = client.connect().catch(onAway);

  const circuitOf = (key: string): Circuit => {
    const node = client instanceof Cluster ? (client.slots[calculateSlot(key)]?.[0] ?? "") : "";
    const circuit = circuits.get(node) ?? new Circuit();
    circuits.set(node, circuit);
    return circuit;
  };

  /** The first connection is waited for, so that Redis is used from its first moment on. */
  const afterOpening = async <T>(call: () => Promise<T>): Promise<T> => {
    if (client.status === "connecting" || client.status === "connect") await opened;
    return call();
  };

  const ask = async <T>(call: () => Promise<T>): Promise<T> => {
    if (unanswered >= UNANSWERED) throw new Error(`Redis has left ${UNANSWERED} calls unanswered`);
    unanswered += 1;
    const answer = afterOpening(call).finally(() => {
      unanswered -= 1;
    });
    return within(CALL_MS, answer);
  };

  return {
    async run(key, call) {
      const circuit = circuitOf(key);
      const attempt = circuit.attempt();
      if (!attempt) {
        onAway(circuit.why);
        return undefined;
      }
      try {
        const answer = await ask(() => call(commands));
        attempt.answered();
        return answer;
      } catch (error) {
        if (isAnswer(error)) attempt.answered();
        else attempt.failed(error);
        onAway(error);
        return undefined;
      }
    },
    async ping() {
      await ask(() => client.ping());
    },
    async close() {
      client.disconnect();
    },
  };
}

const retryPause = (attempt: number): number => Math.min(100 * 2 ** Math.min(attempt, 10), 2_000);

const COMMON = {
  connectTimeout: CONNECT_MS,
  socketTimeout: SILENT_MS,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
} as const satisfies RedisOptions;

function openSingle(url: string): Redis {
  return new Redis(url, {
    ...COMMON,
    lazyConnect: true,
    enableOfflineQueue: false,
    retryStrategy: retryPause,
    // What was a primary is one no longer: the address leads to another one by now.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  });
}

function openCluster(urls: readonly string[]): Cluster {
  const nodes = urls.map((url) => new URL(url));
  const [first] = nodes as [URL];
  return new Cluster(
    nodes.map(({ hostname, port }) => ({ host: hostname, port: Number(port || 6379) })),
    {
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: retryPause,
      retryDelayOnFailover: REDIRECT_PAUSE_MS,
      retryDelayOnClusterDown: REDIRECT_PAUSE_MS,
      retryDelayOnTryAgain: REDIRECT_PAUSE_MS,
      maxRedirections: 8,
      slotsRefreshTimeout: CONNECT_MS,
      redisOptions: {
        ...COMMON,
        ...(first.username === "" ? {} : { username: decodeURIComponent(first.username) }),
        ...(first.password === "" ? {} : { password: decodeURIComponent(first.password) }),
        // Nodes give their addresses, their certificates the name under which the cluster is known.
        ...(first.protocol === "rediss:" ? { tls: { servername: first.hostname } } : {}),
      },
      dnsLookup: (address, callback) => callback(null, address),
    },
  );
}

type ScriptCall = (...keysAndArgs: (string | number)[]) => Promise<unknown>;

function commandsOf<Name extends string>(
  client: Redis | Cluster,
  scripts: Readonly<Record<Name, Script>>,
): Commands<Name> {
  for (const [name, { keys, lua }] of Object.entries<Script>(scripts))
    client.defineCommand(`chat:${name}`, { numberOfKeys: keys, lua });
  const defined = client as unknown as Readonly<Record<string, ScriptCall>>;
  return {
    script: (name, keys, args) => defined[`chat:${name}`]!.call(client, ...keys, ...args),
    get: (key) => client.get(key),
    set: (key, value, unit, milliseconds, condition) => client.set(key, value, unit, milliseconds, condition),
  };
}

/** Errors by which a server says that it can't be used now: it is loading its data, or is no primary (any more). */
const AWAY = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY)\b/;

/** Whether the server has answered, if only with a refusal: the next call may fare better. */
function isAnswer(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError" && !AWAY.test(error.message);
}

/** The answer, or an error after so many milliseconds. What arrived while this process was busy is not late: it is read before giving up. */
function within<T>(milliseconds: number, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error(`Redis did not answer within ${milliseconds} ms`));
    // Sockets are read between the timers and the immediates.
    const timer = setTimeout(() => setImmediate(late), milliseconds);
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
