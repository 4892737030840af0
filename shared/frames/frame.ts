import { prepareMessage } from "../stomp/serializer.js";
import { type Destination, destinationText } from "./destinations.js";

/** What one MESSAGE frame says, whoever receives it: its `subscription` is still to come. */
export interface MessageFrame {
  readonly destination: Destination;
  /** Another one for each content, and the same for a repeat. */
  readonly messageId: string;
  /** JSON. */
  readonly body: string;
  /** Headers besides those that every MESSAGE has. */
  readonly more?: Readonly<Record<string, string>>;
}

/** A frame as text, but for the subscription id of its receivers, which is given as it stands on the wire. */
export type PreparedFrame = (subscriptionWire: string) => string;

/** The headers of a MESSAGE frame in their order, but for its `subscription`. */
export const headersOf = ({ destination, messageId, more }: MessageFrame): Record<string, string> => ({
  destination: destinationText(destination),
  "message-id": messageId,
  "content-type": "application/json",
  ...more,
});

/** The frame is serialized once, for all its receivers. */
export const prepared = (frame: MessageFrame): PreparedFrame => prepareMessage(headersOf(frame), frame.body);
