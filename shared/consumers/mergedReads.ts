import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { MERGED_ABOVE_MEMBERS } from "../events/readShown.js";
import { log } from "../log.js";
import type { SessionStore } from "../sessions/sessionStore.js";
import { deleteReads, giveBackReads, takeReads } from "../store/readOutbox.js";
import { findRoom } from "../store/rooms.js";
import type { BroadcastDeps } from "./broadcastFrames.js";
import { broadcastReads } from "./showReads.js";

/** A room's merged reads are broadcast at most once in this time. */
const INTERVAL_MS = 300;
const READS_AT_ONCE = 5_000;
/** Rooms beyond this wait for the sweep, which bounds what one process has on its hands. */
const ROOMS_AT_ONCE = 1_000;
/** Half a minute of failures or of other processes' turns; then the sweep takes over. */
const TRIES = 100;

/** Broadcasts the waiting reads of big rooms, merged. What it has not broadcast when its process dies is found by the sweep. */
export interface ReadMerger {
  /** Has a room's waiting reads broadcast soon: at once, or when 300 ms have passed since the time before. Never throws. */
  schedule(roomId: number): void;
  /** Broadcasts what waits in a room that was scheduled, and all that follows, until nothing waits; for tests and for closing. */
  settled(): Promise<void>;
  /** Stops after the broadcasts that are under way. */
  close(): Promise<void>;
}

export interface MergeDeps extends BroadcastDeps {
  readonly sessions: Pick<SessionStore, "takeReadTurn">;
}

export function createReadMerger(deps: MergeDeps): ReadMerger {
  /** The rooms being worked on; `again`: something was scheduled since it was last looked for. */
  const rooms = new Map<number, { again: boolean; done: Promise<void> }>();
  const closing = new AbortController();

  async function work(roomId: number, state: { again: boolean }): Promise<void> {
    for (let failures = 0; state.again && !closing.signal.aborted && failures < TRIES; ) {
      state.again = false;
      try {
        const outcome = await broadcastOnce(roomId, deps);
        // In another process's turn: it may have looked before our reads were stored.
        if (outcome !== "done") state.again = true;
        failures = outcome === "notOurTurn" ? failures + 1 : 0;
      } catch (error) {
        log.warn("a big room's reads could not be broadcast yet", { roomId, error });
        state.again = true;
        failures += 1;
      }
      // Also after the last one: whoever schedules the room meanwhile waits for its turn.
      await pause(INTERVAL_MS, undefined, { signal: closing.signal }).catch(() => {});
    }
    // Together with having seen that nothing was scheduled since.
    rooms.delete(roomId);
  }

  return {
    schedule(roomId) {
      const known = rooms.get(roomId);
      if (known) known.again = true;
      else if (!closing.signal.aborted && rooms.size < ROOMS_AT_ONCE) {
        const state = { again: true, done: Promise.resolve() };
        rooms.set(roomId, state);
        state.done = work(roomId, state);
      }
    },
    async settled() {
      while (rooms.size > 0) await Promise.all([...rooms.values()].map(({ done }) => done));
    },
    async close() {
      closing.abort();
      await Promise.all([...rooms.values()].map(({ done }) => done));
    },
  };
}

/** Broadcasts what waits in a room, unless it is another process's turn. What can't be broadcast is given back. */
async function broadcastOnce(roomId: number, deps: MergeDeps): Promise<"done" | "more" | "notOurTurn"> {
  // Without the session store each process keeps the interval by itself.
  if ((await deps.sessions.takeReadTurn(roomId, INTERVAL_MS)) === false) return "notOurTurn";
  const takenBy = randomBytes(16);
  try {
    const moves = await takeReads(deps.database, roomId, takenBy, READS_AT_ONCE);
    if (moves.length === 0) return "done";
    const memberCount = (await findRoom(deps.database, roomId))?.memberCount ?? 0;
    await broadcastReads(moves, () => memberCount > MERGED_ABOVE_MEMBERS, deps);
    await deleteReads(deps.database, takenBy);
    return moves.length < READS_AT_ONCE ? "done" : "more";
  } catch (error) {
    await giveBackReads(deps.database, takenBy).catch(() => {});
    throw error;
  }
}
