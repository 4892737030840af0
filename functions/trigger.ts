import type { App } from "../shared/app.js";

/**
 * Stores a hub's events. Where it can't be known which events a trigger has handed over, `catchUp` reads what
 * waits from the hub itself.
 */
export type Consumer = App["messages"];

export type Batch = Parameters<Consumer["store"]>[0];

/** A batch that can't be read is told this often: if one can't be read, probably none can. */
export const SAID_MS = 60_000;

/** The bytes as they are: an event that isn't JSON must reach the dead-letter hub unchanged. */
export const MANY_AS_BYTES = { cardinality: "many", dataType: "binary" } as const;

/** The host brings a batch that failed again for ever, as its events were accepted. */
export const FOR_EVER = {
  strategy: "exponentialBackoff",
  maxRetryCount: -1,
  minimumInterval: { seconds: 1 },
  maximumInterval: { seconds: 30 },
} as const;
