import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { log } from "../platform/log.js";
import type { Turns } from "../redis/ports.js";
import { takeReads } from "../store/readOutbox.js";
import { findRooms } from "../store/rooms.js";
import { broadcastTaken } from "./broadcast.js";
import type { BroadcastReadsDeps } from "./deps.js";
import { MERGED_ABOVE_MEMBERS } from "./note.js";

/** A room's waiting reads are broadcast at most once in this time. */
const INTERVAL_MS = 300;
const READS_AT_ONCE = 5_000;
/** Rooms beyond this wait for the sweep, which bounds what one process has on its hands. */
const ROOMS_AT_MOST = 10_000;
const ROOMS_AT_ONCE = 500;
/** Half a minute of failures or of other processes' turns; then the sweep takes over. */
const TRIES = 100;

/** Broadcasts the reads that wait in rooms, together. What it has not broadcast when its process dies is found by the sweep. */
export interface ReadMerger {
  /** Has a room's waiting reads broadcast soon: at once, or when 300 ms have passed since the time before. Never throws. */
  schedule(roomId: number): void;
  /** Resolves when nothing waits any more in the rooms that were scheduled, or was given up for now. */
  settled(): Promise<void>;
  /** Stops after the broadcasts that are under way. */
  close(): Promise<void>;
}

export interface MergeDeps extends BroadcastReadsDeps {
  readonly turns: Turns;
}

/** A room on the merger's hands; it stays there until the time in which it may not be broadcast again has passed. */
interface Scheduled {
  /** Something may wait. */
  waits: boolean;
  /** By the process's clock, in milliseconds. */
  notBefore: number;
  failures: number;
}

export function createReadMerger(deps: MergeDeps): ReadMerger {
  const rooms = new Map<number, Scheduled>();
  const closing = new AbortController();
  let working: Promise<void> | undefined;

  /** One broadcast after the other, each for all rooms that are due. */
  async function work(): Promise<void> {
    while (rooms.size > 0 && !closing.signal.aborted) {
      const due = dueRooms(rooms);
      if (due.length > 0) await broadcastDue(due, rooms, deps);
      else if (rooms.size > 0)
        await pause(untilNext(rooms), undefined, { signal: closing.signal }).catch(() => {});
    }
    // Together with having seen that there is nothing: whoever schedules a room from now on starts it anew.
    working = undefined;
  }

  return {
    schedule(roomId) {
      if (closing.signal.aborted) return;
      const known = rooms.get(roomId);
      if (known) known.waits = true;
      else if (rooms.size < ROOMS_AT_MOST) rooms.set(roomId, { waits: true, notBefore: 0, failures: 0 });
      working ??= work();
    },
    async settled() {
      while (working) await working;
    },
    async close() {
      closing.abort();
      await working;
    },
  };
}

/** The rooms in which something may wait and whose time has come. Forgets those in which nothing did until it came. */
function dueRooms(rooms: Map<number, Scheduled>): readonly number[] {
  const now = performance.now();
  const due: number[] = [];
  for (const [roomId, { waits, notBefore, failures }] of rooms) {
    if (notBefore > now) continue;
    if (!waits || failures >= TRIES) rooms.delete(roomId);
    else if (due.length < ROOMS_AT_ONCE) due.push(roomId);
  }
  return due;
}

const untilNext = (rooms: ReadonlyMap<number, Scheduled>): number => {
  const next = Math.min(...[...rooms.values()].map(({ notBefore }) => notBefore));
  return Math.max(1, next - performance.now());
};

async function broadcastDue(
  due: readonly number[],
  rooms: ReadonlyMap<number, Scheduled>,
  deps: MergeDeps,
): Promise<void> {
  const served = await broadcastInTurn(due, rooms, deps);
  const notBefore = performance.now() + INTERVAL_MS;
  for (const roomId of due) {
    const room = rooms.get(roomId)!;
    room.notBefore = notBefore;
    room.failures = served.has(roomId) ? 0 : room.failures + 1;
    // In another process's turn: it may have looked before our reads were stored.
    room.waits ||= !served.has(roomId);
  }
}

/** Broadcasts what waits in those of the rooms whose turn this process has got; returns the rooms in which nothing is left to do for now. Never throws. */
async function broadcastInTurn(
  due: readonly number[],
  rooms: ReadonlyMap<number, Scheduled>,
  deps: MergeDeps,
): Promise<ReadonlySet<number>> {
  try {
    const ours = await roomsInTurn(due, deps);
    // From here on whatever is scheduled may not be among what is taken.
    for (const roomId of ours) rooms.get(roomId)!.waits = false;
    const failed = ours.length === 0 ? [] : await broadcastWaiting(ours, deps);
    const failures = new Set(failed);
    return new Set(ours.filter((roomId) => !failures.has(roomId)));
  } catch (error) {
    log.warn("reads could not be broadcast yet", { rooms: due.length, error });
    return new Set();
  }
}

/** Those of the rooms whose turn this process has got. Without the session store each process keeps the interval by itself. */
async function roomsInTurn(due: readonly number[], { turns }: MergeDeps): Promise<readonly number[]> {
  const taken = await Promise.all(due.map((roomId) => turns.takeReadTurn(roomId, INTERVAL_MS)));
  return due.filter((_, index) => taken[index] !== false);
}

/** Broadcasts what waits in these rooms; returns those that failed, or in which more waits. */
async function broadcastWaiting(roomIds: readonly number[], deps: MergeDeps): Promise<readonly number[]> {
  const takenBy = randomBytes(16);
  const moves = await takeReads(deps.database, roomIds, takenBy, READS_AT_ONCE);
  if (moves.length === 0) return [];
  const found = await findRooms(deps.database, [...new Set(moves.map(({ roomId }) => roomId))]);
  const isMerged = (roomId: number): boolean => (found.get(roomId)?.memberCount ?? 0) > MERGED_ABOVE_MEMBERS;
  const failed = await broadcastTaken(moves, [takenBy], isMerged, deps);
  return moves.length < READS_AT_ONCE ? [...failed] : roomIds;
}
