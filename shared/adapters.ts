import {
  createCallerVerifier,
  createVerifiers,
  uncheckedClaims,
  type VerifyCaller,
  type VerifyToken,
  type VerifyTrusted,
} from "./auth/verifier.js";
import { type Broadcaster, HUB } from "./broadcast/broadcaster.js";
import { measured } from "./broadcast/measured.js";
import { connectWebPubSub } from "./broadcast/webPubSub.js";
import { addressOf, connectBus } from "./bus/connectBus.js";
import type { EventBus } from "./bus/eventBus.js";
import { traced } from "./bus/traced.js";
import type { Config, Limits } from "./config.js";
import { createCredential } from "./platform/credential.js";
import { type OnFault, toChatError } from "./platform/errors.js";
import { createFaults, type Faults, type Part } from "./platform/faults.js";
import { atMostEvery, log } from "./platform/log.js";
import { portsOf, type RedisPorts, type RedisStore } from "./redis/ports.js";
import { connectRedis } from "./redis/redis.js";
import { type Database, openDatabase } from "./store/database.js";
import { SCHEMA_VERSION } from "./store/schemaVersion.js";
import type { CallerProof } from "./upstream/callerProof.js";

/** The services that everything is built on, each behind its port, and what the settings say. */
export interface Adapters extends RedisPorts {
  readonly database: Database;
  readonly bus: EventBus;
  /** A bus that is still to be emptied before anything of the present one is stored. */
  readonly formerBus?: EventBus;
  readonly redis: RedisStore;
  readonly faults: Faults;
  readonly broadcaster: Broadcaster;
  readonly verifyToken: VerifyToken;
  readonly verifyTrusted: VerifyTrusted;
  readonly limits: Limits;
  /** Whether clients that want heart-beats get them. */
  readonly heartBeats: boolean;
  /** The origins of pages that may connect; all where there are none. */
  readonly allowedOrigins: readonly string[];
  readonly now: () => number;
}

/** The adapters for the real services. Only Redis is connected before its first use. */
export function connectAdapters(config: Config): Adapters {
  const { eventBus, formerBus, mysql } = config;
  const credential = createCredential(config.clientId);
  const redis = connectRedis(config.redis, config.redis.entra ? { credential } : {});
  const { host, pathname } = new URL(mysql.url);
  const faults = createFaults(redis, {
    mysql: `${host}${pathname} ${SCHEMA_VERSION}`,
    eventHubs: addressOf(eventBus),
    webPubSub: config.webPubSub.endpoint,
  });
  const noting =
    (part: Part): OnFault =>
    (fault) =>
      faults.note(part, fault);
  return {
    database: openDatabase(mysql.url, {
      onFault: noting("mysql"),
      poolSize: mysql.poolSize,
      ...(mysql.entra ? { credential } : {}),
    }),
    bus: traced(connectBus(eventBus, credential, noting("eventHubs"))),
    ...(formerBus && { formerBus: connectBus(formerBus, credential) }),
    redis,
    ...portsOf(redis),
    faults,
    broadcaster: measured(connectWebPubSub(config.webPubSub, HUB, noting("webPubSub"), credential)),
    ...createVerifiers(config.auth, { onError: keysNotFetched() }),
    limits: config.limits,
    heartBeats: config.heartBeats,
    allowedOrigins: config.allowedOrigins,
    now: Date.now,
  };
}

/** How an upstream call proves that it comes from Web PubSub. */
export function proofOf({ accessKeys, entra }: Config["webPubSub"]): CallerProof {
  if (!entra) return { kind: "signature", accessKeys };
  return {
    kind: "token",
    verify: tellingRefusals(createCallerVerifier(entra, { onError: keysNotFetched() })),
  };
}

/**
 * Says why a token was refused: where the settings name another issuer or audience than the socket service's,
 * no client gets in, and nothing else tells why. A call without a token is anybody's, and isn't worth a line.
 */
function tellingRefusals(verify: VerifyCaller): VerifyCaller {
  const limited = atMostEvery(60_000);
  return async (authorization) => {
    try {
      await verify(authorization);
    } catch (error) {
      const claims = uncheckedClaims(authorization);
      const { code, message } = toChatError(error);
      if (claims && code === "UNAUTHORIZED")
        limited((suppressed) =>
          log.warn("a call was refused whose token is not the socket service's", {
            why: message,
            claims,
            suppressed,
          }),
        );
      throw error;
    }
  };
}

/** Known keys go on being used. Callers whose token needs another key hear `UNAVAILABLE`. */
function keysNotFetched(): (error: unknown) => void {
  const limited = atMostEvery(60_000);
  return (error) =>
    limited((suppressed) =>
      log.warn("the keys of an identity provider could not be fetched", { error, suppressed }),
    );
}
