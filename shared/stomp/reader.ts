import { type Headers, StompError, type StompVersion } from "./frame.js";

/** What one frame, and one WebSocket message, may take. */
export interface Limits {
  /** Of one frame's body, in bytes of UTF-8. */
  readonly bodyBytes: number;
  /** Header lines of one frame, repeats included. */
  readonly headers: number;
  /** Of all header lines of one frame with their EOLs, in bytes of UTF-8 as sent (still escaped). */
  readonly headerBytes: number;
  readonly framesPerMessage: number;
}

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 65_536,
  headers: 32,
  headerBytes: 4096,
  framesPerMessage: 100,
};

/** A UTF-16 code unit is at most three bytes of UTF-8: a text this much shorter than a limit needs no counting. */
export const BYTES_PER_UNIT = 3;

/** Where we are in the message. */
export interface Reader {
  readonly text: string;
  readonly version: StompVersion;
  readonly limits: Limits;
  position: number;
  /** Of the frame being read, once known. */
  headers: Headers | undefined;
}

/** What is wrong, for an ERROR frame. */
export function malformed(message: string): StompError {
  return new StompError("MALFORMED_FRAME", message);
}

/** The message ends before its frame does. */
export function cutShort(): StompError {
  return malformed(
    "The frame is split over two WebSocket messages, or its blank line or final NUL is missing.",
  );
}
