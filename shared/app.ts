import { type Adapters, connectAdapters, proofOf } from "./adapters.js";
import { type Nightly, nightlyAudit } from "./audit/nightly.js";
import { refusing } from "./breakers.js";
import { HUB } from "./broadcast/broadcaster.js";
import type { EventBatch } from "./bus/eventBus.js";
import { admit } from "./calls/admit.js";
import type { Call, CallRequest, Who } from "./calls/call.js";
import { runTraced } from "./calls/traced.js";
import { createWatch } from "./calls/watch.js";
import { type Config, readConfig } from "./config.js";
import { sweepEvicted } from "./connections/closing.js";
import { connectionEvents, reportFailedEvent } from "./connections/events.js";
import { catchUp } from "./consumers/catchUp.js";
import { type ConsumeDeps, RETRY_BUDGET_MS } from "./consumers/deps.js";
import { createFormerBus } from "./consumers/formerBus.js";
import { createLag } from "./consumers/lag.js";
import { Streams } from "./consumers/streams.js";
import { endShowing } from "./consumers/underWay.js";
import { MESSAGES_HUB } from "./events/messages.js";
import { READS_HUB } from "./events/reads.js";
import { HEART_BEATS } from "./fanout/groups.js";
import { storeMessages } from "./messages/store.js";
import { within } from "./platform/async.js";
import type { ChatError } from "./platform/errors.js";
import { logUnavailable } from "./platform/log.js";
import { count, flushCounts } from "./platform/metrics.js";
import { startTelemetry } from "./platform/telemetry.js";
import { createReadMerger } from "./reads/merge.js";
import { storeReadsPaced } from "./reads/store.js";
import { sweepReads } from "./reads/sweep.js";
import { createArrivals } from "./rooms/arrivals.js";
import { sweepChanges } from "./rooms/finishChanges.js";
import { sweepAnswers } from "./rooms/idempotency.js";
import type { Stream } from "./store/streamPositions.js";
import type { CallerProof } from "./upstream/callerProof.js";
import { createUpstream } from "./upstream/cloudEvents.js";

/** The host gives 5 s for its end (`appTerminate`), of which the last export of telemetry has 2. */
const [ENDING_MS, CLOSING_MS] = [1_000, 1_500];

/**
 * The system. A client's frame comes in by `upstream` and goes out on the bus. An event comes back by
 * `messages` or `reads`, is stored, then shown. `sweep` does what was left half done. An HTTP call is let in
 * by `admit` and done by `run`.
 */
export function createApp(
  adapters: Adapters,
  proof: CallerProof,
  kafkaTrigger?: KafkaTrigger,
  audit?: Nightly,
) {
  const { database, bus, broadcaster, redis } = adapters;
  const readMerger = createReadMerger(adapters);
  const calls = {
    ...adapters,
    scheduleReads: readMerger.schedule,
    lag: createLag(adapters),
    formerBusState: () => former?.state(),
  };
  // Whoever sends a frame or makes a call comes again. The rest is never refused, nor is a look at the health.
  const requests = { ...calls, ...refusing(adapters) };
  const arrive = createArrivals(requests);
  // A client that can be neither greeted nor closed would wait for nothing.
  const frames = { ...requests, broadcaster, arrive };
  const consuming = {
    ...calls,
    retryBudgetMs: RETRY_BUDGET_MS,
    showsBehind: true,
    beforeBatch: (stream: Stream) => streams.beforeBatch(stream),
    onBatch: (...batch: Parameters<Streams["onBatch"]>) => streams.onBatch(...batch),
  };
  const watch = createWatch(calls);
  const stores = {
    [MESSAGES_HUB]: (batch: EventBatch, deps: ConsumeDeps) => storeMessages(batch, { ...consuming, ...deps }),
    [READS_HUB]: (batch: EventBatch, deps: ConsumeDeps) => storeReadsPaced(batch, { ...consuming, ...deps }),
  };
  const former = adapters.formerBus && createFormerBus(adapters.formerBus, stores, consuming);
  const consumerOf = (storeNow: (batch: EventBatch) => Promise<void>) => {
    const store = async (batch: EventBatch): Promise<void> => {
      await former?.drained(batch.hub);
      await storeNow(batch);
    };
    return {
      store,
      catchUp: (hub: string, partitionId: string | undefined) => catchUp(hub, partitionId, store, consuming),
    };
  };
  const messages = consumerOf((batch) => storeMessages(batch, consuming));
  const reads = consumerOf((batch) => storeReadsPaced(batch, consuming));
  const streams = new Streams({ [MESSAGES_HUB]: messages.store, [READS_HUB]: reads.store }, consuming);
  return {
    upstream: createUpstream(HUB, proof, connectionEvents(frames), reportFailedEvent),
    messages,
    reads,
    /** How the Kafka trigger logs in, where it is the one that hands events over. */
    kafkaTrigger,
    /** Compares what is stored, where the settings want that. */
    audit,
    /**
     * Does what dead processes left to do, and watches what concerns all instances. The timer calls it every
     * few seconds, in one instance at a time.
     */
    async sweep(): Promise<void> {
      await Promise.all([
        sweepChanges(calls),
        sweepReads(consuming),
        sweepEvicted(adapters),
        sweepAnswers(adapters),
        former?.sweep(),
        streams.sweep(),
        watch(),
      ]);
    },

    /** The timer calls it at least twice in the time that CONNECTED promises. */
    async beat(): Promise<void> {
      if (adapters.heartBeats) await broadcaster.sendToGroup(HEART_BEATS, "\n");
    },
    /** Lets a caller in, or throws. */
    admit: (who: Who, authorization: string | null) => admit(who, authorization, { ...requests, arrive }),
    /** Checks and answers an HTTP call. Throws a `ChatError` that says why not. */
    run: (call: Call, request: CallRequest) =>
      runTraced(call, request, call.who === "open" ? calls : requests),
    /**
     * Counts an HTTP call that is refused. Logs a failure of ours, with the cause that the caller doesn't
     * see.
     */
    reportRefusal(error: ChatError): void {
      count.refused(error.code, "http");
      if (error.code === "UNAVAILABLE") logUnavailable("a call", error);
    },

    /** Takes 2.5 s at most. */
    async close(): Promise<void> {
      await within(ENDING_MS, Promise.all([readMerger.close(), endShowing(bus)]));
      flushCounts();
      // A server that hangs is not said goodbye to.
      const closing = [bus.close(), former?.close(), redis.close(), database.end()];
      await within(CLOSING_MS, Promise.allSettled(closing));
    },
  };
}

export type App = ReturnType<typeof createApp>;

/** Fields of the binding, as the Functions Kafka extension names them. */
export interface KafkaTrigger {
  readonly protocol: "plaintext" | "ssl" | "saslSsl";
  readonly authenticationMode?: "plain";
  readonly username?: string;
  readonly password?: string;
}

const PROTOCOLS = { PLAINTEXT: "plaintext", SSL: "ssl", SASL_SSL: "saslSsl" } as const;

/** The host reads the password from the settings itself. */
function kafkaTriggerOf({ trigger }: Config): KafkaTrigger | undefined {
  if (trigger === "eventhubs") return undefined;
  const { security, login } = trigger;
  const protocol = PROTOCOLS[security];
  if (login?.mechanism !== "PLAIN") return { protocol };
  return { protocol, authenticationMode: "plain", username: login.username, password: "%KAFKA_PASSWORD%" };
}

let app: App | undefined;
let stopTelemetry: Promise<() => Promise<void>> | undefined;

/**
 * The app of this process, built from its settings on the first call. Throws an error that names every
 * missing setting.
 */
export function getApp(): App {
  if (app) return app;
  const config = readConfig(process.env);
  stopTelemetry = startTelemetry(process.env);
  const adapters = connectAdapters(config);
  const { webPubSub, audit } = config;
  app = createApp(
    adapters,
    proofOf(webPubSub),
    kafkaTriggerOf(config),
    audit && nightlyAudit(audit, config, adapters),
  );
  return app;
}

/** Ends the app of this process when the host ends, and exports what was counted last. */
export async function closeApp(): Promise<void> {
  try {
    await app?.close();
  } finally {
    await (await stopTelemetry)?.();
  }
}
