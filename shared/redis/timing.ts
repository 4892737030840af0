/** Times that the limits and the sessions go by, in milliseconds. */
export interface Timing {
  /** A rate counts what has passed within this time. */
  readonly windowMs: number;
  /** How long a process has to tell and close a connection before another one may claim it. */
  readonly claimMs: number;
  /** A connection that is this old when it registers came while Redis was away. */
  readonly lateMs: number;
  /**
   * A new connection that looks like one that the limit evicted within this time is taken for that one, come
   * back.
   */
  readonly returnMs: number;
  /**
   * Connections that name no device and come within this time after the first eviction are others: no client
   * is so quick.
   */
  readonly othersMs: number;
  /** By how much functions' clocks may differ when a connection is compared with a logout. */
  readonly clocksMs: number;
}

export const TIMING: Timing = {
  windowMs: 60_000,
  claimMs: 5_000,
  lateMs: 1_000,
  returnMs: 60_000,
  othersMs: 1_000,
  clocksMs: 100,
};
