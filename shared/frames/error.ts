import { type ChatError, errorBody } from "../platform/errors.js";
import type { StompVersion } from "../stomp/frame.js";
import { serializeFrame } from "../stomp/serializer.js";
import { headersOf, type MessageFrame } from "./frame.js";

/**
 * The ERROR frame in the connection's version. `receipt` is the refused frame's, as it stood on the wire. The
 * header `message` has no character that any version escapes, as a header can't hold every text in every
 * version.
 */
export function errorFrame(error: ChatError, receipt: string | undefined, version: StompVersion): string {
  const { versions } = error.details;
  const headers = {
    message: `${error.code} ${error.message}`.replace(/[\r\n\\:]/g, " "),
    "content-type": "application/json",
    // STOMP 1.2, "Protocol Negotiation": the ERROR of a failed negotiation lists the server's versions.
    ...(versions === undefined ? {} : { version: versions }),
  };
  return serializeFrame("ERROR", headers, errorBody(error), version, receiptId(receipt));
}

/** The same error as a MESSAGE on `/user/queue/errors`. */
export const errorMessage = (error: ChatError, messageId: string): MessageFrame => ({
  destination: { kind: "userErrors" },
  messageId,
  body: errorBody(error),
});

/** A frame that was refused, as its client knows it. */
export interface RefusedFrame {
  /** The same for the frame's repeats, and another one for every other frame: so must a MESSAGE's id be. */
  readonly eventId: string;
  /** As it stood on the wire. */
  readonly receipt: string | undefined;
}

/**
 * That MESSAGE for the one client whose frame was refused, by its subscription id as it stands on the wire.
 */
export function refusalFrame(
  error: ChatError,
  { eventId, receipt }: RefusedFrame,
  subscriptionWire: string,
  version: StompVersion,
): string {
  const message = errorMessage(error, `error-${eventId}`);
  const wireHeaders = { subscription: subscriptionWire, ...receiptId(receipt) };
  return serializeFrame("MESSAGE", headersOf(message), message.body, version, wireHeaders);
}

/** The header `receipt-id` for a frame that had a `receipt`, and none for one that had not. */
const receiptId = (receipt: string | undefined): Readonly<Record<string, string>> =>
  receipt === undefined ? {} : { "receipt-id": receipt };
