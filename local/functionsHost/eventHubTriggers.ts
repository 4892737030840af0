import {
  CloseReason,
  EventHubConsumerClient,
  type EventHubConsumerClientOptions,
  type EventPosition,
  earliestEventPosition,
  latestEventPosition,
  type MessagingError,
  type PartitionContext,
  type ReceivedEventData,
  type Subscription,
} from "@azure/event-hubs";
import type { ContainerClient } from "@azure/storage-blob";
import { partitionOf } from "./amqpArrivals.js";
import { Arrivals } from "./arrivals.js";
import { Checkpointing } from "./checkpointing.js";
import { LocalCheckpointStore, OWNERSHIP_MS, storageContainer } from "./checkpoints.js";
import { type TriggerTarget, toInvocation } from "./eventHubMessages.js";
import { describe, type Log, throttled } from "./log.js";
import { ownerName } from "./owners.js";
import { pause, withRetries } from "./retry.js";
import type { RegisteredFunction } from "./rpc.js";
import {
  connectionString,
  type EventHubSettings,
  type EventHubsConnection,
  eventHubsConnection,
  resolveNames,
} from "./settings.js";
import type { Worker } from "./worker.js";

/** A consumer whose connection broke looks again after this time. */
const MAX_IDLE_MS = 1_000;
/**
 * The SDK waits 20 ms for more from the first event on, as far as this longest wait lets it. So it is asked only when
 * bytes have come (`arrivals.ts`), and after a wait of our own.
 */
const SDK_WAIT_S = 0.001;
/** Where no arrival is ever seen, as over TLS, the SDK is asked so often, and less often where it has nothing. */
const UNSEEN_MS = 20;
/**
 * The longest wait for more events. Where calls have one event or two nothing waits. Where they have had more,
 * between two calls of a partition passes up to as much time as the first one took: so what is busy takes more at a
 * time, and costs less.
 */
const MAX_GATHER_MS = 20;
/** From so many events a call on it waits, and from so many on as long as it may. */
const GATHER_FROM = 1.5;
const GATHER_ALL = 3;
/** Of the newest call in what is usual. */
const NEWEST_SHARE = 0.2;
/** What came may be a part of an event. Each time in vain the SDK is asked half as often, down to this. */
const MAX_IN_VAIN_MS = 40;
/** The pause of a partition's reader between two attempts while Event Hubs are away. */
const AWAY_MS = 250;

/**
 * Starts the Event Hub triggers among the worker's functions. Throws when a trigger names a setting that does
 * not exist.
 */
export async function startEventHubTriggers(
  worker: Worker,
  functions: readonly RegisteredFunction[],
  settings: EventHubSettings,
  env: NodeJS.ProcessEnv,
  log: Log,
): Promise<EventHubTrigger[]> {
  const triggered = functions.flatMap((fn) =>
    Object.entries(fn.metadata.bindings)
      .filter(([, { type }]) => type === "eventHubTrigger")
      .map(([bindingName]) => ({ fn, bindingName })),
  );
  const prepared = await Promise.all(triggered.map(({ fn, bindingName }) => prepare(fn, bindingName, env)));
  return prepared.map((one) => new EventHubTrigger(worker, one, settings, log));
}

interface Prepared {
  /** Of the namespace. */
  readonly port: number;
  readonly fn: RegisteredFunction;
  readonly target: TriggerTarget;
  readonly container: ContainerClient;
  readonly checkpoints: LocalCheckpointStore;
  readonly group: string;
  readonly consumer: EventHubConsumerClient;
}

async function prepare(
  fn: RegisteredFunction,
  bindingName: string,
  env: NodeJS.ProcessEnv,
): Promise<Prepared> {
  const where = `function "${fn.metadata.name}"`;
  const binding = fn.metadata.bindings[bindingName]!;
  const hub = resolveNames(binding.eventHubName ?? "", env, where);
  const group = resolveNames(binding.consumerGroup || "$Default", env, where);
  const connection = eventHubsConnection(binding.connection ?? "", env, where);
  const container = storageContainer(
    connectionString("AzureWebJobsStorage", env, where),
    "azure-webjobs-eventhub",
  );
  const checkpoints = new LocalCheckpointStore(container);
  let consumer: EventHubConsumerClient;
  try {
    consumer = await openConsumer(connection, group, hub, checkpoints, {
      identifier: ownerName(),
      // The SDK's readers end for good when all their retries failed, because what they throw then, an
      // AggregateError, is not `retryable`. One failure alone is, so `processError` does the waiting.
      retryOptions: { maxRetries: 0, timeoutInMs: 10_000 },
      // Greedy: it takes its whole share at once instead of one partition every interval. Expiry matters only
      // for owners on other machines, and is long enough for a busy machine to renew in time.
      loadBalancingOptions: {
        strategy: "greedy",
        updateIntervalInMs: 1_000,
        partitionOwnershipExpirationIntervalInMs: OWNERSHIP_MS,
      },
    });
  } catch (cause) {
    throw new Error(
      `${where}: its setting ${binding.connection} cannot be used: ${(cause as Error).message}`,
      { cause },
    );
  }
  const target: TriggerTarget = {
    functionId: fn.id,
    bindingName,
    binary: binding.dataType === "binary",
    many: binding.cardinality !== "one",
  };
  return { port: portOf(connection), fn, target, container, checkpoints, group, consumer };
}

/** A connection string names its port only where it is not that of AMQP over TLS. */
function portOf(connection: EventHubsConnection): number {
  const host = connection.kind === "key" ? /Endpoint=[a-z]+:\/\/([^;/]+)/i.exec(connection.text)?.[1] : "";
  const port = /:(\d+)$/.exec(host ?? "")?.[1];
  if (port !== undefined) return Number(port);
  return connection.kind === "key" && /UseDevelopmentEmulator=true/i.test(connection.text) ? 5672 : 5671;
}

async function openConsumer(
  connection: EventHubsConnection,
  group: string,
  hub: string,
  checkpoints: LocalCheckpointStore,
  options: EventHubConsumerClientOptions,
): Promise<EventHubConsumerClient> {
  if (connection.kind === "key")
    return new EventHubConsumerClient(group, connection.text, hub, checkpoints, options);
  // A key asks for none of its libraries.
  const { ManagedIdentityCredential } = await import("@azure/identity");
  const credential = new ManagedIdentityCredential(
    connection.clientId === undefined ? {} : { clientId: connection.clientId },
  );
  return new EventHubConsumerClient(group, connection.namespace, hub, credential, checkpoints, options);
}

/** The last event of a batch that is done. */
interface Done {
  readonly last: ReceivedEventData;
  readonly context: PartitionContext;
}

/** The state of one partition that this host reads. */
interface Partition {
  /**
   * Aborts when the partition is lost or the host stops: retries end, and no more checkpoints are written.
   */
  readonly stop: AbortController;
  /** Events that wait for minEventBatchSize, and since when. */
  waiting: ReceivedEventData[];
  waitingSince: number;
  readonly checkpoints: Checkpointing<Done>;
  /** When the last call ended, and how long it took, in milliseconds of the process's clock. */
  calledAt: number;
  callTook: number;
  /** How many events a call has had of late. */
  usual: number;
  /** The SDK is asked because something has come, or may have come unseen. */
  isTold: boolean;
  /** How often in a row the SDK was asked for that reason and had nothing. */
  inVain: number;
}

/**
 * The consumer of one hub for one function. It reads, calls, retries and writes checkpoints until it is
 * closed.
 */
export class EventHubTrigger {
  readonly #worker: Worker;
  readonly #prepared: Prepared;
  readonly #settings: EventHubSettings;
  readonly #log: Log;
  readonly #warn: (text: string) => void;
  readonly #partitions = new Map<string, Partition>();
  /**
   * The last call of each partition. It outlives losing the partition and getting it back, so calls never
   * overlap.
   */
  readonly #lines = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();
  readonly #arrivals: Arrivals;
  readonly #started: Promise<void>;
  #subscription: Subscription | undefined;

  constructor(worker: Worker, prepared: Prepared, settings: EventHubSettings, log: Log) {
    this.#worker = worker;
    this.#prepared = prepared;
    this.#settings = settings;
    this.#log = log;
    this.#warn = throttled(log, "warning");
    this.#arrivals = new Arrivals(prepared.port);
    this.#started = this.#start();
  }

  /** Stops reading and retrying, and gives the partitions back. Running calls go on. Never rejects. */
  async stop(): Promise<void> {
    this.#closing.abort();
    for (const { stop } of this.#partitions.values()) stop.abort();
    this.#arrivals.close();
    await this.#started;
    await Promise.all(
      [...this.#partitions.values()].map(async ({ checkpoints }) => {
        await checkpoints.flush();
        checkpoints.close();
      }),
    );
    try {
      await this.#subscription?.close();
      await this.#prepared.consumer.close();
    } catch (error) {
      this.#warn(`${this.#name} could not give its partitions back: ${describe(error)}`);
    }
  }

  get #name(): string {
    return this.#prepared.fn.metadata.name;
  }

  // Storage and Event Hubs may start after this host. The SDK also waits for Event Hubs, but repeats its
  // first request, for the list of partitions, only every 30 s, whatever the client's retry options are.
  async #start(): Promise<void> {
    const { container, consumer } = this.#prepared;
    await this.#waitFor("the storage of AzureWebJobsStorage", (options) =>
      container.createIfNotExists(options),
    );
    await this.#waitFor("its event hub", (options) => consumer.getEventHubProperties(options));
    if (!this.#closing.signal.aborted) this.#subscribe();
  }

  async #waitFor(
    what: string,
    request: (options: { abortSignal: AbortSignal }) => Promise<unknown>,
  ): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await request({ abortSignal: signal });
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#warn(`${this.#name} waits for ${what}: ${describe(error)}`);
        await pause(500, signal);
      }
    }
  }

  #subscribe(): void {
    const { maxEventBatchSize, prefetchCount, initialOffset } = this.#settings;
    this.#subscription = this.#prepared.consumer.subscribe(
      {
        processInitialize: async (context) => {
          this.#log.write("debug", `${this.#name} reads partition ${context.partitionId}`);
          const before = this.#partitions.get(context.partitionId);
          before?.stop.abort();
          before?.checkpoints.close();
          this.#partitions.set(context.partitionId, this.#newPartition());
        },
        processClose: async (reason, context) => {
          this.#log.write(
            "debug",
            `${this.#name} no longer reads partition ${context.partitionId}: ${reason}`,
          );
          const partition = this.#partitions.get(context.partitionId);
          partition?.stop.abort();
          // The reader may begin anew here, from its checkpoint. Another owner's checkpoint is its own.
          if (reason === CloseReason.Shutdown) await partition?.checkpoints.flush();
          else this.#prepared.checkpoints.lookAgain();
          partition?.checkpoints.close();
        },
        processEvents: async (events, context) => {
          const count = this.#arrivals.count(this.#addressOf(context.partitionId));
          await this.#receive(events, context);
          await this.#untilMore(count, events.length, context.partitionId);
        },
        // The SDK goes on by itself when this resolves: a reader that may be kept at once, from where it was.
        processError: async (error, context) => {
          const where = context.partitionId === "" ? "" : ` on partition ${context.partitionId}`;
          this.#warn(`${this.#name}${where} will try again: ${describe(error)}`);
          await pause(AWAY_MS, this.#closing.signal);
          if (this.#partitions.get(context.partitionId)?.stop.signal.aborted === false) keepReader(error);
        },
      },
      {
        maxBatchSize: maxEventBatchSize,
        maxWaitTimeInSeconds: SDK_WAIT_S,
        prefetchCount: Math.max(prefetchCount, maxEventBatchSize),
        startPosition: startPosition(initialOffset),
        // Bytes stay bytes: the function decides what a body means.
        skipParsingBodyAsJson: true,
      },
    );
  }

  /** Holds the SDK's reader until there may be more for it: something has come since `count`, or a second is over. */
  async #untilMore(count: number, received: number, partitionId: string): Promise<void> {
    const partition = this.#partitions.get(partitionId);
    if (!partition || this.#closing.signal.aborted) return;
    // What was asked for after a quiet second was not asked for in vain.
    partition.inVain = received > 0 || !partition.isTold ? 0 : partition.inVain + 1;
    // The SDK has more, of which no bytes may tell any more.
    if (received >= this.#settings.maxEventBatchSize) return;
    const { isBlind } = this.#arrivals;
    const idle = isBlind ? UNSEEN_MS : this.#idleMs(partition);
    const hasCome = await this.#arrivals.since(this.#addressOf(partitionId), count, idle);
    partition.isTold = hasCome || isBlind;
    const gather = gatherMs(partition, performance.now());
    if (gather >= 1) await pause(gather, partition.stop.signal);
  }

  #addressOf(partitionId: string): string {
    const { consumer, group } = this.#prepared;
    return partitionOf(consumer.eventHubName, group, partitionId);
  }

  /** Events that wait for more of them are looked at in time. */
  #idleMs({ waiting, waitingSince }: Partition): number {
    if (waiting.length === 0) return MAX_IDLE_MS;
    const left = waitingSince + this.#settings.maxWaitTime - Date.now();
    return Math.min(MAX_IDLE_MS, Math.max(1, left));
  }

  // The SDK also calls this without events.
  #receive(events: ReceivedEventData[], context: PartitionContext): Promise<void> {
    const partition = this.#partitions.get(context.partitionId);
    if (!partition) return Promise.resolve();
    if (partition.waiting.length === 0) partition.waitingSince = Date.now();
    partition.waiting.push(...events);
    const { minEventBatchSize, maxEventBatchSize, maxWaitTime } = this.#settings;
    const batches: ReceivedEventData[][] = [];
    while (
      partition.waiting.length >= minEventBatchSize ||
      (partition.waiting.length > 0 && Date.now() - partition.waitingSince >= maxWaitTime)
    )
      batches.push(partition.waiting.splice(0, maxEventBatchSize));
    if (batches.length === 0) return Promise.resolve();
    partition.waitingSince = Date.now();
    return this.#inLine(context.partitionId, async () => {
      const began = performance.now();
      for (const batch of batches) await this.#process(partition, batch, context);
      partition.calledAt = performance.now();
      partition.callTook = partition.calledAt - began;
      partition.usual += (batches.at(-1)!.length - partition.usual) * NEWEST_SHARE;
    }).catch((error: unknown) => {
      // A reader that went on would leave these events out. The next one begins at the checkpoint.
      partition.stop.abort();
      throw error;
    });
  }

  #inLine(partitionId: string, work: () => Promise<void>): Promise<void> {
    const next = (this.#lines.get(partitionId) ?? Promise.resolve()).then(work);
    this.#lines.set(
      partitionId,
      next.catch(() => {}),
    );
    return next;
  }

  async #process(partition: Partition, batch: ReceivedEventData[], context: PartitionContext): Promise<void> {
    const { signal } = partition.stop;
    const { fn, target } = this.#prepared;
    for (const events of target.many ? [batch] : batch.map((event) => [event])) {
      if (signal.aborted) return;
      const outcome = await withRetries(
        fn.metadata.retryOptions,
        (retryContext) => {
          const request = toInvocation(target, events, context);
          return this.#worker.invoke(fn, retryContext ? { ...request, retryContext } : request);
        },
        signal,
      );
      if (outcome === "failed" && fn.metadata.retryOptions)
        this.#log.write("error", `${this.#name} gave up ${events.length} event(s) after its retries`);
    }
    // The checkpoint moves whether the function succeeded or not. It stays behind only when the partition is
    // lost or the host ends.
    if (!signal.aborted) partition.checkpoints.done({ last: batch.at(-1)!, context });
  }

  async #checkpoint({ last, context }: Done): Promise<void> {
    await context.updateCheckpoint(last);
    this.#log.write(
      "debug",
      `${this.#name} has partition ${context.partitionId} done up to sequence number ${last.sequenceNumber}`,
    );
  }

  #newPartition(): Partition {
    const stop = new AbortController();
    if (this.#closing.signal.aborted) stop.abort();
    const checkpoints = new Checkpointing<Done>(
      this.#settings.batchCheckpointFrequency,
      (done) => this.#checkpoint(done),
      // A restart before the next try repeats what was done since the last checkpoint.
      (error, { context }) =>
        this.#warn(
          `${this.#name} could not write the checkpoint of partition ${context.partitionId}: ${describe(error)}`,
        ),
    );
    return {
      waiting: [],
      waitingSince: 0,
      stop,
      checkpoints,
      calledAt: Number.NEGATIVE_INFINITY,
      callTook: 0,
      usual: 0,
      isTold: false,
      inVain: 0,
    };
  }
}

/** How long to wait for more, now that something has come. */
export function gatherMs(
  { calledAt, callTook, usual, inVain }: Pick<Partition, "calledAt" | "callTook" | "usual" | "inVain">,
  now: number,
): number {
  const least = inVain === 0 ? 0 : Math.min(MAX_IN_VAIN_MS, 2 ** inVain);
  const share = Math.min(1, Math.max(0, (usual - GATHER_FROM) / (GATHER_ALL - GATHER_FROM)));
  return Math.max(least, Math.min(MAX_GATHER_MS, callTook) * share - (now - calledAt));
}

/**
 * Has the SDK keep the reader that met this error: it looks at `retryable` after it has told of the error. A
 * reader that ended would come back only with the SDK's next balancing, which waits 30 s after a failed
 * request, whatever the client's retry options are. Of a connection that closed before it was open the SDK
 * makes an error without that property. A reader whose partition is another host's now must end.
 */
function keepReader(error: Error | MessagingError): void {
  const isLost = "code" in error && error.code === "ReceiverDisconnectedError";
  if (!isLost) Object.assign(error, { retryable: true });
}

function startPosition(initial: EventHubSettings["initialOffset"]): EventPosition {
  if (initial === "fromStart") return earliestEventPosition;
  if (initial === "fromEnd") return latestEventPosition;
  return { enqueuedOn: initial.enqueuedOn };
}
