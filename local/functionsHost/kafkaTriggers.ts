import { type KafkaSource, kafkaSource } from "./kafkaBinding.js";
import { type KafkaEvent, type KafkaTarget, toKafkaInvocation } from "./kafkaMessages.js";
import type { Batch } from "./kafkaPartitions.js";
import { KafkaReader } from "./kafkaReader.js";
import type { KafkaSettings } from "./kafkaSettings.js";
import type { Log } from "./log.js";
import { pause, withRetries } from "./retry.js";
import type { Binding, RegisteredFunction } from "./rpc.js";
import type { Worker } from "./worker.js";

/** The extension runs a failed batch again at once. This keeps one that fails at once from filling a core. */
const AGAIN_MS = 100;

/**
 * Starts the Kafka triggers among the worker's functions. Throws when a trigger can't be used as it is
 * written, before any of them is started.
 */
export function startKafkaTriggers(
  worker: Worker,
  functions: readonly RegisteredFunction[],
  settings: KafkaSettings,
  env: NodeJS.ProcessEnv,
  log: Log,
): KafkaTrigger[] {
  const prepared = functions.flatMap((fn) =>
    Object.entries(fn.metadata.bindings)
      .filter(([, { type }]) => type === "kafkaTrigger")
      .map(([bindingName, binding]) => prepare(fn, bindingName, binding, env)),
  );
  return prepared.map((one) => new KafkaTrigger(worker, one, settings, log));
}

interface Prepared {
  readonly fn: RegisteredFunction;
  readonly source: KafkaSource;
  readonly target: KafkaTarget;
}

function prepare(
  fn: RegisteredFunction,
  bindingName: string,
  binding: Binding,
  env: NodeJS.ProcessEnv,
): Prepared {
  const where = `function "${fn.metadata.name}"`;
  const source = kafkaSource(binding, env, where);
  const keys = String(binding.keyDataType ?? "string").toLowerCase();
  if (keys !== "string" && keys !== "binary")
    throw new Error(`${where}: keyDataType must be String or Binary, as this host reads no other keys`);
  const target: KafkaTarget = {
    functionId: fn.id,
    bindingName,
    topic: source.topic,
    binary: /^binary$/i.test(binding.dataType ?? ""),
    // The host's default is one event a call, unlike that of the library's `app.eventHub`.
    many: /^many$/i.test(binding.cardinality ?? ""),
    keys,
  };
  return { fn, source, target };
}

/**
 * The consumer of one topic for one function. It reads, calls, retries and commits offsets until it is
 * stopped, by the rules of Azure's Kafka extension: one call at a time, or with `cardinality: "one"` one a
 * partition, and the offsets are committed when the call has ended.
 */
class KafkaTrigger {
  readonly #worker: Worker;
  readonly #prepared: Prepared;
  readonly #settings: KafkaSettings;
  readonly #log: Log;
  readonly #closing = new AbortController();
  readonly #reader: KafkaReader;

  constructor(worker: Worker, prepared: Prepared, settings: KafkaSettings, log: Log) {
    this.#worker = worker;
    this.#prepared = prepared;
    this.#settings = settings;
    this.#log = log;
    const { fn, source } = prepared;
    this.#reader = new KafkaReader(fn.metadata.name, source, settings, log, this.#closing.signal);
    void this.#run();
  }

  /** Stops reading and retrying, and leaves the group. Running calls go on. Never rejects. */
  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#reader.ended();
  }

  async #run(): Promise<void> {
    const { partitions } = this.#reader;
    const { maxBatchSize, subscriberInterval } = this.#settings;
    for (;;) {
      const batch = await partitions.take(maxBatchSize, subscriberInterval);
      if (!batch) return;
      await Promise.all(this.#lines(batch.events).map((line) => this.#processLine(batch, line)));
      partitions.finish(batch);
    }
  }

  /** The calls of a batch: each line is called in order, and the lines beside each other. */
  #lines(events: readonly KafkaEvent[]): (readonly KafkaEvent[])[][] {
    if (this.#prepared.target.many) return [[events]];
    const partitions = [...new Set(events.map(({ partition }) => partition))];
    const ofPartition = (one: number) => events.filter(({ partition }) => partition === one);
    return partitions.map((partition) => ofPartition(partition).map((event) => [event]));
  }

  async #processLine(batch: Batch, calls: readonly (readonly KafkaEvent[])[]): Promise<void> {
    for (const events of calls) {
      if (batch.stop.signal.aborted) return;
      if (!(await this.#process(batch, events))) return;
      this.#reader.partitions.done(batch, events);
    }
  }

  /** True when the events are done, whether or not the function succeeded. Never rejects. */
  async #process(batch: Batch, events: readonly KafkaEvent[]): Promise<boolean> {
    const { fn, target } = this.#prepared;
    const { commitOnFailure, maxRetries } = this.#settings;
    for (let tried = 0; ; tried += 1) {
      const outcome = await withRetries(
        fn.metadata.retryOptions,
        (retryContext) => {
          const request = toKafkaInvocation(target, events);
          return this.#worker.invoke(fn, retryContext ? { ...request, retryContext } : request);
        },
        batch.stop.signal,
      );
      // A host that ends commits nothing of what runs, as the extension.
      if (outcome === "stopped" || this.#closing.signal.aborted) return false;
      if (outcome === "succeeded") return true;
      if (commitOnFailure || (maxRetries >= 0 && tried >= maxRetries)) {
        this.#gaveUp(events, fn.metadata.retryOptions !== undefined || !commitOnFailure);
        return true;
      }
      await pause(AGAIN_MS, batch.stop.signal);
      if (batch.stop.signal.aborted) return false;
    }
  }

  #gaveUp(events: readonly KafkaEvent[], afterRetries: boolean): void {
    const { name } = this.#prepared.fn.metadata;
    if (afterRetries) this.#log.write("error", `${name} gave up ${events.length} event(s) after its retries`);
  }
}
