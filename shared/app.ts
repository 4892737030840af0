import {
  createCallerVerifier,
  createVerifiers,
  type VerifyToken,
  type VerifyTrusted,
} from "./auth/verifier.js";
import type { Broadcaster } from "./broadcast/broadcaster.js";
import { connectWebPubSub } from "./broadcast/webPubSub.js";
import type { EventBatch, EventBus } from "./bus/eventBus.js";
import { connectEventHubs } from "./bus/eventHubs.js";
import { admit } from "./calls/admit.js";
import type { Call, CallRequest, Who } from "./calls/call.js";
import { type Config, type Limits, readConfig } from "./config.js";
import { sweepEvicted } from "./connections/closing.js";
import { connectionEvents, reportFailedEvent } from "./connections/events.js";
import { catchUp } from "./consumers/catchUp.js";
import { RETRY_BUDGET_MS } from "./consumers/deps.js";
import { HEART_BEATS } from "./fanout/groups.js";
import { storeMessages } from "./messages/store.js";
import type { ChatError, OnFault } from "./platform/errors.js";
import { createFaults, type Faults, type Part } from "./platform/faults.js";
import { atMostEvery, log, logUnavailable } from "./platform/log.js";
import { count, flushCounts } from "./platform/metrics.js";
import { startTelemetry } from "./platform/telemetry.js";
import { createReadMerger } from "./reads/merge.js";
import { storeReadsPaced } from "./reads/store.js";
import { sweepReads } from "./reads/sweep.js";
import { portsOf, type RedisStore } from "./redis/ports.js";
import { connectRedis } from "./redis/redis.js";
import { createArrivals } from "./rooms/arrivals.js";
import { sweepChanges } from "./rooms/finishChanges.js";
import { sweepAnswers } from "./rooms/idempotency.js";
import { type Database, openDatabase } from "./store/database.js";
import { SCHEMA_VERSION } from "./store/schemaVersion.js";
import type { CallerProof } from "./upstream/callerProof.js";
import { createUpstream } from "./upstream/cloudEvents.js";

/** The hub that clients connect to: `/client/hubs/chat`. */
const HUB = "chat";

/** What everything is built on; tests put fakes in place of single ones. */
export interface Adapters {
  readonly database: Database;
  readonly bus: EventBus;
  readonly redis: RedisStore;
  readonly faults: Faults;
  readonly broadcaster: Broadcaster;
  readonly verifyToken: VerifyToken;
  readonly verifyTrusted: VerifyTrusted;
  readonly limits: Limits;
  /** Whether clients that want heart-beats get them. */
  readonly heartBeats: boolean;
  /** Of pages that may connect; all where there are none. */
  readonly allowedOrigins: readonly string[];
  readonly now: () => number;
}

/** The adapters for the real services; nothing is connected before its first use but Redis. */
export function connectAdapters(config: Config): Adapters {
  const redis = connectRedis(config.redis);
  const { host, pathname } = new URL(config.mysqlUrl);
  const faults = createFaults(redis, {
    mysql: `${host}${pathname} ${SCHEMA_VERSION}`,
    eventHubs: /Endpoint=([^;]*)/i.exec(config.eventHubs.connectionString)?.[1] ?? "",
    webPubSub: config.webPubSub.endpoint,
  });
  const noting =
    (part: Part): OnFault =>
    (fault) =>
      faults.note(part, fault);
  return {
    database: openDatabase(config.mysqlUrl, { onFault: noting("mysql") }),
    bus: connectEventHubs(config.eventHubs.connectionString, { onFault: noting("eventHubs") }),
    redis,
    faults,
    broadcaster: connectWebPubSub(config.webPubSub, HUB, noting("webPubSub")),
    ...createVerifiers(config.auth, { onError: keysNotFetched() }),
    limits: config.limits,
    heartBeats: config.heartBeats,
    allowedOrigins: config.allowedOrigins,
    now: Date.now,
  };
}

/** How an upstream call proves that it comes from Web PubSub. */
function proofOf({ accessKeys, entra }: Config["webPubSub"]): CallerProof {
  if (!entra) return { kind: "signature", accessKeys };
  return { kind: "token", verify: createCallerVerifier(entra, { onError: keysNotFetched() }) };
}

/** Keys that are known already go on being used; those who need others hear `UNAVAILABLE`. */
function keysNotFetched(): (error: unknown) => void {
  const limited = atMostEvery(60_000);
  return (error) =>
    limited((suppressed) =>
      log.warn("the keys of an identity provider could not be fetched", { error, suppressed }),
    );
}

/**
 * The system: a client's frame comes in by `upstream` and goes out on the bus; an event comes back by `messages` or `reads`,
 * is stored, then shown; `sweep` does what was left half done. An HTTP call is let in by `admit` and done by `run`.
 */
export function createApp(connected: Adapters, proof: CallerProof) {
  const adapters = { ...connected, ...portsOf(connected.redis) };
  const { database, bus, broadcaster, redis } = adapters;
  const readMerger = createReadMerger(adapters);
  const calls = { ...adapters, scheduleReads: readMerger.schedule };
  const arrive = createArrivals(calls);
  const consuming = { ...calls, retryBudgetMs: RETRY_BUDGET_MS };
  const consumerOf = (store: (batch: EventBatch) => Promise<void>) => ({
    store,
    catchUp: (hub: string, partitionId: string | undefined) => catchUp(hub, partitionId, store, consuming),
  });
  return {
    upstream: createUpstream(HUB, proof, connectionEvents({ ...adapters, arrive }), reportFailedEvent),
    messages: consumerOf((batch) => storeMessages(batch, consuming)),
    reads: consumerOf((batch) => storeReadsPaced(batch, consuming)),
    /** Does what a process that died left to do; called every few seconds, by one instance at a time. */
    async sweep(): Promise<void> {
      await Promise.all([
        sweepChanges(calls),
        sweepReads(consuming),
        sweepEvicted(adapters),
        sweepAnswers(adapters),
      ]);
    },

    /** Called at least twice in the time that CONNECTED promises. */
    async beat(): Promise<void> {
      if (adapters.heartBeats) await broadcaster.sendToGroup(HEART_BEATS, "\n");
    },
    /** Lets a caller in, or throws. */
    admit: (who: Who, authorization: string | null) => admit(who, authorization, { ...adapters, arrive }),
    /** Checks and answers an HTTP call. Throws a `ChatError` that says why not. */
    run: (call: Call, request: CallRequest) => call.run(request, calls),
    /** Counts an HTTP call that is refused. Logs a failure of ours, with the cause that the caller doesn't see. */
    reportRefusal(error: ChatError): void {
      count.refused(error.code, "http");
      if (error.code === "UNAVAILABLE") logUnavailable("a call", error);
    },

    async close(): Promise<void> {
      await readMerger.close();
      flushCounts();
      await Promise.all([bus.close(), redis.close(), database.end()]);
    },
  };
}

export type App = ReturnType<typeof createApp>;

let app: App | undefined;
let stopTelemetry: Promise<() => Promise<void>> | undefined;

/** The app of this process, built from its settings on the first call; throws an error that names every missing setting. */
export function getApp(): App {
  if (app) return app;
  const config = readConfig(process.env);
  stopTelemetry = startTelemetry(process.env);
  app = createApp(connectAdapters(config), proofOf(config.webPubSub));
  return app;
}

/** Ends the app of this process when the host does, and exports what was counted last. */
export async function closeApp(): Promise<void> {
  try {
    await app?.close();
  } finally {
    await (await stopTelemetry)?.();
  }
}
