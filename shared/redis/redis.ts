import type { TokenCredential } from "@azure/identity";
import type { Cluster, Redis } from "ioredis";
import type { RedisConfig } from "../config.js";
import { atMostEvery, log } from "../platform/log.js";
import { type EntraLogin, logInByEntra } from "./entraLogin.js";
import { faultNotes } from "./faultNotes.js";
import { membersCache } from "./membersCache.js";
import { pieces } from "./pieces.js";
import type { RedisStore } from "./ports.js";
import { rates } from "./rates.js";
import { openRedis } from "./redisConnection.js";
import { asking, readScripts } from "./scripts.js";
import { sessions } from "./sessions.js";
import { subscriptions } from "./subscriptions.js";
import { TIMING, type Timing } from "./timing.js";
import { turns } from "./turns.js";

export interface RedisOptions extends Partial<Timing> {
  /**
   * The moment, in milliseconds since 1970, in place of Redis's own clock. For tests only: processes' clocks
   * differ.
   */
  readonly now?: () => number;
  /** The identity whose tokens are the password. Without it the URL has one, or none is needed. */
  readonly credential?: TokenCredential;
}

/**
 * All ports on one Redis. A call waits for Redis for 120 ms at most and then goes on without it. Failures are
 * logged once a minute, with their count. Throws where a script's file is missing.
 */
export function connectRedis(
  config: RedisConfig,
  { now, credential, ...times }: RedisOptions = {},
): RedisStore {
  const limited = atMostEvery(60_000);
  const away = (error: unknown) =>
    limited((suppressed) =>
      log.warn("Redis can't be used: limits are open, memberships are read from MySQL", {
        error,
        suppressed,
      }),
    );
  const redis = openRedis(config, readScripts(), away, credential && byEntra(credential));
  const ask = asking(redis, now);
  const timing = { ...TIMING, ...times };
  return {
    ...membersCache(ask),
    ...turns(ask),
    ...sessions(ask, timing),
    ...rates(ask, timing),
    ...subscriptions(ask),
    ...pieces(ask),
    ...faultNotes(ask),
    ping: redis.ping,
    close: redis.close,
  };
}

/** Until a token can be had again the present one is used, to its end. */
function byEntra(credential: TokenCredential): (client: Redis | Cluster) => EntraLogin {
  const limited = atMostEvery(60_000);
  return (client) =>
    logInByEntra(client, credential, (error) =>
      limited((suppressed) =>
        log.warn("no newer token for Redis could be had or used: it is tried again", { error, suppressed }),
      ),
    );
}
