import { isIP } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type {
  API,
  Base,
  Callback,
  ClusterMetadata,
  ClusterTopicMetadata,
  Connection,
  ConnectionOptions,
  fetchV17,
  initProducerIdV5,
  listOffsetsV9,
  produceV11,
} from "@platformatic/kafka";

/** Where the brokers are and how they are spoken to. */
export interface KafkaAccess {
  /** `HOST:PORT` of some brokers. They name the others. */
  readonly brokers: readonly string[];
  /** TLS, with the options of Node. */
  readonly tls?: NonNullable<ConnectionOptions["tls"]>;
  readonly sasl?: NonNullable<ConnectionOptions["sasl"]>;
}

/** The parameters and the answer of one of the library's calls. */
type Shape<Api> = Api extends {
  readonly async: (connection: Connection, ...params: infer Params) => Promise<infer Answer>;
}
  ? { readonly params: Params; readonly answer: Answer }
  : never;

/** The calls that are used. Their parameters and answers are alike in all versions. */
interface Calls {
  readonly Produce: Shape<(typeof produceV11)["api"]>;
  readonly Fetch: Shape<(typeof fetchV17)["api"]>;
  readonly ListOffsets: Shape<(typeof listOffsetsV9)["api"]>;
  readonly InitProducerId: Shape<(typeof initProducerIdV5)["api"]>;
}

type Params<Name extends keyof Calls> = Calls[Name]["params"];
type Answer<Name extends keyof Calls> = Calls[Name]["answer"];

const CONNECT_MS = 3_000;
const METADATA_CALL_MS = 6_000;
/** What a topic's partitions and their leaders are is asked anew after this time, and when a call fails. */
const METADATA_MS = 180_000;
/** A topic that was just made is not known to every broker yet. */
const UNKNOWN_MS = 1_500;
const UNKNOWN_PAUSE_MS = 100;
/**
 * Azure forgets a TCP connection that says nothing for 240 s, and tells neither side. Kafka's own clients are
 * told to do the same.
 */
const KEEP_ALIVE_MS = 60_000;
/** Calls that wait for an answer on one connection. Further ones wait their turn. */
const AT_ONCE = 64;

/** A call to a broker that did not answer in time. Whether the broker has done it is not known. */
export class KafkaTimeout extends Error {
  override readonly name = "KafkaTimeout";
}

/**
 * Calls of Kafka's protocol, on the client library's connections. The library negotiates the versions with the
 * brokers. Nothing is repeated here.
 */
export interface KafkaClient {
  /** The partitions and the id of a topic. Throws `UnknownTopic` where the brokers have none of that name. */
  topic(topic: string, freshness?: "fresh"): Promise<ClusterTopicMetadata>;
  /**
   * Calls the broker that leads a partition. `params` gets the version that is spoken. Rejects after
   * `timeoutMs` with a `KafkaTimeout`, and ends the connection then: what comes late on it belongs to nobody.
   */
  toLeader<Name extends keyof Calls>(
    name: Name,
    topic: string,
    partition: number,
    params: (version: number, topic: ClusterTopicMetadata) => Params<Name>,
    timeoutMs: number,
  ): Promise<Answer<Name>>;
  /** Calls any broker. */
  toAny<Name extends keyof Calls>(
    name: Name,
    params: () => Params<Name>,
    timeoutMs: number,
  ): Promise<Answer<Name>>;
  close(): Promise<void>;
}

/** A topic, or a partition of one, that the brokers do not have. */
export class UnknownTopic extends Error {
  override readonly name = "UnknownTopic";
}

/** A topic as the brokers describe it, and where the brokers are. */
interface Described {
  readonly found: ClusterTopicMetadata;
  readonly brokers: ClusterMetadata["brokers"];
  /** As `performance.now()` counts. */
  readonly asked: number;
}

/** Nothing is connected, and the library not loaded, before the first call. */
export function createKafkaClient(access: KafkaAccess): KafkaClient {
  let opening: Promise<Opened> | undefined;
  const opened = (): Promise<Opened> => {
    opening ??= open(access);
    return opening;
  };
  const described = new Map<string, Described>();
  const describe = async (topic: string, deadline: number, freshness?: "fresh"): Promise<Described> => {
    const known = described.get(topic);
    if (known && freshness !== "fresh" && performance.now() - known.asked < METADATA_MS) return known;
    const found = await find(await opened(), topic, deadline);
    described.set(topic, found);
    return found;
  };
  return {
    topic: async (topic, freshness) =>
      (await describe(topic, performance.now() + METADATA_CALL_MS, freshness)).found,
    async toLeader(name, topic, partition, params, timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      const { found, brokers } = await describe(topic, deadline);
      const leader = found.partitions[partition]?.leader;
      if (leader === undefined) throw new UnknownTopic(`The topic ${topic} has no partition ${partition}.`);
      try {
        const broker = brokers.get(leader);
        if (!broker) throw new Error(`Partition ${partition} of ${topic} has no leader right now.`);
        const client = await opened();
        const connection = await client.connectionTo(broker, deadline);
        return await client.call(name, connection, (version) => params(version, found), deadline);
      } catch (error) {
        // Another broker may lead the partition by now.
        described.clear();
        throw error;
      }
    },
    async toAny(name, params, timeoutMs) {
      const client = await opened();
      const deadline = performance.now() + timeoutMs;
      const connection = await within(client.anyConnection(), deadline, "any broker");
      return client.call(name, connection, params, deadline);
    },
    async close() {
      await (await opening?.catch(() => undefined))?.base.close();
    },
  };
}

type Address = { readonly host: string; readonly port: number };

interface Opened {
  readonly base: Base;
  connectionTo(broker: Address, deadline: number): Promise<Connection> | Connection;
  anyConnection(): Promise<Connection>;
  call<Name extends keyof Calls>(
    name: Name,
    connection: Connection,
    params: (version: number) => Params<Name>,
    deadline: number,
  ): Promise<Answer<Name>>;
}

async function open({ brokers, tls, sasl }: KafkaAccess): Promise<Opened> {
  const library = await import("@platformatic/kafka");
  const base = new library.Base({
    clientId: "nonstop-chat",
    bootstrapBrokers: [...brokers],
    connectTimeout: CONNECT_MS,
    maxInflights: AT_ONCE,
    // Whoever calls repeats, and knows for how long.
    retries: false,
    // An address is no server name (RFC 6066).
    ...(tls && { tls, tlsServerName: brokers.every((broker) => isIP(broker.replace(/:\d+$/, "")) === 0) }),
    ...(sasl && { sasl }),
  });
  // The library listens for a connection's first error only. A second one would end this process.
  base.connections.on("connecting", ({ connection }) => void connection.on("error", () => {}));
  base.connections.on(
    "connect",
    ({ connection }) => void connection.socket.setKeepAlive(true, KEEP_ALIVE_MS),
  );
  /** The calls in the versions that were agreed on. */
  const apis = new Map<string, unknown>();
  const choose = async <Name extends keyof Calls>(name: Name, deadline: number): Promise<ApiOf<Name>> => {
    const choosing = settled<ApiOf<Name>>((done) => base[library.kGetApi](name, done));
    const api = await within(choosing, deadline, "the brokers, asked for their versions,");
    apis.set(name, api);
    return api;
  };
  return {
    base,
    connectionTo(broker, deadline) {
      const known = base.connections.getEstablishedConnection(broker);
      if (known?.isConnected()) return known;
      const connecting = settled<Connection>((done) => base[library.kGetConnection](broker, done));
      return within(connecting, deadline, `${broker.host}:${broker.port}`);
    },
    anyConnection: () => settled((done) => base[library.kGetBootstrapConnection](done)),
    async call(name, connection, params, deadline) {
      const api = (apis.get(name) as ApiOf<typeof name> | undefined) ?? (await choose(name, deadline));
      const answer = api.async(connection, ...params(api.version));
      const end = (): void => void connection.socket.destroy();
      return within(answer, deadline, `${connection.host}:${connection.port}`, end);
    },
  };
}

type ApiOf<Name extends keyof Calls> = API<unknown[], Answer<Name>>;

/** What a callback of the library leads to, as a promise. */
const settled = <T>(start: (done: Callback<T>) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    start((error, value) => (error || value === undefined ? reject(error) : resolve(value)));
  });

/** The result of `work`, or a `KafkaTimeout` when it is not there by the deadline. */
function within<T>(work: Promise<T>, deadline: number, who: string, onTimeout?: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => {
        onTimeout?.();
        reject(new KafkaTimeout(`There was no answer from ${who} in time.`));
      },
      Math.max(0, deadline - performance.now()),
    );
    const settle = (end: () => void): void => {
      clearTimeout(timer);
      end();
    };
    work.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

/**
 * The topic, and the brokers of the same answer. Brokers hear of a new topic one after the other, so one that
 * does not know it is asked again for a while.
 */
async function find(opened: Opened, topic: string, deadline: number): Promise<Described> {
  const giveUpAt = Math.min(deadline, performance.now() + UNKNOWN_MS);
  for (;;) {
    const asked = performance.now();
    const { topics, brokers } = await metadataOf(opened, topic, deadline);
    const found = topics.get(topic);
    if (found) return { found, brokers, asked };
    if (performance.now() > giveUpAt)
      throw new UnknownTopic(`The brokers have no topic ${topic}: npm run topics makes it.`);
    await pause(UNKNOWN_PAUSE_MS);
  }
}

async function metadataOf(
  { base }: Opened,
  topic: string,
  deadline: number,
): Promise<Pick<ClusterMetadata, "topics" | "brokers">> {
  const asked = base.metadata({ topics: [topic], forceUpdate: true });
  const endAll = (): void => {
    for (const [, connection] of base.connections) connection.socket?.destroy();
  };
  try {
    return await within(asked, deadline, "the brokers", endAll);
  } catch (error) {
    if (isUnknownTopic(error)) return { topics: new Map(), brokers: new Map() };
    throw error;
  }
}

/** The library has no code for it. */
const isUnknownTopic = (error: unknown): boolean =>
  error instanceof Error && /^Unknown topic /.test(error.message);
