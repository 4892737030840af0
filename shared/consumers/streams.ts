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
/** One that takes longer than this is given up. */
const COMPARISON_MS = 30_000;
/** Its result counts this long for a batch that is tried again. */
const COMPARED_AGAIN_MS = 10_000;
/**
 * After this time batches are stored though their log can't be compared: a hub that only its trigger may read must
 * not stop them for ever.
 */
const COMPARED_AT_LAST_MS = 120_000;
const LOOK_MS = 10_000;
/** A partition in which nothing moved for this long while events wait is read by the sweep. */
const STANDS_MS = 20_000;

/** The numbers of the events that were stored last, shown last, and came last. */
interface Place {
  readonly stored: number;
  readonly broadcast: number;
  readonly last: number;
}

interface Comparison {
  /** Over which it is made. Comparing opens one where there was none; so that is known at its end. */
  connection: string | undefined;
  readonly done: Promise<void>;
  /** In milliseconds since 1970. */
  ended: number | undefined;
}

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
  readonly #comparisons = new Map<string, Comparison>();
  /** Partitions that can't be compared: since when, and where they stood then. */
  readonly #late = new Map<string, { readonly since: number; readonly position: StreamPosition }>();
  readonly #working = new Map<string, Promise<void>>();
  /** Where each partition with waiting events stood, and since when. */
  readonly #stood = new Map<
    string,
    { readonly stored: number; readonly broadcast: number; readonly since: number }
  >();
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
   * After that it is done in the background, as soon as it can be.
   */
  async beforeBatch(stream: Stream): Promise<void> {
    const name = nameOf(stream);
    if (!this.#working.has(name)) this.#unattended.delete(name);
    const connection = this.deps.bus.connection(stream.hub);
    if (connection !== undefined && this.#comparedOver.get(name) === connection) return;
    const comparing = this.#comparisonOver(connection, stream);
    const late = this.#late.get(name);
    if (late && this.deps.now() - late.since >= COMPARED_AT_LAST_MS) return;
    try {
      if ((await within(COMPARED_MS, comparing.done)) === LATE)
        throw new ChatError("UNAVAILABLE", "Comparing the hub's log with what is stored takes too long.");
    } catch (error) {
      await this.#noteLate(stream);
      throw error;
    }
  }

  /** The comparison that is under way over this connection, or has just ended; or a new one. */
  #comparisonOver(connection: string | undefined, stream: Stream): Comparison {
    const name = nameOf(stream);
    const known = this.#comparisons.get(name);
    const isOld = known?.ended !== undefined && this.deps.now() - known.ended > COMPARED_AGAIN_MS;
    if (known && !isOld && known.connection === connection) return known;
    const begun: Comparison = { connection, done: this.#compareInTime(stream), ended: undefined };
    this.#comparisons.set(name, begun);
    begun.done.then(
      () => {
        begun.ended = this.deps.now();
        // Without a name it would count for the time after the next loss, too.
        begun.connection ??= this.deps.bus.connection(stream.hub);
        this.#comparedOver.set(name, begun.connection);
        this.#late.delete(name);
      },
      (error: unknown) => {
        if (this.#comparisons.get(name) === begun) this.#comparisons.delete(name);
        this.#failed(stream, error);
      },
    );
    return begun;
  }

  /** With where the partition stood when comparing it failed first: batches may have been stored since. */
  async #compareInTime(stream: Stream): Promise<void> {
    const position = this.#late.get(nameOf(stream))?.position;
    const work = (async () => this.#compare(stream, position ?? (await this.#positionOf(stream))))();
    const isBack = await within(COMPARISON_MS, work);
    if (isBack === LATE) throw new ChatError("UNAVAILABLE", `Comparing took more than ${COMPARISON_MS} ms.`);
    // The batch that waits for this reads what is missing before it. One that did not wait may be stored by now.
    if (isBack) this.#inBackground(stream, () => this.#read(stream));
  }

  async #noteLate(stream: Stream): Promise<void> {
    const name = nameOf(stream);
    if (this.#late.has(name)) return;
    const since = this.deps.now();
    const position = await this.#positionOf(stream).catch(() => undefined);
    if (position && !this.#late.has(name)) this.#late.set(name, { since, position });
  }

  #positionOf(stream: Stream): Promise<StreamPosition | undefined> {
    return findPosition(this.deps.database, stream);
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
    // The other work of the sweep doesn't wait for a bus that hangs.
    for (const hub of HUBS) this.#inBackground({ hub, partitionId: "all" }, () => this.#look(hub));
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
    const { bus, now } = this.deps;
    const position = await this.#positionOf(stream);
    const last = (await bus.lastEnqueued(stream.hub, stream.partitionId))?.sequenceNumber ?? -1;
    if (position && last < position.stored) this.#inBackground(stream, () => this.#check(stream, position));
    const stored = position?.stored ?? (await this.#beforeFirst(stream));
    const broadcast = position?.broadcast ?? stored;
    const name = nameOf(stream);
    const before = this.#stood.get(name);
    if (last <= Math.min(stored, broadcast)) this.#stood.delete(name);
    else if (before?.stored !== stored || before.broadcast !== broadcast)
      this.#stood.set(name, { stored, broadcast, since: now() });
    else if (now() - before.since >= STANDS_MS) this.#readStanding(stream, { stored, broadcast, last });
  }

  /** Where a partition stands of which nothing was stored yet. Retention may have taken all that it had. */
  async #beforeFirst({ hub, partitionId }: Stream): Promise<number> {
    return (await this.deps.bus.firstSequenceNumber(hub, partitionId)) - 1;
  }

  /** Before anything is read, the log is compared: what took old numbers comes first. */
  #readStanding(stream: Stream, place: Place): void {
    const name = nameOf(stream);
    const what =
      place.last > place.stored
        ? "a partition stands: no trigger reads it, so its events are read here"
        : "what a partition has stored is not shown, and is shown again";
    this.#limited((suppressed) => log.error(what, { ...stream, ...place, suppressed }));
    if (!this.#unattended.has(name))
      count.replayed(stream.hub, "unattended", place.last - Math.min(place.stored, place.broadcast));
    this.#unattended.set(name, stream);
    this.#inBackground(stream, async () => {
      await this.#compare(stream, await this.#positionOf(stream));
      await this.#read(stream);
    });
  }

  async #check(stream: Stream, position: StreamPosition): Promise<void> {
    if (await this.#compare(stream, position)) await this.#read(stream);
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
