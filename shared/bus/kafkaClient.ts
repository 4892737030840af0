import { isIP } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type {
  API,
  apiVersionsV3,
  Connection,
  ConnectionOptions,
  ConnectionPool,
  fetchV17,
  initProducerIdV5,
  listOffsetsV9,
  metadataV12,
  produceV11,
} from "@platformatic/kafka";
import { LATE, within } from "../platform/async.js";

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
  readonly Metadata: Shape<(typeof metadataV12)["api"]>;
}

type Name = keyof Calls;
type Params<N extends Name> = Calls[N]["params"];
type Answer<N extends Name> = Calls[N]["answer"];
type ApiOf<N extends Name> = API<unknown[], Answer<N>>;

/** A topic as the brokers describe it. */
export interface Topic {
  /** Nothing where the brokers know no ids: Kafka before 2.8, Event Hubs. */
  readonly id: string | undefined;
  readonly partitions: number;
  /** Of each partition the broker that leads it, where one does. */
  readonly leaders: readonly (Address | undefined)[];
}

interface Address {
  readonly host: string;
  readonly port: number;
}

const CLIENT_ID = "nonstop-chat";
const CONNECT_MS = 3_000;
const METADATA_CALL_MS = 6_000;
/** One broker may hang. Another one is asked after this time. */
const ANY_BROKER_MS = 2_000;
/**
 * What is known of a topic counts for this long, and until a call fails: a topic may be made anew, with another
 * number of partitions.
 */
const METADATA_MS = 5_000;
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

/** A topic, or a partition of one, that the brokers do not have. */
export class UnknownTopic extends Error {
  override readonly name = "UnknownTopic";
}

/** The brokers and the library have no version of a call in common. */
export class UnsupportedBrokers extends Error {
  override readonly name = "UnsupportedBrokers";
}

/**
 * Calls of Kafka's protocol, on the library's connections and its encoding of them. The versions are agreed on
 * with the brokers. Nothing is repeated here, but for asking another broker where any will do.
 */
export interface KafkaClient {
  /** Throws `UnknownTopic` where the brokers have none of that name. */
  topic(topic: string, freshness?: "fresh"): Promise<Topic>;
  /**
   * Calls the broker that leads a partition. `params` gets the version that is spoken. Rejects after
   * `timeoutMs` with a `KafkaTimeout`, and ends the connection then: what comes late on it belongs to nobody.
   */
  toLeader<N extends Name>(
    name: N,
    topic: string,
    partition: number,
    params: (version: number, topic: Topic) => Params<N>,
    timeoutMs: number,
  ): Promise<Answer<N>>;
  /** Calls any broker: the next one where one does not answer. */
  toAny<N extends Name>(name: N, params: Params<N>, timeoutMs: number): Promise<Answer<N>>;
  /** Another name once a connection to any broker was lost; nothing where none is open. */
  connection(): string | undefined;
  close(): Promise<void>;
}

/** Nothing is connected, and the library not loaded, before the first call. */
export function createKafkaClient(access: KafkaAccess): KafkaClient {
  let opening: Promise<Opened> | undefined;
  const connections: Connections = { open: 0, lost: 0 };
  const opened = (): Promise<Opened> => {
    opening ??= open(access, connections);
    return opening;
  };
  const known = new Map<string, { readonly topic: Topic; readonly asked: number }>();
  const describe = async (name: string, deadline: number, freshness?: "fresh"): Promise<Topic> => {
    const before = known.get(name);
    if (before && freshness !== "fresh" && performance.now() - before.asked < METADATA_MS)
      return before.topic;
    const asked = performance.now();
    const topic = await findTopic(await opened(), name, deadline);
    known.set(name, { topic, asked });
    return topic;
  };
  return {
    topic: (name, freshness) => describe(name, performance.now() + METADATA_CALL_MS, freshness),
    async toLeader(name, topic, partition, params, timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      const described = await describe(topic, deadline);
      if (partition >= described.partitions)
        throw new UnknownTopic(`The topic ${topic} has no partition ${partition}.`);
      try {
        const leader = described.leaders[partition];
        if (!leader) throw new Error(`Partition ${partition} of ${topic} has no leader right now.`);
        const client = await opened();
        const connection = await client.connectionTo(leader, deadline);
        return await client.call(name, connection, (version) => params(version, described), deadline);
      } catch (error) {
        // Another broker may lead the partition by now.
        known.delete(topic);
        throw error;
      }
    },
    async toAny(name, params, timeoutMs) {
      return (await opened()).callAny(name, params, performance.now() + timeoutMs);
    },
    connection: () => (connections.open > 0 ? String(connections.lost) : undefined),
    async close() {
      await (await opening?.catch(() => undefined))?.pool.close();
    },
  };
}

/** How many connections there are, and how many there were that are gone. */
interface Connections {
  open: number;
  lost: number;
}

interface Opened {
  readonly pool: ConnectionPool;
  connectionTo(broker: Address, deadline: number): Promise<Connection> | Connection;
  call<N extends Name>(
    name: N,
    connection: Connection,
    params: (version: number) => Params<N>,
    deadline: number,
  ): Promise<Answer<N>>;
  callAny<N extends Name>(name: N, params: Params<N>, deadline: number): Promise<Answer<N>>;
  /** Names brokers to ask beside those of the settings. */
  discovered(brokers: readonly Address[]): void;
}

async function open(access: KafkaAccess, connections: Connections): Promise<Opened> {
  const library: Library = await import("@platformatic/kafka");
  const pool = openPool(library, access, connections);
  const versions = createVersions(library);
  const named = access.brokers.map(addressOf);
  let others: readonly Address[] = [];
  let turn = 0;

  const connectionTo: Opened["connectionTo"] = (broker, deadline) => {
    const known = pool.getEstablishedConnection(broker);
    if (known?.isConnected()) return known;
    return inTime(pool.get(broker), deadline, `${broker.host}:${broker.port}`);
  };
  const call: Opened["call"] = async (name, connection, params, deadline) => {
    const api = versions.known(name) ?? (await versions.choose(name, connection, deadline));
    return answered(api.async(connection, ...params(api.version)), connection, deadline);
  };
  return {
    pool,
    connectionTo,
    call,
    async callAny(name, params, deadline) {
      const brokers = [...named, ...others];
      for (let tried = 1; ; tried += 1) {
        const broker = brokers[turn % brokers.length]!;
        const isLast = tried >= brokers.length;
        const until = isLast ? deadline : Math.min(deadline, performance.now() + ANY_BROKER_MS);
        try {
          return await call(name, await connectionTo(broker, until), () => params, until);
        } catch (error) {
          // What the broker says is an answer. Where it says nothing another one is asked, now and the next time.
          if (isAnswer(error)) throw error;
          turn += 1;
          if (isLast || performance.now() >= deadline) throw error;
        }
      }
    },
    discovered(brokers) {
      const isNamed = ({ host, port }: Address) =>
        named.some((one) => one.host === host && one.port === port);
      others = brokers.filter((broker) => !isNamed(broker));
    },
  };
}

type Library = typeof import("@platformatic/kafka");

function openPool(
  { ConnectionPool }: Library,
  { brokers, tls, sasl }: KafkaAccess,
  connections: Connections,
): ConnectionPool {
  const pool = new ConnectionPool(CLIENT_ID, {
    connectTimeout: CONNECT_MS,
    maxInflights: AT_ONCE,
    // An address is no server name (RFC 6066).
    ...(tls && { tls, tlsServerName: brokers.every((broker) => isIP(addressOf(broker).host) === 0) }),
    ...(sasl && { sasl }),
  });
  // The pool listens for a connection's first error only. A second one would end this process.
  pool.on("connecting", ({ connection }) => void connection.on("error", () => {}));
  pool.on("connect", ({ connection }) => {
    connection.socket.setKeepAlive(true, KEEP_ALIVE_MS);
    connections.open += 1;
    connection.once("close", () => {
      connections.open -= 1;
      connections.lost += 1;
    });
  });
  return pool;
}

function addressOf(broker: string): Address {
  const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(broker) ?? [];
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

/** The highest version of each call that the brokers and the library have. Asked once. */
function createVersions(library: Library) {
  const chosen = new Map<Name, unknown>();
  const implemented = library as unknown as Readonly<Record<string, { readonly api: unknown } | undefined>>;
  return {
    known: <N extends Name>(name: N) => chosen.get(name) as ApiOf<N> | undefined,
    async choose<N extends Name>(name: N, connection: Connection, deadline: number): Promise<ApiOf<N>> {
      const ask = library.apiVersionsV3.api as (typeof apiVersionsV3)["api"];
      const asked = ask.async(connection, CLIENT_ID, "1");
      const { apiKeys } = await answered(asked, connection, deadline);
      const offered = apiKeys.find((one) => one.name === name);
      for (let version = offered?.maxVersion ?? -1; offered && version >= offered.minVersion; version -= 1) {
        const api = implemented[`${name[0]!.toLowerCase()}${name.slice(1)}V${version}`]?.api;
        if (api === undefined) continue;
        chosen.set(name, api);
        return api as ApiOf<N>;
      }
      const range = offered ? `versions ${offered.minVersion} to ${offered.maxVersion}` : "no version";
      throw new UnsupportedBrokers(`The brokers have ${range} of ${name}, which this app does not speak.`);
    },
  };
}

/** Whether a broker has answered, though with an error. */
const isAnswer = (error: unknown): boolean =>
  error instanceof UnsupportedBrokers || responseIn(error) !== undefined;

/** The answer that an error of the library holds: it throws where any part of an answer tells an error. */
const responseIn = (error: unknown): unknown =>
  error instanceof Error && "response" in error ? error.response : undefined;

const answered = <T>(asked: Promise<T>, connection: Connection, deadline: number): Promise<T> =>
  inTime(asked, deadline, `${connection.host}:${connection.port}`, () => void connection.socket.destroy());

/** The result of `work`. Throws a `KafkaTimeout` when it is not there by the deadline. */
async function inTime<T>(
  work: Promise<T>,
  deadline: number,
  who: string,
  onTimeout?: () => void,
): Promise<T> {
  const result = await within(Math.max(0, deadline - performance.now()), work);
  if (result !== LATE) return result;
  onTimeout?.();
  throw new KafkaTimeout(`There was no answer from ${who} in time.`);
}

/** Brokers hear of a new topic one after the other, so one that does not know it is asked again for a while. */
async function findTopic(opened: Opened, name: string, deadline: number): Promise<Topic> {
  const giveUpAt = Math.min(deadline, performance.now() + UNKNOWN_MS);
  for (;;) {
    const topic = await askFor(opened, name, deadline);
    if (topic) return topic;
    if (performance.now() > giveUpAt)
      throw new UnknownTopic(`The brokers have no topic ${name}: npm run topics makes it.`);
    await pause(UNKNOWN_PAUSE_MS);
  }
}

const UNKNOWN_TOPIC_OR_PARTITION = 3;
/** What brokers tell as the id of a topic that know no ids. */
const NO_ID = /^[0-]*$/;

async function askFor(opened: Opened, name: string, deadline: number): Promise<Topic | undefined> {
  const { topics, brokers } = await metadataOf(opened, name, deadline);
  opened.discovered(brokers);
  const found = topics.find((one) => one.name === name);
  if (!found || found.errorCode === UNKNOWN_TOPIC_OR_PARTITION) return undefined;
  const leaders: (Address | undefined)[] = [];
  for (const { partitionIndex, leaderId } of found.partitions)
    leaders[partitionIndex] = brokers.find(({ nodeId }) => nodeId === leaderId);
  return {
    id: NO_ID.test(found.topicId ?? "") ? undefined : found.topicId,
    partitions: found.partitions.length,
    leaders,
  };
}

/** A partition without a leader, or a topic that is missing, makes the library throw. The rest is right. */
async function metadataOf(opened: Opened, name: string, deadline: number): Promise<Answer<"Metadata">> {
  try {
    return await opened.callAny("Metadata", [[name], false, false], deadline);
  } catch (error) {
    const response = responseIn(error) as Answer<"Metadata"> | undefined;
    const codes = response?.topics.map(({ errorCode }) => errorCode) ?? [];
    if (response && codes.every((code) => code === 0 || code === UNKNOWN_TOPIC_OR_PARTITION)) return response;
    throw error;
  }
}
