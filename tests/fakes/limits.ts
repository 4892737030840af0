import type { SessionLimits } from "../../shared/connections/rates.js";

/** No limit on anything. */
export const UNLIMITED: SessionLimits = {
  sessions: 0,
  messages: 0,
  reads: 0,
  subscribes: 0,
  negotiates: 0,
  writes: 0,
  lookups: 0,
  unsubscribes: 0,
  handshakes: 0,
  heartBeats: 0,
  pieces: 0,
};
