import type { Http } from "./http.js";
import type { ChatTiming } from "./timing.js";

/** What the parts of an open room share. */
export interface RoomScope {
  readonly roomId: number;
  readonly http: Http;
  readonly timing: ChatTiming;
  readonly userId: () => number | undefined;
  /** Whether nobody has the room open any more, or the user can't have it. Then its parts ask for nothing. */
  readonly isClosed: () => boolean;
  /** Says that a property of the room may have another value. */
  readonly changed: () => void;
  /**
   * Runs `work` until it succeeds, while the room is open and there is a connection. Never rejects: a refusal
   * of the room ends the room. A work that fails in an unexpected way is given up after a few tries, and each
   * is told.
   */
  readonly persist: (work: () => Promise<void>) => Promise<void>;
}
