import type { RedisConfig } from "../config.js";
import { atMostEvery, log } from "../platform/log.js";
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
}

/**
 * All ports on one Redis. A call waits for Redis for 120 ms at most and then goes on without it. Failures are
 * logged once a minute, with their count. Throws where a script's file is missing.
 */
export function connectRedis(config: RedisConfig, { now, ...times }: RedisOptions = {}): RedisStore {
  const limited = atMostEvery(60_000);
  const redis = openRedis(config, readScripts(), (error) =>
    limited((suppressed) =>
      log.warn("Redis can't be used: limits are open, memberships are read from MySQL", {
        error,
        suppressed,
      }),
    ),
  );
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
