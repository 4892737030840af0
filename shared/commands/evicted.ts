import type { EvictedEntry, SessionDeps } from "../connections/admission.js";
import { settle } from "../connections/closing.js";
import type { Connection } from "../connections/connection.js";
import { farewellFrames } from "../connections/farewell.js";
import type { Outcome } from "./command.js";

/**
 * What a frame of an evicted connection leads to: the connection is told and closed, unless another process
 * does that.
 */
export function evictedOutcome(
  { state, farewell }: EvictedEntry,
  { userId }: Connection,
  deps: Pick<SessionDeps, "sessions" | "now">,
): Outcome {
  if (!farewell) return { frames: [], state, evicted: true, next: "stop" };
  const frames = farewellFrames(farewell, deps.now());
  const afterClose = (): Promise<void> => settle(userId, farewell, deps);
  return { frames, state, evicted: true, next: "close", afterClose };
}
