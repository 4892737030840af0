import { hasMeters } from "../platform/instruments.js";
import { measure } from "../platform/measures.js";
import { type HealthDeps, health } from "./health.js";

/** Somebody looks at the figures at every minute at the latest, so this is often enough. */
const WATCH_MS = 15_000;

const VALUES = { up: 1, degraded: 0.5, down: 0 } as const;

/**
 * Finds out, once in 15 s however often it is called, what is told by metrics and concerns no single
 * instance: what waits in the hubs, and the state of the whole. Does nothing where metrics go nowhere. Never
 * throws.
 */
export function createWatch(deps: HealthDeps & { readonly now: () => number }): () => Promise<void> {
  let next = 0;
  return async () => {
    if (!hasMeters() || deps.now() < next) return;
    next = deps.now() + WATCH_MS;
    const [lag, { status }] = await Promise.all([deps.lag(), health(deps)]);
    measure.lag(lag);
    measure.health(VALUES[status]);
  };
}
