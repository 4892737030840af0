import type { EventBatch, ReceivedEvent } from "../bus/eventBus.js";
import { LATE, within } from "../platform/async.js";
import { ChatError } from "../platform/errors.js";
import { atMostEvery, log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import { findPosition, type Stream, type StreamPosition } from "../store/streamPositions.js";
import { catchUp } from "./catchUp.js";
import type { ConsumeDeps } from "./deps.js";
import { HUBS } from "./lag.js";
import { hasGoneBack, rewind } from "./timeline.js";

/** A comparison that takes longer than this fails its batch, which is tried again and then waits for the same one. */
const COMPARED_MS = 2_000;
/**
 * After this time batches are stored though their log can't be compared: a hub that only its trigger may read must
 * not stop them for ever.
 */
const COMPARED_AT_LAST_MS = 120_000;
const LOOK_MS = 10_000;
/** A partition in which nothing moved for this long while events wait is read by the sweep. */
const STANDS_MS = 20_000;

type Partition = Pick<Stream, "hub" | "partitionId">;
type Stores = Readonly<Record<string, (batch: EventBatch) => Promise<void>>>;

const nameOf = ({ hub, partitionId }: Partition): string => `${hub} ${partitionId}`;

/**
 * Watches over the streams: finds logs that went back, and partitions that stand still because no trigger reads
 * them, and reads what waits there itself. It is safe beside a trigger that wakes up, as each event is stored
 * once.
 */
export class Streams {
  readonly #limited = atMostEvery(60_000);
  /** Over which connection each partition was compared last. */
  readonly #comparedOver = new Map<string, string | undefined>();
  /** Since when each partition that can't be compared would have been. */
  readonly #uncompared = new Map<string, number>();
  readonly #comparing = new Map<string, Promise<unknown>>();
  readonly #working = new Map<string, Promise<void>>();
  /** Where each partition with waiting events stood, and since when. */
  readonly #stood = new Map<string, { readonly stored: number; readonly since: number }>();
  /** Partitions that stood, and of which no trigger has brought anything since: each sweep reads them. */
  readonly #unattended = new Map<string, Partition>();
  #looked = Number.NEGATIVE_INFINITY;

  /** `stores` has what stores a batch, by hub. */
  constructor(
    private readonly stores: Stores,
    private readonly deps: ConsumeDeps,
  ) {}

  /**
   * Called before each batch. No log goes back without all connections to it being lost. So each partition's first
   * batch on a connection waits until its log has been compared with what was stored: events that took old numbers
   * are stored before those behind them. Throws `UNAVAILABLE` where that can't be done, for two minutes at most.
   */
  async beforeBatch(stream: Stream): Promise<void> {
    const name = nameOf(stream);
    if (!this.#working.has(name)) this.#unattended.delete(name);
    const connection = this.deps.bus.connection(stream.hub);
    if (connection !== undefined && this.#comparedOver.get(name) === connection) return;
    if (!(await this.#isCompared(stream))) return;
    // Comparing opens a connection where there was none.
    this.#comparedOver.set(name, connection ?? this.deps.bus.connection(stream.hub));
  }

  /** Whether the log was compared. It is not where that has failed for so long that its batches go on without. */
  async #isCompared(stream: Stream): Promise<boolean> {
    const [name, now] = [nameOf(stream), this.deps.now()];
    const comparing = this.#comparing.get(name) ?? this.#compareNow(stream);
    this.#comparing.set(name, comparing);
    try {
      if ((await within(COMPARED_MS, comparing)) === LATE)
        throw new ChatError("UNAVAILABLE", "Comparing the hub's log with what is stored takes too long.");
      this.#comparing.delete(name);
      this.#uncompared.delete(name);
      return true;
    } catch (error) {
      const since = this.#uncompared.get(name) ?? now;
      this.#uncompared.set(name, since);
      if (now - since < COMPARED_AT_LAST_MS) throw error;
      this.#failed(stream, error);
      return false;
    }
  }

  /** Called after each batch. Looks at the log, in the background, where the batch began with a repeat. */
  onBatch(stream: Stream, before: StreamPosition, events: readonly ReceivedEvent[]): void {
    if (events[0]!.sequenceNumber <= before.stored)
      this.#inBackground(stream, () => this.#check(stream, before));
  }

  /** Called every few seconds. Never throws. */
  async sweep(): Promise<void> {
    for (const partition of this.#unattended.values())
      this.#inBackground(partition, () => this.#read(partition));
    if (this.deps.now() - this.#looked < LOOK_MS) return;
    this.#looked = this.deps.now();
    for (const hub of HUBS)
      await this.#look(hub).catch((error: unknown) =>
        this.#limited((suppressed) => log.warn("a hub could not be looked at", { hub, error, suppressed })),
      );
  }

  /** Resolves when nothing runs in the background. */
  async idle(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working.values());
  }

  async #look(hub: string): Promise<void> {
    const hubId = await this.deps.bus.hubId(hub);
    for (const partitionId of await this.deps.bus.partitionIds(hub))
      await this.#lookAt({ hub, partitionId, hubId });
  }

  async #lookAt(stream: Stream): Promise<void> {
    const { bus, database, now } = this.deps;
    const position = await findPosition(database, stream);
    const last = (await bus.lastEnqueued(stream.hub, stream.partitionId))?.sequenceNumber ?? -1;
    if (position && last < position.stored) this.#inBackground(stream, () => this.#check(stream, position));
    const stored = position ? Math.min(position.stored, position.broadcast) : await this.#beforeFirst(stream);
    const name = nameOf(stream);
    const before = this.#stood.get(name);
    if (last <= stored) this.#stood.delete(name);
    else if (before?.stored !== stored) this.#stood.set(name, { stored, since: now() });
    else if (now() - before.since >= STANDS_MS) this.#readStanding(stream, stored, last);
  }

  /** Where a partition stands of which nothing was stored yet. Retention may have taken all that it had. */
  async #beforeFirst({ hub, partitionId }: Stream): Promise<number> {
    return (await this.deps.bus.firstSequenceNumber(hub, partitionId)) - 1;
  }

  /** Before anything is read, the log is compared: what took old numbers comes first. */
  #readStanding(stream: Stream, stored: number, last: number): void {
    const place = { ...stream, stored, last };
    this.#limited((suppressed) =>
      log.error("a partition stands: no trigger reads it, so its events are read here", {
        ...place,
        suppressed,
      }),
    );
    count.replayed(stream.hub, "unattended", last - stored);
    this.#unattended.set(nameOf(stream), stream);
    this.#inBackground(stream, async () => {
      await this.#compareNow(stream);
      await this.#read(stream);
    });
  }

  async #check(stream: Stream, position: StreamPosition): Promise<void> {
    if (await this.#compare(stream, position)) await this.#read(stream);
  }

  /** The comparison with where the stream stands now. One that failed is not waited for again. */
  async #compareNow(stream: Stream): Promise<boolean> {
    try {
      return await this.#compare(stream, await findPosition(this.deps.database, stream));
    } catch (error) {
      this.#comparing.delete(nameOf(stream));
      throw error;
    }
  }

  /** Whether the log went back. Then the position is before what it has since. */
  async #compare(stream: Stream, position: StreamPosition | undefined): Promise<boolean> {
    if (!position || position.stored < 0) return false;
    if (!(await hasGoneBack(stream, position, this.deps.bus))) return false;
    await rewind(stream, position, this.deps);
    return true;
  }

  async #read({ hub, partitionId }: Partition): Promise<void> {
    const store = this.stores[hub];
    if (store) await catchUp(hub, partitionId, store, this.deps);
  }

  /** One piece of work for each partition at a time; failures are logged, and the next look finds the same. */
  #inBackground(stream: Partition, work: () => Promise<void>): void {
    const name = nameOf(stream);
    if (this.#working.has(name)) return;
    const running = work()
      .catch((error: unknown) => this.#failed(stream, error))
      .finally(() => this.#working.delete(name));
    this.#working.set(name, running);
  }

  #failed({ hub, partitionId }: Partition, error: unknown): void {
    this.#limited((suppressed) =>
      log.warn("a partition could not be looked at", { hub, partitionId, error, suppressed }),
    );
  }
}
