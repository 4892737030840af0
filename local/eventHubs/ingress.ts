import { annotationsOf, DecodeError, dataBodies, sections } from "./amqpBytes.js";
import { hasCapability, MAX_MESSAGE_BYTES, numberProperty, type Peer } from "./broker.js";
import { type Hub, partitionNamed } from "./hubs.js";
import { AppendError, type IncomingEvent, type Partition } from "./partition.js";
import { partitionOfKey } from "./partitionHash.js";
import type { Producer } from "./producers.js";
import type { ProducerMark } from "./record.js";
import { type AmqpError, notFound, Refusal, unauthorized } from "./refusals.js";
import { type RheaDelivery, type RheaReceiver, rhea } from "./rhea.js";
import { isAuthorized } from "./sas.js";

/** The message format of Event Hubs batches: every data section is a whole event. */
const BATCH_FORMAT = 0x80013700;

const IDEMPOTENT = "com.microsoft:idempotent-producer";
const PRODUCER_ID = "com.microsoft:producer-id";
const PRODUCER_EPOCH = "com.microsoft:producer-epoch";
const PRODUCER_NUMBER = "com.microsoft:producer-sequence-number";
const PARTITION_KEY = "x-opt-partition-key";

const STOLEN: AmqpError = {
  condition: "com.microsoft:producer-epoch-stolen",
  description: "A producer of a higher epoch has taken over.",
};

/**
 * How many messages a sender may have on the way to us or to the disk. Below the session's window of 2,048.
 */
const CREDIT = 1000;

/** The outcome of a message that was stored (AMQP 1.0 §3.4.2). One object serves all. */
export const ACCEPTED = rhea.message.accepted().described();

/** A link on which a client sends events. */
export interface SendingLink {
  readonly link: RheaReceiver;
  readonly entity: string;
  readonly hub: Hub;
  /** Set when the link is for one partition only. */
  readonly partition: Partition | undefined;
  readonly producer: Producer | undefined;
  /** An idempotent producer's link to no partition, where its numbers would mean nothing. */
  readonly unnumbered: boolean;
  /** Messages received and not yet answered. */
  unanswered: number;
}

/** Answers the attach of a client that wants to send events. Throws Refusal. */
export function openSendingLink(peer: Peer, link: RheaReceiver, entity: string): SendingLink {
  const match = /^([^/]+)(?:\/Partitions\/([^/]+))?$/i.exec(entity);
  const hub = peer.broker.hubs.get(match?.[1]?.toLowerCase() ?? "");
  if (!hub) throw notFound(entity);
  if (!isAuthorized(peer.claims, entity)) throw unauthorized(entity);
  const partition = match?.[2] === undefined ? undefined : partitionNamed(hub, match[2]);
  link.local.attach.max_message_size = MAX_MESSAGE_BYTES;
  const idempotent = hasCapability(link, IDEMPOTENT);
  if (idempotent) link.local.attach.offered_capabilities = [IDEMPOTENT];
  // A buffered producer also opens a link to the whole hub, to learn how large an event may be.
  const producer = idempotent && partition ? openProducer(link, partition) : undefined;
  const unnumbered = idempotent && !partition;
  // Credit goes out with the attach, so that the client's first send needn't wait for it.
  link.add_credit(CREDIT);
  return { link, entity, hub, partition, producer, unnumbered, unanswered: 0 };
}

function openProducer(link: RheaReceiver, partition: Partition): Producer {
  const producer = partition.producers.attach(
    numberProperty(link, PRODUCER_ID),
    numberProperty(link, PRODUCER_EPOCH),
    numberProperty(link, PRODUCER_NUMBER),
    () => link.close(STOLEN),
  );
  if (!producer) throw new Refusal(STOLEN.condition, STOLEN.description);
  link.local.attach.properties = {
    [PRODUCER_ID]: rhea.types.wrap_long(producer.id),
    [PRODUCER_EPOCH]: rhea.types.wrap_short(producer.epoch),
    [PRODUCER_NUMBER]: rhea.types.wrap_int(producer.last),
  };
  return producer;
}

/**
 * Takes one message, a batch or a single event, of `size` bytes; a message that is too long has lost its
 * bytes. It is accepted once it is flushed, and rejected with a reason otherwise. Never throws.
 */
export function receive(
  sending: SendingLink,
  delivery: RheaDelivery,
  bytes: Buffer,
  size: number,
  cork: () => void,
): void {
  sending.unanswered += 1;
  const answer = (error?: AmqpError) => {
    sending.unanswered -= 1;
    if (!sending.link.is_open()) {
      delivery.settled = true;
      return;
    }
    cork();
    // Settles at once, also for a sender that asked to settle first (AMQP 1.0 §2.8.3): the Python SDK asks
    // for that, and then doesn't settle.
    delivery.update(true, error ? rhea.message.rejected({ error }).described() : ACCEPTED);
    // Credit is given back in quarters, because each time is a frame.
    const missing = CREDIT - sending.link.credit - sending.unanswered;
    if (missing >= CREDIT / 4) sending.link.add_credit(missing);
  };
  try {
    if (size > MAX_MESSAGE_BYTES) throw tooLarge(delivery.id, size);
    store(sending, delivery.format, bytes, (error) => answer(error && asAmqpError(error)));
  } catch (error) {
    answer(asAmqpError(error));
  }
}

function tooLarge(id: number, size: number): Refusal {
  return new Refusal(
    "amqp:link:message-size-exceeded",
    `The received message (delivery-id:${id}, size:${size} bytes) exceeds the limit (${MAX_MESSAGE_BYTES} bytes) currently allowed on the link.`,
  );
}

function asAmqpError(error: unknown): AmqpError {
  const description = (error as Error).message;
  if (error instanceof Refusal) return { condition: error.condition, description };
  if (error instanceof DecodeError || error instanceof RangeError)
    return { condition: "amqp:decode-error", description };
  if (error instanceof AppendError) return { condition: "com.microsoft:server-busy", description };
  return { condition: "amqp:internal-error", description };
}

function store(
  sending: SendingLink,
  format: number | null | undefined,
  bytes: Buffer,
  stored: (error?: Error) => void,
): void {
  if (sending.unnumbered)
    throw new Refusal("amqp:not-allowed", "Idempotent publishing needs a link to one partition of the hub.");
  const isBatch = format === BATCH_FORMAT;
  if (!isBatch && format) throw new DecodeError(`unknown message format 0x${format.toString(16)}`);
  const events = isBatch ? dataBodies(bytes) : [bytes];
  if (events.length === 0 || events.some((event) => sections(event).length === 0))
    throw new DecodeError("a message without an event");
  const first = annotationsOf(events[0]!);
  const envelope = isBatch ? annotationsOf(bytes) : first;
  const partitionKey = keyIn(envelope) ?? keyIn(first);
  const partition = choosePartition(sending, partitionKey);
  const mark = sending.producer && markIn(sending.producer, first);
  if (mark && isRepeat(partition, mark, events.length)) {
    partition.append([], stored);
    return;
  }
  partition.append(
    events.map((event, index) => incoming(event, partitionKey, mark, index)),
    stored,
  );
  if (mark) partition.producers.advance(mark, events.length);
}

function keyIn(annotations: ReadonlyMap<string, string | number>): string | undefined {
  const key = annotations.get(PARTITION_KEY);
  if (key === undefined) return undefined;
  const text = String(key);
  // 65,535 would mean "no key" in a record, and no service takes more than 128 characters.
  if (Buffer.byteLength(text) > 4096) throw new Refusal("amqp:not-allowed", "The partition key is too long.");
  return text;
}

function choosePartition(sending: SendingLink, key: string | undefined): Partition {
  if (sending.partition) return sending.partition;
  const { partitions } = sending.hub;
  if (key !== undefined) return partitions[partitionOfKey(key, partitions.length)]!;
  const next = sending.hub.nextPartition;
  sending.hub.nextPartition = (next + 1) % partitions.length;
  return partitions[next]!;
}

function markIn(producer: Producer, annotations: ReadonlyMap<string, string | number>): ProducerMark {
  const number = Number(annotations.get(PRODUCER_NUMBER) ?? Number.NaN);
  if (!Number.isInteger(number) || number < 0 || number > 2_147_483_647)
    throw new Refusal("amqp:not-allowed", `Idempotent publishing needs the annotation ${PRODUCER_NUMBER}.`);
  return { id: producer.id, epoch: producer.epoch, sequenceNumber: number };
}

function isRepeat(partition: Partition, mark: ProducerMark, count: number): boolean {
  const verdict = partition.producers.judge(mark, count);
  if (verdict === "stolen") throw new Refusal(STOLEN.condition, STOLEN.description);
  if (verdict === "gap")
    throw new Refusal(
      "com.microsoft:out-of-order-sequence",
      `The producer's sequence number ${mark.sequenceNumber} does not follow the last one stored.`,
    );
  return verdict === "repeat";
}

function incoming(
  event: Buffer,
  partitionKey: string | undefined,
  mark: ProducerMark | undefined,
  index: number,
): IncomingEvent {
  const producer = mark && { ...mark, sequenceNumber: (mark.sequenceNumber + index) % 2_147_483_648 };
  return { event, partitionKey, producer };
}
