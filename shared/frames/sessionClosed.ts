import type { MessageFrame } from "./frame.js";

/** Why a session was ended, as its client reads it. */
export interface SessionClosed {
  readonly connectionId: string;
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** SESSION_CLOSED on `/user/queue/session`. */
export const sessionClosedFrame = ({ connectionId, reason, at }: SessionClosed): MessageFrame => ({
  destination: { kind: "userSession" },
  messageId: `session-${connectionId}`,
  body: JSON.stringify({ type: "SESSION_CLOSED", reason, timestamp: at }),
});
