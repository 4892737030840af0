import { randomUUID } from "node:crypto";
import type { EventBus, ReceivedEvent } from "../bus/eventBus.js";
import { ChatError } from "../platform/errors.js";
import type { Database } from "../store/database.js";
import type { Stream, StreamPosition } from "../store/streamPositions.js";

/** Less than the host's function time-out (`host.json`), so the host's own retries come after ours. */
export const RETRY_BUDGET_MS = 60_000;

const PROCESS = randomUUID();

/** What consuming a batch needs, whatever its events are. */
export interface ConsumeDeps {
  readonly database: Database;
  readonly bus: EventBus;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /**
   * For this many milliseconds a passing failure is retried here, before it is thrown to the host's own
   * retries.
   */
  readonly retryBudgetMs: number;
  /** Who shows what is stored: this process, where nothing else is said. */
  readonly instance?: string;
  /**
   * Whether the call of a batch that takes long to show may end before it is shown, so that the next one is stored
   * meanwhile.
   */
  readonly showsBehind?: boolean;
  /** Called before each batch. Throws to have it tried again. */
  readonly beforeBatch?: (stream: Stream) => Promise<void>;
  /** Called after each batch, with where its stream stood before. */
  readonly onBatch?: (stream: Stream, before: StreamPosition, events: readonly ReceivedEvent[]) => void;
}

export const instanceOf = ({ instance = PROCESS }: ConsumeDeps): string => instance;

/** What one try needs: it ends by the deadline of all tries. */
export interface TryDeps extends ConsumeDeps {
  /** Milliseconds since 1970. */
  readonly deadline: number;
}

/**
 * Large holes are filled piece by piece. Each piece stays, and the next try goes on from there. Throws
 * `UNAVAILABLE` when the time is over.
 */
export function requireTime({ deadline, now }: TryDeps): void {
  if (now() > deadline) throw new ChatError("UNAVAILABLE", "Filling a hole takes longer than one call may.");
}
