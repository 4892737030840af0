import { type Headers, StompError, type StompVersion } from "./frame.js";

/** The limits of one frame and of one WebSocket message. */
export interface Limits {
  /** Of one frame's body, in bytes of UTF-8. */
  readonly bodyBytes: number;
  /** Of all header lines of one frame with their EOLs, in bytes of UTF-8 as sent (still escaped). */
  readonly headerBytes: number;
  /** The same for CONNECT and STOMP, in which many clients send their tokens. */
  readonly connectHeaderBytes: number;
  readonly framesPerMessage: number;
}

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 65_536,
  headerBytes: 4_096,
  connectHeaderBytes: 16_384,
  framesPerMessage: 100,
};

/**
 * A UTF-16 code unit is at most three bytes of UTF-8: a text this much shorter than a limit needs no
 * counting.
 */
export const BYTES_PER_UNIT = 3;

/** A message that is being read, and how far. */
export interface Reader {
  readonly text: string;
  readonly version: StompVersion;
  readonly limits: Limits;
  position: number;
  /** The headers of the frame that is being read, once they are known. */
  headers: Headers | undefined;
  /** The last frame was whole but for its NUL, with which its message ended. */
  nulIsMissing: boolean;
}

/** The error for a frame that is wrong; the message says how. */
export function malformed(message: string): StompError {
  return new StompError("MALFORMED_FRAME", message);
}

/** The message ends before its frame does. */
export class CutShort extends StompError {
  /**
   * With fewer bytes, counted from its first one, the frame can't be whole; 0 where its head has not ended
   * yet.
   */
  readonly least: number;
  /** With more bytes it would be too large. */
  readonly most: number;

  constructor(least: number, most: number) {
    super(
      "MALFORMED_FRAME",
      "The message ends before its frame does: the rest of it, its blank line or its final NUL is missing.",
    );
    this.least = least;
    this.most = most;
  }
}
