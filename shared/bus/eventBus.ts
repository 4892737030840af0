/** The event bus as commands and consumers see it. Every method throws `UNAVAILABLE` when the bus can't be reached in time. */
export interface EventBus {
  /**
   * Publishes one event; resolves when the bus has stored it on all replicas. Events of one key keep the order in
   * which their publishing was awaited. A failed publish may still have been stored: consumers drop repeats.
   * `traceparent` (W3C Trace Context) goes along as an application property.
   */
  publish(hub: string, key: string, event: object, traceparent?: string): Promise<void>;
  /** Publishes events of one key together, in order: all of them or, where it throws, perhaps none. Together at most 1 MB. */
  publishAll(hub: string, key: string, events: readonly object[]): Promise<void>;
  /** When the hub was made. The answer may be up to 30 s old unless a fresh one is asked for. */
  createdOn(hub: string, freshness?: "fresh"): Promise<Date>;
  /** The ids of the hub's partitions. */
  partitionIds(hub: string): Promise<readonly string[]>;
  /** The sequence number of the partition's first event that is still kept, or of the next one where it is empty. */
  firstSequenceNumber(hub: string, partitionId: string): Promise<number>;
  /**
   * The first `limit` of the events `from` to `to` (inclusive) that the hub still has, in order: for a consumer that finds a
   * hole before its batch. That there are none proves nothing: ask `firstSequenceNumber` what retention has taken. Uses a consumer group of its own, because the Functions host's reader owns the other one.
   */
  readRange(
    hub: string,
    partitionId: string,
    from: number,
    to: number,
    limit: number,
  ): Promise<readonly ReceivedEvent[]>;
  /** Throws when the bus can't be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface ReceivedEvent {
  readonly sequenceNumber: number;
  /** The key it was published with, where it had one. */
  readonly key: string | undefined;
  readonly body: Uint8Array;
}

/** What an Event Hub trigger hands over: consecutive events of one partition, in order. */
export interface EventBatch {
  readonly hub: string;
  readonly partitionId: string;
  readonly events: readonly ReceivedEvent[];
}
