import type { EventBus, LastEnqueued, ReceivedEvent } from "../../shared/bus/eventBus.js";
import { ChatError } from "../../shared/platform/errors.js";

interface FakeHub {
  id: string;
  partitions: ReceivedEvent[][];
  /** How many events of each partition retention has taken. */
  cut: number[];
}

/** An event bus in memory, with the faults that tests ask for. */
export class FakeEventBus implements EventBus {
  readonly hubs = new Map<string, FakeHub>();
  readonly system = "eventhubs";
  readonly traces: (string | undefined)[] = [];
  /** While set, every call fails as if the bus were away. */
  away = false;
  /** While set, reading waits for it, as if the bus hung. */
  hanging: Promise<void> | undefined;
  #made = 0;
  #lost = 0;
  #isOpen = true;

  constructor(partitions: Readonly<Record<string, number>>) {
    for (const [name, count] of Object.entries(partitions)) this.makeHub(name, count);
  }

  /** Makes a hub. One that was there is replaced: its sequence numbers begin at 0 again. */
  makeHub(name: string, partitions: number): void {
    this.#made += 1;
    this.hubs.set(name, {
      id: `${name}-${this.#made}`,
      partitions: Array.from({ length: partitions }, () => []),
      cut: Array.from({ length: partitions }, () => 0),
    });
  }

  /** Puts an event's raw bytes on a partition and returns it as a consumer gets it. */
  append(hub: string, partitionId: string, body: Uint8Array | string, key?: string): ReceivedEvent {
    const partition = this.#partition(hub, partitionId);
    const enqueuedOn = new Date();
    const event = { sequenceNumber: partition.length, key, body: Buffer.from(body), enqueuedOn };
    partition.push(event);
    return event;
  }

  /** Lets the log go back: of a partition only the first `count` events are left, and the next gets their number. */
  goBack(hub: string, partitionId: string, count: number): void {
    this.#partition(hub, partitionId).splice(count);
  }

  /** Lets retention take the events before a sequence number. */
  cutBefore(hub: string, partitionId: string, sequenceNumber: number): void {
    this.#hub(hub).cut[Number(partitionId)] = sequenceNumber;
  }

  async publish(hub: string, key: string, event: object, traceparent?: string): Promise<void> {
    this.traces.push(traceparent);
    const appended = this.append(hub, this.#partitionOf(hub, key), JSON.stringify(event), key);
    if (traceparent !== undefined) Object.assign(appended, { traceparent });
  }

  async publishAgain(hub: string, key: string, body: Uint8Array, replayOf: string): Promise<void> {
    Object.assign(this.append(hub, this.#partitionOf(hub, key), body, key), { replayOf });
  }

  async publishAll(hub: string, key: string, events: readonly object[], traceparent?: string): Promise<void> {
    for (const event of events) await this.publish(hub, key, event, traceparent);
  }

  async hubId(hub: string): Promise<string> {
    return this.#hub(hub).id;
  }

  async hasHub(hub: string): Promise<boolean> {
    await this.ping();
    return this.hubs.has(hub);
  }

  async partitionIds(hub: string): Promise<readonly string[]> {
    return this.#hub(hub).partitions.map((_, id) => String(id));
  }

  async partitionOf(hub: string, key: string): Promise<string> {
    await this.ping();
    return this.#partitionOf(hub, key);
  }

  async firstSequenceNumber(hub: string, partitionId: string): Promise<number> {
    this.#partition(hub, partitionId);
    return this.#hub(hub).cut[Number(partitionId)] ?? 0;
  }

  async lastEnqueued(hub: string, partitionId: string): Promise<LastEnqueued | undefined> {
    this.#isOpen = true;
    const last = this.#partition(hub, partitionId).at(-1);
    return last && { sequenceNumber: last.sequenceNumber, on: last.enqueuedOn! };
  }

  async readRange(
    hub: string,
    partitionId: string,
    from: number,
    to: number,
    limit: number,
  ): Promise<readonly ReceivedEvent[]> {
    await this.hanging;
    const first = Math.max(from, this.#hub(hub).cut[Number(partitionId)] ?? 0);
    return this.#partition(hub, partitionId)
      .slice(first, Math.max(first, to + 1))
      .slice(0, limit);
  }

  connection(): string | undefined {
    return this.away || !this.#isOpen ? undefined : `connection ${this.#lost}`;
  }

  /** The connection is lost. There is another one at once, or `when asked`: when a partition is looked at next. */
  loseConnection(another: "at once" | "when asked" = "at once"): void {
    this.#lost += 1;
    this.#isOpen = another === "at once";
  }

  async ping(): Promise<void> {
    if (this.away) throw new ChatError("UNAVAILABLE", "the fake bus is away");
  }

  async close(): Promise<void> {}

  #partitionOf(hub: string, key: string): string {
    const hash = [...key].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) >>> 0, 7);
    return String(hash % this.#hub(hub).partitions.length);
  }

  #hub(name: string): FakeHub {
    const hub = this.hubs.get(name);
    if (this.away || !hub)
      throw new ChatError("UNAVAILABLE", hub ? "the fake bus is away" : `no hub ${name}`);
    return hub;
  }

  #partition(hub: string, partitionId: string): ReceivedEvent[] {
    const partition = this.#hub(hub).partitions[Number(partitionId)];
    if (!partition) throw new ChatError("UNAVAILABLE", `no partition ${partitionId}`);
    return partition;
  }
}
