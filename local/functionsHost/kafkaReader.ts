import type { ConsumerGroupJoinPayload, RecordsBatch } from "@platformatic/kafka";
import type { KafkaSource } from "./kafkaBinding.js";
import { type FetchedPartition, Member, type Topic } from "./kafkaMember.js";
import type { KafkaEvent } from "./kafkaMessages.js";
import { Partitions } from "./kafkaPartitions.js";
import type { KafkaSettings } from "./kafkaSettings.js";
import { describe, type Log, throttled } from "./log.js";
import { ownerName } from "./owners.js";
import { pause } from "./retry.js";

/** After an error the group is joined again in this time, in milliseconds. */
const AGAIN_MS = 250;
/** How often this host looks for dead members and for changes of the topic, in milliseconds. */
const LOOK_MS = 2_000;
/** How long the last commit and leaving the group may take together, in milliseconds. */
const LEAVE_MS = 1_500;

/** Bits of a batch of records (KIP-98). */
const LOG_APPEND_TIME = 0x08;
const IS_CONTROL = 0x20;

/**
 * Reads one topic as a member of a consumer group until it is stopped, and commits what is done. It joins
 * again after every error, and waits for brokers that are away and for a topic that does not exist yet.
 */
export class KafkaReader {
  readonly partitions: Partitions;
  readonly #name: string;
  readonly #source: KafkaSource;
  readonly #settings: KafkaSettings;
  readonly #log: Log;
  readonly #warn: (text: string) => void;
  readonly #closing: AbortSignal;
  readonly #clientId = ownerName();
  readonly #ended: Promise<void>;
  #topic: Topic | undefined;
  /** This host's last membership, which it takes up again after an error. */
  #memberId: string | null = null;
  #generationId = 0;
  /** Aborts when the group has dealt out the partitions anew. */
  #generation = new AbortController();
  #assigned: readonly number[] = [];

  constructor(name: string, source: KafkaSource, settings: KafkaSettings, log: Log, closing: AbortSignal) {
    this.#name = name;
    this.#source = source;
    this.#settings = settings;
    this.#log = log;
    this.#warn = throttled(log, "warning");
    this.#closing = closing;
    this.partitions = new Partitions(closing);
    this.#ended = this.#run();
  }

  /** Resolves when it has stopped after `closing` aborted. Never rejects. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#closing.aborted) {
      const member = new Member(this.#source, this.#settings, this.#clientId);
      try {
        await this.#serve(member);
      } catch (error) {
        if (!this.#closing.aborted) this.#warn(`${this.#name} will try again: ${describe(error)}`);
      }
      if (this.#closing.aborted) await this.#leave(member);
      await member.drop().catch(() => {});
      await pause(AGAIN_MS, this.#closing);
    }
  }

  /** Reads until an error, or until the host ends. */
  async #serve(member: Member): Promise<void> {
    const session = new AbortController();
    const failed = new Promise<never>((_, reject) => {
      member.on("error", reject);
      member.on("consumer:heartbeat:error", ({ error }) => reject(error));
    });
    const closed = new Promise<void>((resolve) => {
      this.#closing.addEventListener("abort", () => resolve(), { signal: session.signal });
    });
    try {
      await Promise.race([failed, closed, this.#join(member, session.signal)]);
    } finally {
      session.abort();
      this.#generation.abort();
    }
  }

  async #join(member: Member, session: AbortSignal): Promise<void> {
    const topic = await member.topic();
    if (topic.id !== this.#topic?.id) this.partitions.keep(new Set());
    this.#topic = topic;
    await this.#removeDead(member);
    member.on("consumer:group:join", (payload) => session.aborted || this.#joined(payload));
    member.memberId = this.#memberId;
    member.generationId = this.#generationId;
    // What was done before the error, while the group still takes it: joining may move partitions.
    if (member.memberId !== null) await this.#commit(member, topic);
    await member.joinGroup();
    await Promise.all([
      this.#readOn(member, topic, session),
      this.#look(member, topic, session),
      this.#commitOn(member, topic, session),
    ]);
  }

  /**
   * Partitions that this host had and has again stay as they are, if nobody can have had them in between. All
   * others are lost.
   */
  #joined({ memberId, generationId = 0, assignments }: ConsumerGroupJoinPayload): void {
    this.#assigned = assignments?.find(({ topic }) => topic === this.#source.topic)?.partitions ?? [];
    const follows = memberId === this.#memberId && generationId <= this.#generationId + 1;
    this.partitions.keep(new Set(follows ? this.#assigned : []));
    this.#memberId = memberId;
    this.#generationId = generationId;
    this.#generation.abort();
    this.#generation = new AbortController();
    this.#log.write("debug", `${this.#name} reads partitions ${this.#assigned.join(", ") || "none"}`);
  }

  async #readOn(member: Member, topic: Topic, session: AbortSignal): Promise<void> {
    while (!session.aborted) {
      const { signal } = this.#generation;
      try {
        await this.#readGeneration(member, topic, signal);
      } catch (error) {
        // What was asked for the partitions of an earlier generation may fail.
        if (!signal.aborted) throw error;
      }
    }
  }

  async #readGeneration(member: Member, topic: Topic, signal: AbortSignal): Promise<void> {
    const assigned = this.#assigned;
    const had = this.partitions.placesOf(assigned);
    const got = assigned.filter((partition) => !had.has(partition));
    const places = got.length === 0 ? new Map<number, bigint>() : await member.places(topic.id, got);
    if (signal.aborted) return;
    this.partitions.begin(places);
    const leaders = new Set(assigned.map((partition) => topic.leaders[partition]!));
    if (leaders.size === 0) return pause(LOOK_MS, signal);
    const read = (node: number) => {
      const led = assigned.filter((partition) => topic.leaders[partition] === node);
      return this.#readFrom(member, node, topic, led, signal);
    };
    await Promise.all([...leaders].map(read));
  }

  async #readFrom(
    member: Member,
    node: number,
    topic: Topic,
    led: readonly number[],
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      await this.partitions.room(2 * this.#settings.maxBatchSize, signal);
      if (signal.aborted) return;
      const places = this.partitions.placesOf(led);
      const fetched = await this.#fetch(member, node, topic, places);
      if (signal.aborted) return;
      for (const one of fetched) this.#add(one, places.get(one.partitionIndex) ?? 0n);
    }
  }

  /** Places that the broker doesn't hold, or no longer, are looked up anew. */
  async #fetch(
    member: Member,
    node: number,
    topic: Topic,
    places: ReadonlyMap<number, bigint>,
  ): Promise<readonly FetchedPartition[]> {
    try {
      return await member.fetchFrom(node, topic.id, places);
    } catch (error) {
      if (!isOutOfRange(error)) throw error;
      this.#warn(`${this.#name} reads anew where the broker holds other events than were there before`);
      this.partitions.begin(await member.places(topic.id, [...places.keys()]));
      return [];
    }
  }

  #add({ partitionIndex, records = [] }: FetchedPartition, from: bigint): void {
    const last = records.at(-1);
    if (!last) return;
    const events = records.flatMap((batch) => eventsOf(partitionIndex, batch));
    // A broker gives whole batches, and so what stands before the offset, too.
    const wanted = events.filter(({ offset }) => offset >= from);
    this.partitions.add(partitionIndex, wanted, last.firstOffset + BigInt(last.lastOffsetDelta) + 1n);
  }

  async #look(member: Member, topic: Topic, session: AbortSignal): Promise<void> {
    for (;;) {
      await pause(LOOK_MS, session);
      if (session.aborted) return;
      const now = await member.topic();
      if (now.id !== topic.id || String(now.leaders) !== String(topic.leaders))
        throw new Error(`the topic ${this.#source.topic} has changed`);
      await this.#removeDead(member);
    }
  }

  async #removeDead(member: Member): Promise<void> {
    const removed = await member.removeDead(this.#memberId);
    if (removed > 0)
      this.#log.write("debug", `${this.#name} took ${removed} dead member(s) out of its group`);
  }

  async #commitOn(member: Member, topic: Topic, session: AbortSignal): Promise<void> {
    for (;;) {
      await pause(this.#settings.autoCommitInterval, session);
      if (session.aborted) return;
      await this.#commit(member, topic);
    }
  }

  async #commit(member: Member, topic: Topic): Promise<void> {
    const places = this.partitions.uncommitted();
    if (places.size === 0) return;
    try {
      await member.commitPlaces(topic.id, places);
      this.partitions.committed(places);
      const text = [...places].map(([partition, { offset }]) => `${partition} up to ${offset}`).join(", ");
      this.#log.write("debug", `${this.#name} has committed ${text}`);
    } catch (error) {
      // The next try is soon, in the generation that a rebalance has brought. What was lost isn't committed.
      this.#warn(`${this.#name} could not commit its offsets: ${describe(error)}`);
    }
  }

  /** Never rejects. */
  async #leave(member: Member): Promise<void> {
    const leaving = async () => {
      if (this.#topic && member.memberId !== null) await this.#commit(member, this.#topic);
      await member.leaveGroup();
    };
    const limit = new AbortController();
    await Promise.race([leaving().catch(() => {}), pause(LEAVE_MS, limit.signal)]);
    limit.abort();
  }
}

function isOutOfRange(error: unknown): boolean {
  return error instanceof Error && "findBy" in error && typeof error.findBy === "function"
    ? Boolean(error.findBy("apiId", "OFFSET_OUT_OF_RANGE"))
    : false;
}

function eventsOf(partition: number, batch: RecordsBatch): KafkaEvent[] {
  const { attributes, firstOffset, firstTimestamp, maxTimestamp, partitionLeaderEpoch } = batch;
  if (attributes & IS_CONTROL) return [];
  return batch.records.map(({ offsetDelta, timestampDelta, key, value, headers }) => ({
    partition,
    offset: firstOffset + BigInt(offsetDelta),
    // Where the broker gives the time, all records of a batch have the same one.
    timestamp: Number(attributes & LOG_APPEND_TIME ? maxTimestamp : firstTimestamp + timestampDelta),
    key,
    value,
    headers: headers.map(([name, of]) => [name?.toString("utf8") ?? "", of] as const),
    leaderEpoch: partitionLeaderEpoch,
  }));
}
