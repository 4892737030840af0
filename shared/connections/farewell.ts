import { errorFrame } from "../frames/error.js";
import { prepared } from "../frames/frame.js";
import { sessionClosedFrame } from "../frames/sessionClosed.js";
import { ChatError } from "../platform/errors.js";
import type { EndReason } from "../redis/ports.js";
import { ASSUMED_VERSION } from "../stomp/versions.js";

/** A connection that has lost its slot, and what it is to be told. */
export interface Farewell {
  readonly connectionId: string;
  /**
   * Undefined where the session store has forgotten the eviction: then the store has nothing to be told of
   * it, either.
   */
  readonly reason: EndReason | undefined;
  /** The connection's subscription id on `/user/queue/session`, or empty. */
  readonly queue: string;
}

const TEXTS: Readonly<Record<EndReason, string>> = {
  SESSION_LIMIT:
    "There are too many sessions: another device has connected and this one was the oldest, or came back by itself.",
  DEVICE_RECONNECTED: "This device has connected anew.",
  LOGGED_OUT: "You have logged out.",
};

/** The reason in words. */
export const farewellText = (reason: EndReason | undefined): string =>
  reason === undefined ? "This session has ended." : TEXTS[reason];

/** The ERROR frame of a farewell. It reads the same in every version. */
export const farewellError = (reason: EndReason | undefined): string =>
  errorFrame(new ChatError("SESSION_CLOSED", farewellText(reason)), undefined, ASSUMED_VERSION);

/**
 * What the connection hears, in order: SESSION_CLOSED on `/user/queue/session` if it listens there, then
 * ERROR. `now` is in milliseconds since 1970.
 */
export function farewellFrames({ connectionId, reason, queue }: Farewell, now: number): readonly string[] {
  const error = farewellError(reason);
  if (reason === undefined || queue === "") return [error];
  return [prepared(sessionClosedFrame({ connectionId, reason, at: now }))(queue), error];
}
