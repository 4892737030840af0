/**
 * The event bus as commands and consumers see it. Every method throws `UNAVAILABLE` when the bus can't be
 * reached in time.
 */
export interface EventBus {
  /** As OpenTelemetry's semantic conventions name it (`messaging.system`). */
  readonly system: "eventhubs" | "kafka";
  /**
   * Publishes one event. Resolves when the bus has stored it on all replicas. Events of one key keep the
   * order in which their publishing was awaited. The bus may have stored an event whose publishing failed:
   * consumers drop repeats. `traceparent` (W3C Trace Context) goes along as an application property.
   */
  publish(hub: string, key: string, event: object, traceparent?: string): Promise<void>;
  /**
   * Publishes events of one key together, in order, at most 1 MB in all. The bus stores all of them or none.
   * When the call throws it may have done either. `traceparent` goes along with each.
   */
  publishAll(hub: string, key: string, events: readonly object[], traceparent?: string): Promise<void>;
  /**
   * Publishes an event's bytes once more, as they are, marked as the replay of this dead letter
   * (`HUB/PARTITION/NUMBER`).
   */
  publishAgain(hub: string, key: string, body: Uint8Array, replayOf: string): Promise<void>;
  /**
   * What tells the hub from an earlier or later one of the same name: of Event Hubs its creation time, of Kafka
   * the topic's id; at most 40 ASCII characters. The answer may be up to 30 s old unless the caller asks for a
   * fresh one.
   */
  hubId(hub: string, freshness?: "fresh"): Promise<string>;
  /** Whether the bus has a hub of this name. */
  hasHub(hub: string): Promise<boolean>;
  /** The ids of the hub's partitions. */
  partitionIds(hub: string): Promise<readonly string[]>;
  /** The id of the partition in which the events of a key stand. */
  partitionOf(hub: string, key: string): Promise<string>;
  /**
   * The sequence number of the first event that the partition still keeps. In an empty one, that of the next
   * event.
   */
  firstSequenceNumber(hub: string, partitionId: string): Promise<number>;
  /**
   * The event that was added to the partition last, whether or not the hub still has it. Nothing where none
   * ever was.
   */
  lastEnqueued(hub: string, partitionId: string): Promise<LastEnqueued | undefined>;
  /**
   * The first `limit` of the events `from` to `to` (inclusive) that the hub still has, in order. A consumer
   * asks for them when it finds a hole before its batch. Numbers between them that are proved to have no event
   * come as `absent` ones. An empty answer proves nothing:
   * `firstSequenceNumber` says which events retention has removed. The reader uses a consumer group of its
   * own, because the Functions host's reader owns the other one.
   */
  readRange(
    hub: string,
    partitionId: string,
    from: number,
    to: number,
    limit: number,
  ): Promise<readonly ReceivedEvent[]>;
  /**
   * Names the connection over which the hub is asked; another name once it was lost. Nothing where none is open,
   * or where that can't be told. It is known without asking the bus.
   */
  connection(hub: string): string | undefined;
  /** Throws when the bus can't be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface LastEnqueued {
  readonly sequenceNumber: number;
  /** Nothing where the bus has neither the event nor its time any more. */
  readonly on: Date | undefined;
}

export interface ReceivedEvent {
  readonly sequenceNumber: number;
  /** The key that the event was published with, if it had one. */
  readonly key: string | undefined;
  readonly body: Uint8Array;
  /** The trace that it was published with, as it came. */
  readonly traceparent?: string;
  /** The dead letter that it is the replay of. */
  readonly replayOf?: string;
  /** When the bus took it, where that is told. */
  readonly enqueuedOn?: Date;
  /** Set on a number that `readRange` has found to have no event: Kafka keeps its own marks in the log, too. */
  readonly absent?: true;
}

/** The events that an Event Hub trigger hands over: consecutive events of one partition, in order. */
export interface EventBatch {
  readonly hub: string;
  readonly partitionId: string;
  readonly events: readonly ReceivedEvent[];
}
