import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { groupsOf } from "../fanout/groups.js";
import type { SendDeps } from "../fanout/send.js";
import { log } from "../platform/log.js";
import { detached } from "../platform/trace.js";
import type { Turns } from "../redis/ports.js";
import {
  dropWaitingReads,
  giveBackReads,
  listWaitingReads,
  takeReads,
  type WaitingRead,
} from "../store/readOutbox.js";
import { findRooms } from "../store/rooms.js";
import { together } from "../store/together.js";
import { broadcastTaken, readKey } from "./broadcast.js";
import { MERGED_ABOVE_MEMBERS } from "./note.js";

/** A room's waiting reads are broadcast at most once in this time. */
const INTERVAL_MS = 300;
const READS_AT_ONCE = 5_000;
/** Rooms beyond this number wait for the sweep. It bounds the memory of one process. */
const ROOMS_AT_MOST = 10_000;
const ROOMS_AT_ONCE = 500;
/** After half a minute of failures, or of other processes' turns, the sweep takes over. */
const TRIES = 100;

/**
 * A scheduler: broadcasts the reads that wait in rooms, together. The sweep finds those that it has not
 * broadcast when its process dies.
 */
export interface ReadMerger {
  /**
   * Has a room's waiting reads broadcast soon: at once, or 300 ms after the broadcast before. Never throws.
   */
  schedule(roomId: number): void;
  /**
   * Resolves when no read waits any more in the rooms that were scheduled, or when they were given up for
   * now.
   */
  settled(): Promise<void>;
  /** Stops after the broadcasts that are under way. */
  close(): Promise<void>;
}

export interface MergeDeps extends SendDeps {
  readonly turns: Turns;
}

/** A scheduled room. It stays until it may be broadcast again. */
interface Scheduled {
  /** Reads may wait in it. */
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
    // In the same turn in which the loop saw no room: the next `schedule` starts the work again.
    working = undefined;
  }

  return {
    schedule(roomId) {
      if (closing.signal.aborted) return;
      const known = rooms.get(roomId);
      if (known) known.waits = true;
      else if (rooms.size < ROOMS_AT_MOST) rooms.set(roomId, { waits: true, notBefore: 0, failures: 0 });
      // It goes on after the call that has begun it.
      working ??= detached(work);
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

/**
 * Rooms that are due and may have waiting reads. Also drops rooms that had none by the time they were due.
 */
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
    // Another process had the turn: it may have looked before our reads were stored.
    room.waits ||= !served.has(roomId);
  }
}

/**
 * Broadcasts the waiting reads of those rooms whose turn this process gets. Returns the rooms in which
 * nothing is left to do for now. Never throws.
 */
async function broadcastInTurn(
  due: readonly number[],
  rooms: ReadonlyMap<number, Scheduled>,
  deps: MergeDeps,
): Promise<ReadonlySet<number>> {
  try {
    const ours = await roomsInTurn(due, deps);
    // A read that is scheduled from here on may come too late to be taken.
    for (const roomId of ours) rooms.get(roomId)!.waits = false;
    const failed = ours.length === 0 ? [] : await broadcastWaiting(ours, deps);
    const failures = new Set(failed);
    return new Set(ours.filter((roomId) => !failures.has(roomId)));
  } catch (error) {
    log.warn("reads could not be broadcast yet", { rooms: due.length, error });
    return new Set();
  }
}

/**
 * Those of the rooms whose turn this process gets. Without Redis each process keeps the interval by itself.
 */
async function roomsInTurn(due: readonly number[], { turns }: MergeDeps): Promise<readonly number[]> {
  const taken = await Promise.all(due.map((roomId) => turns.takeReadTurn(roomId, INTERVAL_MS)));
  return due.filter((_, index) => taken[index] !== false);
}

/**
 * Broadcasts the waiting reads of these rooms. Returns the rooms that failed, or in which more reads wait.
 *
 * The subscribers are looked up behind the moves. Whoever subscribes later loads positions that contain these moves. So
 * the moves of a room without subscribers are deleted unsent.
 */
async function broadcastWaiting(roomIds: readonly number[], deps: MergeDeps): Promise<readonly number[]> {
  const database = together(deps.database);
  const [waiting, groups] = await Promise.all([
    listWaitingReads(database, roomIds, READS_AT_ONCE),
    groupsOf(database, roomIds.map(readKey)),
  ]);
  if (waiting.length === 0) return [];
  const isHeard = ({ roomId }: WaitingRead): boolean => groups.has(readKey(roomId));
  const heard = waiting.filter(isHeard);
  const takenBy = randomBytes(16);
  const unheard = waiting.filter((one) => !isHeard(one));
  // What may have to wait for a lock comes first: nothing is taken where it fails.
  const [, moves, rooms] = await Promise.all([
    dropWaitingReads(database, unheard),
    takeReads(database, heard, takenBy),
    findRooms(database, [...new Set(heard.map(({ roomId }) => roomId))]),
  ]).catch(async (error: unknown) => {
    // They may be taken, and none is sent: they wait for the next try, not for the sweep.
    await giveBackReads(deps.database, takenBy).catch(() => {});
    throw error;
  });
  const isMerged = (roomId: number): boolean => (rooms.get(roomId)?.memberCount ?? 0) > MERGED_ABOVE_MEMBERS;
  const failed = moves.length === 0 ? [] : await broadcastTaken(moves, [takenBy], isMerged, deps, groups);
  return waiting.length < READS_AT_ONCE ? [...failed] : roomIds;
}
