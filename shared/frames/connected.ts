import type { StompVersion } from "../stomp/frame.js";
import { serializeFrame } from "../stomp/serializer.js";

const SERVER = "nonstop-chat/1";

/**
 * The server promises an EOL at least this often to a client that wants heart-beats. It sends two, so that
 * one may be lost.
 */
const HEART_BEAT_MS = 60_000;

/** What a CONNECTED frame says. */
export interface Connected {
  readonly connectionId: string;
  readonly userId: number;
  readonly version: StompVersion;
  /** Whether the client gets heart-beats. */
  readonly heartBeats: boolean;
}

/**
 * The CONNECTED frame. The server never asks for heart-beats: the socket service finds dead connections
 * itself, and each heart-beat of a client would be an upstream call.
 */
export function connectedFrame({ connectionId, userId, version, heartBeats }: Connected): string {
  const headers = {
    version,
    server: SERVER,
    session: connectionId,
    "user-name": String(userId),
    "heart-beat": heartBeats ? `${HEART_BEAT_MS},0` : "0,0",
  };
  return serializeFrame("CONNECTED", headers, "", version);
}
