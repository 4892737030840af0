import type { EventBus } from "../bus/eventBus.js";
import type { BroadcastDeps } from "../fanout/send.js";
import { ChatError } from "../platform/errors.js";
import type { ReadMerger } from "../reads/merge.js";
import type { MembersCache } from "../redis/ports.js";

export interface StoreDeps extends BroadcastDeps {
  readonly bus: EventBus;
  readonly members: MembersCache;
  readonly readMerger: ReadMerger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** For how many milliseconds a passing failure is retried here before it is thrown to the host's own retries. */
  readonly retryBudgetMs: number;
}

/** What one try needs: it ends by the deadline of all tries. */
export interface TryDeps extends StoreDeps {
  readonly deadline: number;
}

/** Large holes are filled piece by piece, each of which stays: the next try goes on from there. */
export function requireTime({ deadline, now }: TryDeps): void {
  if (now() > deadline) throw new ChatError("UNAVAILABLE", "Filling a hole takes longer than one call may.");
}
