import { setTimeout as pause } from "node:timers/promises";
import type { KafkaRecord, RecordsBatch } from "@platformatic/kafka";
import { REPLAY_OF } from "../events/deadLetters.js";
import type { ReceivedEvent } from "./eventBus.js";
import type { KafkaClient } from "./kafkaClient.js";

const CALL_MS = 5_000;
const READ_RANGE_MS = 15_000;
const WAIT_MS = 500;
const FETCH_BYTES = 1024 * 1024;
/** The timestamps that mean the first and the last offset (ListOffsets). */
const EARLIEST = -2n;
const LATEST = -1n;
/** Bits of a batch's attributes: its timestamp is the broker's, and its records are the broker's own marks. */
const LOG_APPEND_TIME = 0x08;
const CONTROL = 0x20;

/** A partition of a topic. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
}

/** The offset of the first record that the partition still has; in an empty one, that of the next. */
export const earliestOffset = (client: KafkaClient, place: Place): Promise<number> =>
  offsetAt(client, place, EARLIEST);

/** The offset of the next record. */
export const nextOffset = (client: KafkaClient, place: Place): Promise<number> =>
  offsetAt(client, place, LATEST);

async function offsetAt(
  client: KafkaClient,
  { topic, partition }: Place,
  timestamp: bigint,
): Promise<number> {
  const asked = { partitionIndex: partition, currentLeaderEpoch: -1, timestamp };
  const { topics } = await client.toLeader(
    "ListOffsets",
    topic,
    partition,
    () => [-1, 0, [{ name: topic, partitions: [asked] }]],
    CALL_MS,
  );
  const offset = topics[0]?.partitions[0]?.offset;
  if (offset === undefined || offset < 0n)
    throw new Error(`The brokers tell no offset of ${topic} ${partition}.`);
  return Number(offset);
}

/**
 * The events of the offsets `from` to `to` that the log still has, at most `limit` of them, in order. Offsets
 * without a record are told as absent: those of the brokers' own marks and of records that compaction took.
 * Throws when they did not come within 15 s.
 */
export async function readOffsets(
  client: KafkaClient,
  place: Place,
  from: number,
  to: number,
  limit: number,
): Promise<readonly ReceivedEvent[]> {
  const deadline = performance.now() + READ_RANGE_MS;
  const [first, end] = await Promise.all([earliestOffset(client, place), nextOffset(client, place)]);
  const start = Math.max(from, first);
  const last = Math.min(to, start + limit - 1, end - 1);
  const events: ReceivedEvent[] = [];
  for (let next = start; next <= last; next = start + events.length) {
    const { batches, logStart } = await fetchFrom(client, place, next);
    // Retention took what was about to be read. It is not absent, but gone.
    if (logStart > next) break;
    for (const batch of batches) addBatch(events, batch, start, last);
    if (start + events.length > next) continue;
    if (performance.now() > deadline)
      throw new Error(`Offsets ${next} to ${last} did not arrive within ${READ_RANGE_MS} ms.`);
    await pause(WAIT_MS / 10);
  }
  return events;
}

async function fetchFrom(
  client: KafkaClient,
  { topic, partition }: Place,
  offset: number,
): Promise<{ readonly batches: readonly RecordsBatch[]; readonly logStart: number }> {
  const asked = {
    partition,
    currentLeaderEpoch: -1,
    fetchOffset: BigInt(offset),
    lastFetchedEpoch: -1,
    partitionMaxBytes: FETCH_BYTES,
  };
  const { responses } = await client.toLeader(
    "Fetch",
    topic,
    partition,
    // From version 13 on topics go by their ids, so that none is taken for a later one of the same name.
    (version, { id = "" }) => [
      WAIT_MS,
      1,
      FETCH_BYTES,
      0,
      0,
      -1,
      [{ topicId: version < 13 ? topic : id, partitions: [asked] }],
      [],
      "",
    ],
    CALL_MS,
  );
  const answered = responses[0]?.partitions[0];
  return { batches: answered?.records ?? [], logStart: Number(answered?.logStartOffset ?? 0n) };
}

/** Adds what the batch says of the offsets that follow, up to `last`. */
function addBatch(events: ReceivedEvent[], batch: RecordsBatch, start: number, last: number): void {
  const base = Number(batch.firstOffset);
  const fill = (before: number): void => {
    while (start + events.length < before && start + events.length <= last)
      events.push({
        sequenceNumber: start + events.length,
        key: undefined,
        body: new Uint8Array(),
        absent: true,
      });
  };
  const records = (batch.attributes & CONTROL) === 0 ? batch.records : [];
  for (const record of records) {
    const offset = base + record.offsetDelta;
    if (offset < start + events.length) continue;
    fill(offset);
    if (offset <= last) events.push(eventOf(record, offset, batch));
  }
  fill(base + batch.lastOffsetDelta + 1);
}

function eventOf(record: KafkaRecord, offset: number, batch: RecordsBatch): ReceivedEvent {
  const isBrokers = (batch.attributes & LOG_APPEND_TIME) !== 0;
  const timestamp = isBrokers ? batch.maxTimestamp : batch.firstTimestamp + record.timestampDelta;
  const header = (named: string) =>
    record.headers.find(([name]) => name?.toString() === named)?.[1]?.toString();
  const [traceparent, replayOf] = [header("traceparent"), header(REPLAY_OF)];
  return {
    sequenceNumber: offset,
    key: record.key?.toString(),
    body: record.value ?? new Uint8Array(),
    ...(traceparent && { traceparent }),
    ...(replayOf && { replayOf }),
    enqueuedOn: new Date(Number(timestamp)),
  };
}
