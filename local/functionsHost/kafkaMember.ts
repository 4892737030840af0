import { isIP } from "node:net";
import {
  type API,
  type Connection,
  type ConnectionOptions,
  ConnectionPool,
  Consumer,
  type describeGroupsV5,
  type ExtendedGroupProtocolSubscription,
  FetchIsolationLevels,
  type fetchV17,
  type GroupPartitionsAssigner,
  kGetApi,
  ListOffsetTimestamps,
  type leaveGroupV5,
  type offsetCommitV9,
  type offsetFetchV9,
} from "@platformatic/kafka";
import type { KafkaSource } from "./kafkaBinding.js";
import type { KafkaSettings } from "./kafkaSettings.js";
import { isGone } from "./owners.js";

/** A broker answers a fetch in this time though nothing has arrived, in milliseconds. */
const FETCH_WAIT_MS = 500;

/**
 * A broker that is silent counts as dead after the session's time and this, as it may let a member wait for
 * the others of its group for as long as a session lasts; but never later than after `SILENT_MS`.
 */
const SLACK_MS = 5_000;
const SILENT_MS = 60_000;

/** From this version on, Fetch names a topic by its id. */
const FETCH_BY_ID = 13;

export interface Topic {
  readonly id: string;
  /** The broker that leads each partition. */
  readonly leaders: readonly number[];
}

export type FetchedPartition = fetchV17.FetchResponsePartition;

export interface Place {
  readonly offset: bigint;
  readonly leaderEpoch: number;
}

/**
 * One membership in a consumer group, from joining to leaving, for one topic. It never tries again by itself:
 * whoever has it drops it after an error and makes another one, which can go on with the `memberId` and the
 * `generationId` of the former.
 */
export class Member extends Consumer {
  readonly #source: KafkaSource;
  readonly #settings: KafkaSettings;
  /**
   * Fetches wait at the broker, and a broker serves one request of a connection at a time: they have
   * connections of their own, so that heartbeats and commits never stand behind them.
   */
  readonly #fetching: ConnectionPool;

  constructor(source: KafkaSource, settings: KafkaSettings, clientId: string) {
    const { sessionTimeout } = settings;
    const connection: ConnectionOptions = {
      connectTimeout: 5_000,
      requestTimeout: Math.min(sessionTimeout + SLACK_MS, SILENT_MS),
      // An address is no name that a server could be asked for by.
      ...(source.tls && { tls: {}, tlsServerName: !source.brokers.some((one) => isIP(one.split(":")[0]!)) }),
      ...(source.login && { sasl: { mechanism: "PLAIN", ...source.login } }),
    };
    super({
      ...connection,
      clientId,
      groupId: source.group,
      bootstrapBrokers: [...source.brokers],
      sessionTimeout,
      rebalanceTimeout: sessionTimeout,
      // The other members hear of a new one, or of a lost one, by their next heartbeat.
      heartbeatInterval: Math.min(1_000, Math.floor(sessionTimeout / 3)),
      partitionAssigner: bySubscription,
      retries: 0,
      autocreateTopics: false,
    });
    this.#source = source;
    this.#settings = settings;
    this.#fetching = new ConnectionPool(clientId, connection);
    this.topics.track(source.topic);
  }

  /** The topic as it is now. Throws when there is none. */
  async topic(): Promise<Topic> {
    const name = this.#source.topic;
    const { topics } = await this.metadata({ topics: [name], forceUpdate: true });
    const { id, partitions } = topics.get(name)!;
    return { id, leaders: partitions.map(({ leader }) => leader) };
  }

  /**
   * Takes out of the group the members that no longer live: processes of this machine that are gone, and this
   * trigger's former memberships but `own`. A process that was killed could not leave, and nobody would get
   * its partitions until its session has timed out.
   */
  async removeDead(own: string | null): Promise<number> {
    const described = await this.#ask<
      describeGroupsV5.DescribeGroupsRequest,
      describeGroupsV5.DescribeGroupsResponse
    >("DescribeGroups", await this.#coordinator(), [this.groupId], false);
    const isDead = ({ clientId, memberId }: { clientId: string; memberId: string }): boolean =>
      isGone(clientId) || (clientId === this.clientId && memberId !== own);
    const dead = described.groups.flatMap(({ members }) => members.filter(isDead));
    if (dead.length > 0)
      await this.#ask<leaveGroupV5.LeaveGroupRequest, leaveGroupV5.LeaveGroupResponse>(
        "LeaveGroup",
        await this.#coordinator(),
        this.groupId,
        dead.map(({ memberId }) => ({ memberId })),
      );
    return dead.length;
  }

  /**
   * Where to go on in each partition: at the group's offset, or where `autoOffsetReset` says when there is
   * none, when it was committed for an earlier topic of this name, and when the partition doesn't reach it.
   */
  async places(topicId: string, partitions: readonly number[]): Promise<Map<number, bigint>> {
    const [committed, earliest, latest] = await Promise.all([
      this.#committed(topicId, partitions),
      this.#ends(partitions, ListOffsetTimestamps.EARLIEST),
      this.#ends(partitions, ListOffsetTimestamps.LATEST),
    ]);
    const reset = this.#settings.autoOffsetReset === "earliest" ? earliest : latest;
    const placeOf = (partition: number): bigint => {
      const offset = committed.get(partition) ?? -1n;
      const held = offset >= earliest.get(partition)! && offset <= latest.get(partition)!;
      return held ? offset : reset.get(partition)!;
    };
    return new Map(partitions.map((partition) => [partition, placeOf(partition)]));
  }

  /** What has arrived at a broker from the given offsets on. */
  async fetchFrom(
    node: number,
    topicId: string,
    offsets: ReadonlyMap<number, bigint>,
  ): Promise<readonly FetchedPartition[]> {
    const { maxPartitionFetchBytes, fetchMaxBytes } = this.#settings;
    const { version } = await this.#api("Fetch");
    const partitions = [...offsets].map(([partition, fetchOffset]) => ({
      partition,
      fetchOffset,
      partitionMaxBytes: maxPartitionFetchBytes,
      currentLeaderEpoch: -1,
      lastFetchedEpoch: -1,
    }));
    const { responses } = await this.fetch({
      node,
      topics: [{ topicId: version < FETCH_BY_ID ? this.#source.topic : topicId, partitions }],
      minBytes: 1,
      maxBytes: fetchMaxBytes,
      maxWaitTime: FETCH_WAIT_MS,
      // This host knows no transactions: events of one are handed over as they arrive.
      isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED,
      connectionPool: this.#fetching,
    });
    return responses.flatMap((one) => one.partitions);
  }

  /** Commits offsets, each with the id of its topic. */
  async commitPlaces(topicId: string, places: ReadonlyMap<number, Place>): Promise<void> {
    const partitions = [...places].map(([partitionIndex, { offset, leaderEpoch }]) => ({
      partitionIndex,
      committedOffset: offset,
      committedLeaderEpoch: leaderEpoch,
      committedMetadata: topicId,
    }));
    await this.#ask<offsetCommitV9.OffsetCommitRequest, offsetCommitV9.OffsetCommitResponse>(
      "OffsetCommit",
      await this.#coordinator(),
      this.groupId,
      this.generationId,
      this.memberId,
      null,
      [{ name: this.#source.topic, partitions }],
    );
  }

  /** Closes the connections. The group keeps the membership until its session times out. */
  async drop(): Promise<void> {
    // Without an id it has nothing to leave: this only ends its heartbeats.
    this.memberId = null;
    await this.leaveGroup();
    await this.close();
    await this.#fetching.close();
  }

  /**
   * The group's offsets. One that was committed with the id of another topic counts for nothing: a topic that
   * was deleted and made anew begins at its start. Other programs commit offsets without an id.
   */
  async #committed(topicId: string, partitions: readonly number[]): Promise<Map<number, bigint>> {
    const { groups } = await this.#ask<offsetFetchV9.OffsetFetchRequest, offsetFetchV9.OffsetFetchResponse>(
      "OffsetFetch",
      await this.#coordinator(),
      [
        {
          groupId: this.groupId,
          memberId: null,
          memberEpoch: -1,
          topics: [{ name: this.#source.topic, partitionIndexes: [...partitions] }],
        },
      ],
      false,
    );
    const found = groups.flatMap(({ topics }) => topics.flatMap((topic) => topic.partitions));
    const ofTopic = found.filter(({ metadata }) => !isTopicId(metadata) || metadata === topicId);
    return new Map(ofTopic.map(({ partitionIndex, committedOffset }) => [partitionIndex, committedOffset]));
  }

  async #ends(partitions: readonly number[], timestamp: bigint): Promise<Map<number, bigint>> {
    const { topic } = this.#source;
    const found = await this.listOffsets({
      topics: [topic],
      partitions: { [topic]: [...partitions] },
      timestamp,
      isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED,
    });
    return new Map(partitions.map((partition) => [partition, found.get(topic)![partition]!]));
  }

  async #coordinator(): Promise<Connection> {
    const node = await this.findGroupCoordinator();
    const connection = (await this.connectToBrokers([node])).get(node);
    if (!connection) throw new Error(`the cluster has no broker ${node}, which coordinates ${this.groupId}`);
    return connection;
  }

  async #ask<Request extends unknown[], Response>(
    name: string,
    connection: Connection,
    ...request: Request
  ): Promise<Response> {
    const api = await this.#api<Request, Response>(name);
    return api.async(connection, ...request);
  }

  #api<Request extends unknown[], Response>(name: string): Promise<API<Request, Response>> {
    return new Promise((resolve, reject) => {
      this[kGetApi]<Request, Response>(name, (error, api) => (api ? resolve(api) : reject(error)));
    });
  }
}

const isTopicId = (metadata: string | null | undefined): boolean =>
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(metadata ?? "");

/**
 * Deals out each topic among the members that subscribe to it. The client's own assigner gives the topics of
 * the leader to every member, whatever it subscribes to, and functions of one group may read several topics.
 */
const bySubscription: GroupPartitionsAssigner = (_current, members, _topics, metadata) => {
  const assigned = [...members.values()]
    .sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
    .map((member) => ({ member, assignments: new Map() }));
  for (const [topic, { partitionsCount }] of metadata.topics) {
    const readers = assigned.filter(({ member }) => readsTopic(member, topic));
    for (const [index, { assignments }] of readers.entries()) {
      const partitions = Array.from({ length: partitionsCount }, (_, partition) => partition);
      const share = partitions.filter((partition) => partition % readers.length === index);
      if (share.length > 0) assignments.set(topic, { topic, partitions: share });
    }
  }
  return assigned.map(({ member, assignments }) => ({ memberId: member.memberId, assignments }));
};

function readsTopic({ topics }: ExtendedGroupProtocolSubscription, topic: string): boolean {
  return topics?.includes(topic) ?? false;
}
