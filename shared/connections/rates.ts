import { ChatError } from "../platform/errors.js";
import { count } from "../platform/metrics.js";
import type { Rate, RateKind, Rates } from "../redis/ports.js";

/** How many live sessions a user has, and how many of each kind in any 60 seconds; 0 is no limit. */
export type SessionLimits = Readonly<Record<RateKind | "sessions", number>>;

interface Deps {
  readonly rates: Rates;
  readonly limits: SessionLimits;
}

const NAMES: Readonly<Record<RateKind, string>> = {
  messages: "messages",
  reads: "reads",
  subscribes: "subscriptions",
  negotiates: "negotiations and renewed tokens",
  writes: "changing calls",
  unsubscribes: "unsubscriptions",
  handshakes: "connections",
  lookups: "reading calls",
  heartBeats: "WebSocket messages without a frame",
  pieces: "pieces of frames",
};

/** The limit of a kind, if there is one. */
export const rateOf = (kind: RateKind, limits: SessionLimits): Rate | undefined =>
  limits[kind] > 0 ? { kind, limit: limits[kind] } : undefined;

/** Counts one of a user's calls that is no frame; throws `RATE_LIMIT_EXCEEDED`. */
export async function requireRate(userId: number, kind: RateKind, { rates, limits }: Deps): Promise<void> {
  const rate = rateOf(kind, limits);
  if (!rate) return;
  const retryAfter = await rates.take(userId, rate);
  if (retryAfter === undefined) count.limitsOpen();
  else if (retryAfter > 0) throw tooMany(rate, retryAfter);
}

/** The refusal of one more of a kind; the same would pass after `retryAfter` seconds. */
export function tooMany({ kind, limit }: Rate, retryAfter: number): ChatError {
  const text = `At most ${limit} ${NAMES[kind]} a minute; try again in ${retryAfter} s.`;
  return new ChatError("RATE_LIMIT_EXCEEDED", text, { retryAfter });
}
