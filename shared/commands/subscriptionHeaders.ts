import { type Destination, parseDestination } from "../frames/destinations.js";
import { ChatError } from "../platform/errors.js";
import type { Frame, StompVersion } from "../stomp/frame.js";

const ID_BYTES = 256;

/** What a SUBSCRIBE asks for. */
export interface SubscribeHeaders {
  readonly destination: Destination;
  /** The subscription id as it stands on the wire in this connection's version. */
  readonly wire: string;
  /** `last-seq`: the last message that the client has. */
  readonly lastSeq: number | undefined;
  /** `packed:true`: several frames may come in one WebSocket message. */
  readonly packed: boolean;
}

/** Reads a SUBSCRIBE; throws `MALFORMED_FRAME`, `UNKNOWN_DESTINATION` or `NOT_SUPPORTED`. */
export function subscribeHeaders(frame: Frame, version: StompVersion): SubscribeHeaders {
  const text = frame.headers.get("destination");
  if (!text) throw new ChatError("MALFORMED_FRAME", "SUBSCRIBE needs a destination header.");
  const destination = parseDestination(text);
  if (!destination)
    throw new ChatError("UNKNOWN_DESTINATION", `There is no destination ${text.slice(0, 100)}`);
  if ((frame.headers.get("ack") ?? "auto") !== "auto")
    throw new ChatError("NOT_SUPPORTED", "Only ack:auto is supported.");
  const lastSeq = frame.headers.get("last-seq");
  if (lastSeq !== undefined && !/^\d{1,15}$/.test(lastSeq))
    throw new ChatError("MALFORMED_FRAME", "last-seq must be the seq of the last message seen, 0 or more.");
  return {
    destination,
    wire: subscriptionWire(frame, version),
    lastSeq: lastSeq === undefined ? undefined : Number(lastSeq),
    packed: frame.headers.get("packed") === "true",
  };
}

/**
 * The subscription id of a SUBSCRIBE or UNSUBSCRIBE exactly as the client wrote it. The id goes back byte for
 * byte: so no client needs to escape it as its version wants, and all connections of a group read the same
 * bytes alike. In STOMP 1.0 the id is optional, and the destination stands for it. Throws `MALFORMED_FRAME`.
 */
export function subscriptionWire(frame: Frame, version: StompVersion): string {
  const wire =
    frame.headers.wire("id") ?? (version === "1.0" ? frame.headers.wire("destination") : undefined);
  if (!wire) throw new ChatError("MALFORMED_FRAME", `${frame.command} needs an id header.`);
  if (Buffer.byteLength(wire) > ID_BYTES)
    throw new ChatError("MALFORMED_FRAME", `A subscription id has at most ${ID_BYTES} bytes.`);
  return wire;
}
