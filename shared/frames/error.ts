import { createHash } from "node:crypto";
import type { Connection, Outcome, Received } from "../commands/command.js";
import { SUPPORTED_VERSIONS } from "../commands/connect.js";
import { keyOfLane } from "../fanout/groups.js";
import { type ChatError, type ErrorCode, errorBody } from "../platform/errors.js";
import type { StompVersion } from "../stomp/frame.js";
import { serializeFrame } from "../stomp/serializer.js";
import { destinationKey } from "./destinations.js";

/** Refusals that concern one message or subscription: the connection stays open for a client that listens on `/user/queue/errors`. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "RATE_LIMIT_EXCEEDED",
  "NOT_A_MEMBER",
  "INVALID_MESSAGE",
  "TOO_MANY_SUBSCRIPTIONS",
  "UNAVAILABLE",
]);

/**
 * A refusal as a message on `/user/queue/errors` where the client listens there, else as ERROR and a close (STOMP 1.2, "ERROR"). Either names
 * the frame by its `receipt`, as it stood on the wire: a client that waits for the RECEIPT learns that none will come.
 */
export function refuse(error: ChatError, { frame, eventId }: Received, connection: Connection): Outcome {
  const { state, userId } = connection;
  const version = state.version ?? "1.2";
  const receipt = frame.headers.wire("receipt");
  const queue = destinationKey({ kind: "userErrors" }, userId);
  const listening = [...state.subscriptions].find(([, lane]) => keyOfLane(lane) === queue);
  if (listening && REFUSALS.has(error.code)) {
    const headers = {
      destination: "/user/queue/errors",
      // As an id for MESSAGE must be: another one for each frame, and the same for its repeat.
      "message-id": `error-${createHash("sha256").update(eventId).digest("base64url")}`,
      "content-type": "application/json",
    };
    const wireHeaders = { subscription: listening[0], ...receiptId(receipt) };
    const frames = [serializeFrame("MESSAGE", headers, errorBody(error), version, wireHeaders)];
    return error.code === "UNAVAILABLE" ? { frames, state, unavailable: true } : { frames, state };
  }
  return { frames: [errorFrame(error, receipt, version)], state, close: true };
}

/** The header for a frame that had a `receipt`, and none for one that had not. */
const receiptId = (receipt: string | undefined): Readonly<Record<string, string>> =>
  receipt === undefined ? {} : { "receipt-id": receipt };

/** The ERROR frame; `receipt` is as it stood on the wire. A header can't hold every text in every version, so characters that would need escaping are left out of `message`. */
export function errorFrame(error: ChatError, receipt: string | undefined, version: StompVersion): string {
  const headers = {
    message: `${error.code} ${error.message}`.replace(/[\r\n\\:]/g, " "),
    "content-type": "application/json",
    // STOMP 1.2, "Protocol Negotiation": the ERROR of a failed negotiation lists the server's versions.
    ...(error.code === "NOT_SUPPORTED" && error.message.startsWith("No common version")
      ? { version: SUPPORTED_VERSIONS }
      : {}),
  };
  return serializeFrame("ERROR", headers, errorBody(error), version, receiptId(receipt));
}
