import calculateSlot from "cluster-key-slot";
import { Cluster, type Redis } from "ioredis";
import type { RedisConfig } from "../config.js";
import { isAnswer } from "./answers.js";
import { type Attempt, Circuit } from "./circuit.js";
import { openClient, primariesOf } from "./clients.js";
import { type EntraLogin, isLoggedOut } from "./entraLogin.js";
import { locateInFiles, type Script } from "./lua.js";
import { Patience } from "./patience.js";

/** A server that answers within this time is not away. */
const SOON_MS = 75;
/** The most calls that one node may leave unanswered, those included that no caller waits for any more. */
const UNANSWERED = 1_000;
/** Nodes come and go. When this many are known, all are forgotten, so that those which went are. */
const NODES_KNOWN = 1_000;

/** What may be asked of Redis. */
export interface Commands<Name extends string> {
  /** Runs a script. Its keys share a slot. */
  script(name: Name, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown>;
  get(key: string): Promise<string | null>;
  /** The first `length` bytes of a value, or as many as there are. */
  getStart(key: string, length: number): Promise<Buffer>;
  /** Sets a value for a time, if the key has none. */
  set(key: string, value: string, unit: "PX", milliseconds: number, condition: "NX"): Promise<"OK" | null>;
  /** Sets a value for a time from now, whatever the key had. */
  setFor(key: string, value: string, milliseconds: number): Promise<unknown>;
}

export interface RedisConnection<Name extends string> {
  /**
   * Asks the node of a key. Answers `undefined` where Redis is away, slow or full, or refuses the call; after
   * 120 ms at most. Never throws.
   */
  run<T>(key: string, call: (commands: Commands<Name>) => Promise<T>): Promise<T | undefined>;
  /** Throws where Redis, or one node of a cluster, can't be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What this process knows of one server. */
interface Node {
  readonly circuit: Circuit;
  unanswered: number;
}

/**
 * A connection to one Redis, or to the nodes of a cluster, that never holds up its callers. A node that did
 * not answer in time is asked nothing for half a second, then one call at a time until it answers. Connects
 * again for ever. Every failure goes to `onAway`, until the connection is closed. `logIn` keeps it logged in
 * where that takes more than a password.
 */
export function openRedis<Name extends string>(
  config: RedisConfig,
  scripts: Readonly<Record<Name, Script>>,
  onAway: (error: unknown) => void,
  logIn?: (client: Redis | Cluster) => EntraLogin,
): RedisConnection<Name> {
  const client = openClient(config);
  const login = logIn?.(client);
  let isClosed = false;
  const report = (error: unknown): undefined => {
    if (isLoggedOut(error)) login?.refused();
    if (!isClosed) onAway(error);
  };
  client.on("error", report);
  const commands = commandsOf(client, scripts);
  const nodeOf = nodesOf(client);
  const patience = new Patience();
  const opened = (login ? login.first.then(() => client.connect()) : client.connect()).catch(report);

  /** The first connection is waited for, so that Redis is used from its first moment on. */
  const ask = async <T>(call: () => Promise<T>): Promise<T> => {
    if (client.status === "wait" || client.status === "connecting" || client.status === "connect")
      await opened;
    if (client.status !== "ready") throw new Error("Redis is not connected");
    return call();
  };

  return {
    async run(key, call) {
      const node = nodeOf(key);
      if (node.unanswered >= UNANSWERED)
        return report(new Error(`Redis has left ${UNANSWERED} calls unanswered`));
      const attempt = node.circuit.attempt();
      if (!attempt) return report(node.circuit.why);
      const answer = watched(
        ask(() => call(commands)),
        node,
        attempt,
      );
      try {
        const value = await patience.await(answer, attempt.isProbe);
        attempt.answered();
        return value;
      } catch (error) {
        if (isAnswer(error)) attempt.answered();
        else attempt.failed(error);
        return report(error);
      }
    },
    async ping() {
      const pings = ask(() => Promise.all(primariesOf(client).map((node) => node.ping())));
      await new Patience().await(pings, false);
    },
    async close() {
      isClosed = true;
      login?.close();
      client.disconnect();
    },
  };
}

/** Counts a call as unanswered until it is answered, however long its caller waits. */
function watched<T>(call: Promise<T>, node: Node, attempt: Attempt): Promise<T> {
  node.unanswered += 1;
  const answer = call.finally(() => {
    node.unanswered -= 1;
  });
  // A server that is merely slow is there, though no caller waits for this answer any more. Without this no
  // probe would ever find such a server again.
  const asked = performance.now();
  answer.then(
    () => performance.now() - asked < SOON_MS && attempt.answered(),
    () => {},
  );
  return answer;
}

/** Finds the node of a key: of a cluster the primary that owns the key's slot. */
function nodesOf(client: Redis | Cluster): (key: string) => Node {
  const nodes = new Map<string, Node>();
  return (key) => {
    const name = client instanceof Cluster ? (client.slots[calculateSlot(key)]?.[0] ?? "") : "";
    const node = nodes.get(name) ?? { circuit: new Circuit(), unanswered: 0 };
    if (nodes.size >= NODES_KNOWN) nodes.clear();
    nodes.set(name, node);
    return node;
  };
}

type ScriptCall = (...keysAndArgs: (string | number | Buffer)[]) => Promise<unknown>;

/** Has all that is asked in this turn of the event loop go in one write. The nodes of a cluster are written to singly. */
function writeTogether(client: Redis | Cluster): void {
  if (client instanceof Cluster || client.status !== "ready") return;
  const { stream } = client;
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

function commandsOf<Name extends string>(
  client: Redis | Cluster,
  scripts: Readonly<Record<Name, Script>>,
): Commands<Name> {
  for (const [name, { lua }] of Object.entries<Script>(scripts))
    client.defineCommand(`chat:${name}`, { lua });
  const defined = client as unknown as Readonly<Record<string, ScriptCall>>;
  return {
    script: (name, keys, args) => {
      writeTogether(client);
      return defined[`chat:${name}`]!.call(client, keys.length, ...keys, ...args).catch((error: unknown) => {
        if (error instanceof Error) error.message = locateInFiles(error.message, scripts[name]);
        throw error;
      });
    },
    get: (key) => client.get(key),
    getStart: (key, length) => client.getrangeBuffer(key, 0, length - 1),
    setFor: (key, value, milliseconds) => client.set(key, value, "PX", milliseconds),
    set: (key, value, unit, milliseconds, condition) => client.set(key, value, unit, milliseconds, condition),
  };
}
