import { combineMoves, type ReadMoved } from "../chat/readMove.js";
import type { Groups } from "../fanout/groups.js";
import { LONGEST_SEND_MS, ON_THE_SIDE, type SendDeps, sendTo } from "../fanout/send.js";
import { destinationKey } from "../frames/destinations.js";
import { type PreparedFrame, prepared } from "../frames/frame.js";
import { readFrames } from "../frames/read.js";
import { groupBy } from "../platform/async.js";
import { log } from "../platform/log.js";
import { STATEMENT_MS } from "../store/database.js";
import { ABANDONED_MS, deleteReads, giveBackReads } from "../store/readOutbox.js";

/**
 * No send is begun after this time, so that the last one has ended, and its moves are deleted, before the
 * sweep takes them for abandoned and has them broadcast once more.
 */
export const BROADCAST_MS = ABANDONED_MS - LONGEST_SEND_MS - STATEMENT_MS;

/**
 * Broadcasts moves that are taken, and forgets those of the rooms in which that succeeded. Those of the
 * others are given back, or found by the sweep. `isMerged` says in which rooms many moves share a frame, `groups` who
 * hears them, where that is known. Returns the rooms that failed; never throws.
 */
export async function broadcastTaken(
  moves: readonly ReadMoved[],
  takenBy: readonly Buffer[],
  isMerged: (roomId: number) => boolean,
  deps: SendDeps,
  groups?: Groups,
): Promise<ReadonlySet<number>> {
  const rooms = new Set(moves.map(({ roomId }) => roomId));
  try {
    const failed = await broadcastReads(moves, isMerged, deps, groups);
    const served = [...rooms].filter((roomId) => !failed.has(roomId));
    for (const batch of takenBy) await deleteReads(deps.database, batch, served);
    if (failed.size > 0) for (const batch of takenBy) await giveBackReads(deps.database, batch);
    return failed;
  } catch (error) {
    log.warn("reads could not be broadcast yet", { reads: moves.length, error });
    await Promise.allSettled(takenBy.map((batch) => giveBackReads(deps.database, batch)));
    return rooms;
  }
}

/** The key of the destination on which a room's reads are heard. */
export const readKey = (roomId: number): string => destinationKey({ kind: "roomRead", roomId }, 0);

/** Broadcasts moves to the subscribers of their rooms' `/read`. Returns the rooms in which that failed. */
async function broadcastReads(
  moves: readonly ReadMoved[],
  isMerged: (roomId: number) => boolean,
  deps: SendDeps,
  groups?: Groups,
): Promise<ReadonlySet<number>> {
  const frames = new Map<string, readonly PreparedFrame[]>();
  const roomOf = new Map<string, number>();
  for (const [roomId, ofRoom] of groupBy(moves, (move) => move.roomId)) {
    const key = readKey(roomId);
    roomOf.set(key, roomId);
    frames.set(key, readFrames(roomId, combineMoves(ofRoom), isMerged(roomId)).map(prepared));
  }
  const end = deps.now() + BROADCAST_MS;
  const failed = await sendTo(frames, { ...ON_THE_SIDE, isOver: () => deps.now() > end }, deps, groups);
  for (const [key, error] of failed) log.warn("a room's reads could not be broadcast yet", { key, error });
  return new Set([...failed.keys()].map((key) => roomOf.get(key)!));
}
