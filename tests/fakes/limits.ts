import type { SessionLimits } from "../../shared/commands/connection.js";

/** No limit on anything. */
export const UNLIMITED: SessionLimits = {
  sessions: 0,
  messages: 0,
  reads: 0,
  subscribes: 0,
  negotiates: 0,
  writes: 0,
};
