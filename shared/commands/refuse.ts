import type { Connection } from "../connections/connection.js";
import { type ConnectionState, versionOf } from "../connections/connectionState.js";
import { keyOfLane } from "../fanout/groups.js";
import { destinationKey } from "../frames/destinations.js";
import { errorFrame, refusalFrame } from "../frames/error.js";
import { type ChatError, type ErrorCode, toChatError } from "../platform/errors.js";
import { logUnavailable } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import { StompError } from "../stomp/frame.js";
import type { Outcome, Received } from "./command.js";

/**
 * Refusals that concern one message or one subscription: the connection of a client that listens for errors
 * stays open.
 */
const ON_THE_QUEUE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "RATE_LIMIT_EXCEEDED",
  "NOT_A_MEMBER",
  "INVALID_MESSAGE",
  "TOO_MANY_SUBSCRIPTIONS",
  "UNAVAILABLE",
]);

/**
 * A refusal as a message on `/user/queue/errors` where the client listens there, else as ERROR and a close
 * (STOMP 1.2, "ERROR"). Either names the frame by its `receipt`, as it stood on the wire: so a client that
 * waits for the RECEIPT learns that none will come.
 */
export function refuse(
  error: ChatError,
  { frame, eventId }: Received,
  { state, userId }: Connection,
): Outcome {
  const receipt = frame.headers.wire("receipt");
  const queue = destinationKey({ kind: "userErrors" }, userId);
  const listening = [...state.subscriptions].find(([, lane]) => keyOfLane(lane) === queue);
  if (!listening || !ON_THE_QUEUE.has(error.code))
    return { frames: [errorFrame(error, receipt, versionOf(state))], state, next: "close" };
  const frames = [refusalFrame(error, { eventId, receipt }, listening[0], versionOf(state))];
  return error.code === "UNAVAILABLE" ? { frames, state, next: "skip" } : { frames, state };
}

/**
 * The end of a conversation by an ERROR, for bytes that are no frame or not all of one. `thrown` is whatever
 * was thrown about them.
 */
export function endWithError(thrown: unknown, state: ConnectionState): Outcome {
  const error = toChatError(thrown);
  reportRefusal(error, "a piece of a frame");
  const receipt = error instanceof StompError ? error.receipt : undefined;
  return { frames: [errorFrame(error, receipt, versionOf(state))], state, next: "close" };
}

/** Counts a refusal. `what` was refused: the log has it where a part of the system is away. */
export function reportRefusal(error: ChatError, what: string): void {
  count.refused(error.code, "stomp");
  if (error.code === "UNAVAILABLE") logUnavailable(what, error);
}
