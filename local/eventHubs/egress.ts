import { annotate, withLastEnqueued } from "./amqpBytes.js";
import { hasCapability, numberProperty, type Peer } from "./broker.js";
import { partitionNamed } from "./hubs.js";
import type { Partition } from "./partition.js";
import { notFound, Refusal, unauthorized } from "./refusals.js";
import type { RheaSender } from "./rhea.js";
import { isAuthorized } from "./sas.js";
import { filterIn, startOf } from "./startPosition.js";

/** The service's limit for readers without an epoch, per partition and consumer group. */
const MAX_READERS = 5;

/** Bytes sent before other work gets a turn. */
const TURN_BYTES = 512 * 1024;

/** Bytes that may wait in a socket whose peer doesn't read. Above this the reader waits for it to drain. */
const MAX_SOCKET_BYTES = 4 * 1024 * 1024;

const NOTHING: readonly Buffer[] = [];

export interface ReaderOptions {
  readonly link: RheaSender;
  readonly entity: string;
  readonly group: string;
  /** The owner level; undefined for one of several readers without. */
  readonly epoch: number | undefined;
  readonly partition: Partition;
  /** The sequence number of the first event to send. */
  readonly next: number;
  readonly log: (text: string) => void;
}

/** A link on which a client reads a partition. */
export class Reader {
  readonly link: RheaSender;
  readonly entity: string;
  readonly group: string;
  readonly epoch: number | undefined;
  readonly #partition: Partition;
  readonly #wantsLast: boolean;
  readonly #log: (text: string) => void;
  #next: number;
  #unwritten: { id: number; data: readonly Buffer[] }[] = [];
  #scheduled = false;
  #attached = false;

  constructor({ link, entity, group, epoch, partition, next, log }: ReaderOptions) {
    this.link = link;
    this.entity = entity;
    this.group = group;
    this.epoch = epoch;
    this.#partition = partition;
    this.#wantsLast = hasCapability(link, "com.microsoft:enable-receiver-runtime-metric");
    this.#next = next;
    this.#log = log;
    // rhea writes transfers before attaches, and a client may grant credit together with its attach. So
    // nothing may go out before rhea's own nextTick has written our attach.
    process.nextTick(() => {
      this.#attached = true;
      this.pump();
    });
  }

  /**
   * Sends the flushed events that the credit allows. To be called when there are more events or more credit.
   * Never throws.
   */
  pump(): void {
    try {
      this.#pump();
    } catch (error) {
      this.#log(`${this.entity}: ${(error as Error).message}`);
      this.detach("amqp:internal-error", (error as Error).message);
    }
  }

  #pump(): void {
    const { link } = this;
    const { socket } = link.connection;
    let sent = 0;
    let corked = false;
    while (this.#maySend() && socket.writableLength + sent < MAX_SOCKET_BYTES) {
      const event = this.#partition.read(this.#next);
      if (!event) break;
      if (sent > TURN_BYTES) {
        this.#again();
        break;
      }
      // All frames of this turn are one write. rhea writes them in its own nextTick, which comes before ours.
      if (!corked) socket.cork();
      corked = true;
      const wire = annotate(event.event, event);
      const bytes = this.#wantsLast
        ? withLastEnqueued(wire, this.#partition.last ?? event, Date.now())
        : wire.bytes;
      if (bytes.length > (link.max_message_size || Number.POSITIVE_INFINITY)) {
        this.#tooLong(bytes.length);
        break;
      }
      this.#unwritten.push(link.send(bytes, undefined, 0));
      this.#next = event.sequenceNumber + 1;
      sent += bytes.length;
    }
    if (corked) process.nextTick(() => socket.uncork());
    if (link._draining && this.#attached && !this.#scheduled) link.set_drained(true);
  }

  /**
   * True when another event may go out. rhea lowers the credit only when it writes a transfer, and throws
   * when its buffer of unsettled ones overflows.
   */
  #maySend(): boolean {
    const { link } = this;
    if (!this.#attached || !link.is_open() || link.session.outgoing.available() === 0) return false;
    const written = link.session.outgoing.next_pending_delivery;
    let done = 0;
    for (; done < this.#unwritten.length && this.#unwritten[done]!.id < written; done += 1) {
      // A written event isn't kept until its reader settles it, because it is never sent again.
      this.#unwritten[done]!.data = NOTHING;
    }
    if (done > 0) this.#unwritten.splice(0, done);
    return link.credit > this.#unwritten.length;
  }

  /**
   * The event is longer than the reader has said that it takes (AMQP 1.0 §2.7.3; 0 or nothing is any length).
   */
  #tooLong(size: number): void {
    const limit = this.link.max_message_size;
    this.detach(
      "amqp:link:message-size-exceeded",
      `The event ${this.#next} has ${size} bytes, and its reader takes ${limit}.`,
    );
  }

  #again(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.pump();
    });
  }

  /** Ends the reader, with an error for its client. */
  detach(condition: string, description: string): void {
    this.forget();
    this.link.close({ condition, description });
  }

  /** Takes the reader off its partition. To be called when its link is gone. */
  forget(): void {
    this.#partition.readers.delete(this);
  }
}

/** Answers the attach of a client that wants to read a partition. Throws Refusal. */
export function openReader(peer: Peer, link: RheaSender, entity: string): Reader {
  const match = /^([^/]+)\/ConsumerGroups\/([^/]+)\/Partitions\/([^/]+)$/i.exec(entity);
  const hub = peer.broker.hubs.get(match?.[1]?.toLowerCase() ?? "");
  const group = match?.[2]?.toLowerCase() ?? "";
  if (!hub?.consumerGroups.has(group)) throw notFound(entity);
  if (!isAuthorized(peer.claims, entity)) throw unauthorized(entity);
  const partition = partitionNamed(hub, match![3]!);
  const next = startOf(link.source?.filter, partition);
  // The answer has the filters that are in effect, and no others (AMQP 1.0 §3.5.3).
  link.set_source({ address: link.source?.address, filter: filterIn(link.source?.filter) });
  const epoch = numberProperty(link, "com.microsoft:epoch");
  makeRoom(partition, group, epoch, link.local.attach.name);
  const log = (text: string) => peer.broker.log("error", text);
  const reader = new Reader({ link, entity, group, epoch, partition, next, log });
  partition.readers.add(reader);
  return reader;
}

/** The owner rules: the highest epoch reads alone; without one, up to five read side by side. */
function makeRoom(partition: Partition, group: string, epoch: number | undefined, name: string): void {
  const others = [...partition.readers].filter(
    (each) => each instanceof Reader && each.group === group,
  ) as Reader[];
  const highest = Math.max(-1, ...others.map((each) => each.epoch ?? -1));
  if (epoch === undefined && highest >= 0)
    throw stolen(`A receiver with epoch '${highest}' exists, so one without an epoch is not allowed.`);
  if (epoch !== undefined && epoch < highest)
    throw stolen(`A receiver with epoch '${highest}' exists, so the lower epoch '${epoch}' is not allowed.`);
  if (epoch === undefined && others.length >= MAX_READERS)
    throw new Refusal(
      "amqp:resource-limit-exceeded",
      `Exceeded the maximum number of allowed receivers per partition in a consumer group, which is ${MAX_READERS}.`,
    );
  if (epoch === undefined) return;
  for (const other of others)
    other.detach("amqp:link:stolen", `New receiver '${name}' with higher epoch of '${epoch}' is created.`);
}

const stolen = (text: string): Refusal => new Refusal("amqp:link:stolen", text);
