import { setTimeout as pause } from "node:timers/promises";
import type { MessageRecord, NumericMap } from "@platformatic/kafka";
import { type KafkaClient, KafkaTimeout } from "./kafkaClient.js";
import { errorIds, faultIn } from "./kafkaErrors.js";

/** A client waits for the answer, so it is told after this time that its message may not be stored. */
const DELIVERY_MS = 8_000;
const ATTEMPT_MS = 3_000;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;
/** Younger records wait for the next request where older ones have so much less time left. */
const TOGETHER_MS = 1_000;
/** With less time left a request would only be cut off. */
const LEAST_ATTEMPT_MS = 50;
/** Records that wait are sent together up to this size. Brokers take about 1 MB. */
const TOGETHER_BYTES = 512 * 1024;
const TOGETHER_COUNT = 1_000;
/** What may wait in all partitions of a process. Beyond it callers are told to come again. */
export const WAITING_BYTES = 32 * 1024 * 1024;
const SEQUENCES = 2 ** 31;

/** Repeats a call that has no effect until it succeeds, or can't, or the time of a delivery is over. */
export async function untilDue<T>(call: () => Promise<T>): Promise<T> {
  const due = performance.now() + DELIVERY_MS;
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
    try {
      return await call();
    } catch (error) {
      if (faultIn(error) || performance.now() + wait > due) throw error;
    }
    await pause(wait);
  }
}

/** The bytes that wait to be sent, of all partitions. */
export interface Waiting {
  bytes: number;
}

/** Records that are stored all or none, and who waits for them. */
interface Group {
  readonly records: readonly MessageRecord[];
  readonly bytes: number;
  /** As `performance.now()` counts. */
  readonly due: number;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * The idempotent producer of one partition (KIP-98): one request at a time, what comes meanwhile goes into the
 * next. A request whose answer was lost is sent again under the same sequence number, and the broker drops the
 * repeat, so a record stands in the partition once and in the order of the calls.
 *
 * The library's own producer is not used: it gives sends that run at once the same sequence number, and the
 * broker takes the second one for a repeat of the first and drops it.
 */
export class PartitionSender {
  readonly #topic: string;
  readonly #partition: number;
  readonly #client: KafkaClient;
  readonly #waiting: Waiting;
  #queue: Group[] = [];
  #isRunning = false;
  #producer: { readonly id: bigint; readonly epoch: number } | undefined;
  #sequence = 0;

  constructor(topic: string, partition: number, client: KafkaClient, waiting: Waiting) {
    this.#topic = topic;
    this.#partition = partition;
    this.#client = client;
    this.#waiting = waiting;
  }

  /**
   * Resolves when all in-sync replicas have the records, in order and one behind the other. Rejects when that
   * is not known after 8 s: they may be stored or not, or will be. Rejects at once when too much waits.
   */
  send(records: readonly Omit<MessageRecord, "topic" | "partition">[]): Promise<void> {
    const bytes = records.reduce((sum, { key, value }) => sum + value.length + (key?.length ?? 0) + 70, 0);
    if (this.#waiting.bytes + bytes > WAITING_BYTES)
      return Promise.reject(new Error(`${WAITING_BYTES} bytes wait for the brokers already.`));
    this.#waiting.bytes += bytes;
    return new Promise<void>((resolve, reject) => {
      const placed = records.map((one) => ({ topic: this.#topic, partition: this.#partition, ...one }));
      this.#queue.push({ records: placed, bytes, due: performance.now() + DELIVERY_MS, resolve, reject });
      if (!this.#isRunning) void this.#run();
    }).finally(() => {
      this.#waiting.bytes -= bytes;
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#queue.length > 0) await this.#sendGroups(this.#take());
    this.#isRunning = false;
  }

  /** The groups that go next: at least one, as many as fit together and have about as much time left. */
  #take(): readonly Group[] {
    let [bytes, count, taken] = [0, 0, 0];
    const latest = this.#queue[0]!.due + TOGETHER_MS;
    for (const group of this.#queue) {
      bytes += group.bytes;
      count += group.records.length;
      const isMuch = bytes > TOGETHER_BYTES || count > TOGETHER_COUNT || group.due > latest;
      if (taken > 0 && isMuch) break;
      taken += 1;
    }
    return this.#queue.splice(0, taken);
  }

  /** Settles each group. Groups that are too large together are sent one by one. Never rejects. */
  async #sendGroups(groups: readonly Group[]): Promise<void> {
    try {
      await this.#deliver(
        groups.flatMap(({ records }) => records),
        Math.min(...groups.map(({ due }) => due)),
      );
      for (const group of groups) group.resolve();
    } catch (error) {
      if (groups.length > 1 && isTooLarge(error)) for (const group of groups) await this.#sendGroups([group]);
      else for (const group of groups) group.reject(error);
    }
  }

  /** Tries until the records are stored, or what went wrong can't be helped, or the time is over. */
  async #deliver(records: readonly MessageRecord[], due: number): Promise<void> {
    /** An attempt was made: it may have been stored, or may still be, whatever was answered. */
    let wasSent = false;
    for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
      const left = Math.min(ATTEMPT_MS, due - performance.now());
      const wasSentBefore = wasSent;
      try {
        if (left < LEAST_ATTEMPT_MS) throw new KafkaTimeout("The brokers did not take it in time.");
        const producer = await this.#identify(left);
        wasSent = true;
        await this.#produce(producer, records, left);
        return this.#advance(records.length);
      } catch (error) {
        const ids = errorIds(error);
        // The broker has more of this producer than this record: an earlier attempt was stored.
        if (ids.has("DUPLICATE_SEQUENCE_NUMBER")) return this.#advance(records.length);
        const isLost = LOST.some((id) => ids.has(id));
        const isLasting =
          faultIn(error) !== undefined || isTooLarge(error) || REFUSED.some((id) => ids.has(id));
        const isOver = performance.now() + wait >= due;
        const isGivenUp = isLasting || isOver || (isLost && wasSentBefore);
        // An answer that tells an error does not tell that nothing was appended: a leader that loses its place
        // while it waits for the others says NOT_LEADER_OR_FOLLOWER. So the sequence number is not used again.
        if (isLost || (isGivenUp && wasSent)) this.#producer = undefined;
        if (isGivenUp) throw error;
        await pause(wait);
      }
    }
  }

  /** A new producer, with sequence numbers of its own, where the last one was given up. */
  async #identify(timeoutMs: number): Promise<{ readonly id: bigint; readonly epoch: number }> {
    if (this.#producer) return this.#producer;
    const made = await this.#client.toAny("InitProducerId", [null, 0, -1n, -1], timeoutMs);
    this.#sequence = 0;
    this.#producer = { id: made.producerId, epoch: made.producerEpoch };
    return this.#producer;
  }

  async #produce(
    producer: { readonly id: bigint; readonly epoch: number },
    records: readonly MessageRecord[],
    timeoutMs: number,
  ): Promise<void> {
    const sequence = this.#sequence;
    // All that the library asks of it.
    const sequences = { getWithDefault: () => sequence } as unknown as NumericMap;
    const options = {
      compression: "none",
      producerId: producer.id,
      producerEpoch: producer.epoch,
      sequences,
    } as const;
    await this.#client.toLeader(
      "Produce",
      this.#topic,
      this.#partition,
      () => [ALL_IN_SYNC, Math.ceil(timeoutMs), [...records], options],
      timeoutMs,
    );
  }

  #advance(count: number): void {
    this.#sequence = (this.#sequence + count) % SEQUENCES;
  }
}

/** `acks=all`. */
const ALL_IN_SYNC = -1;
/** The broker knows nothing of this producer's sequence any more. */
const LOST = [
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
  "INVALID_PRODUCER_EPOCH",
  "INVALID_PRODUCER_ID_MAPPING",
  "PRODUCER_FENCED",
];
/** The same records would be refused again. */
const REFUSED = [
  "INVALID_RECORD",
  "CORRUPT_MESSAGE",
  "INVALID_TIMESTAMP",
  "UNSUPPORTED_VERSION",
  "INVALID_REQUEST",
];

const isTooLarge = (error: unknown): boolean => {
  const ids = errorIds(error);
  return ids.has("MESSAGE_TOO_LARGE") || ids.has("RECORD_LIST_TOO_LARGE");
};
