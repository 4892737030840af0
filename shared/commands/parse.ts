import { type ConnectionState, versionOf } from "../connections/connectionState.js";
import { StompError, type StompVersion } from "../stomp/frame.js";
import { type ParsedMessage, parseMessage } from "../stomp/parser.js";
import type { Limits } from "../stomp/reader.js";
import { negotiateVersion } from "../stomp/versions.js";

/** The frames of a message up to the first malformed one. */
export interface Parsed extends ParsedMessage {
  /** Why nothing can follow the frames. */
  readonly malformed?: StompError;
}

/**
 * Parses a message in the connection's version. Before CONNECTED the version is not known yet: it is the one
 * that the CONNECT in front will agree on.
 */
export function parse(data: Uint8Array, state: ConnectionState, limits: Limits): Parsed {
  const assumed = versionOf(state);
  const first = tryParse(data, assumed, limits);
  const connectFrame = state.version === undefined ? first.frames[0] : undefined;
  const isConnect = connectFrame?.command === "CONNECT" || connectFrame?.command === "STOMP";
  const agreed = isConnect ? negotiateVersion(connectFrame.headers.get("accept-version")) : undefined;
  return agreed === undefined || agreed === assumed ? first : tryParse(data, agreed, limits);
}

function tryParse(data: Uint8Array, version: StompVersion, limits: Limits): Parsed {
  try {
    return parseMessage(data, version, limits);
  } catch (error) {
    if (!(error instanceof StompError)) throw error;
    return { frames: error.framesBefore, malformed: error, nulIsMissing: false };
  }
}
