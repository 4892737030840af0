import { randomBytes } from "node:crypto";
import { destinationKey } from "../fanout/groups.js";
import { type BroadcastDeps, broadcastSeparately, type PreparedFrame } from "../fanout/send.js";
import { joinMoves, MERGED_ABOVE_MEMBERS, type ReadMoved, readShownFrames } from "../frames/read.js";
import { log } from "../platform/log.js";
import { prepareMessage } from "../stomp/serializer.js";
import type { Queryable } from "../store/database.js";
import { deleteReads, giveBackReads, insertReads } from "../store/readOutbox.js";
import type { Room } from "../store/rooms.js";
import type { ReadMerger } from "./merge.js";

/** No send is begun after this; one takes at most 22 s more. Together less than after what time a move counts as abandoned. */
const BROADCAST_MS = 20_000;

/**
 * Moves of read positions on their way to the `/read` destinations. They are noted in the transaction that makes them and deleted once
 * they are broadcast, so that a crash in between delays them (until the next sweep) but never loses one.
 */
export interface NotedReads {
  /** What to broadcast at once, noted under `takenBy`, one value for each transaction. */
  readonly moves: readonly ReadMoved[];
  readonly takenBy: readonly Buffer[];
  /** Rooms in which moves wait to be broadcast together: the big ones. */
  readonly waiting: readonly number[];
}

export const noReads: NotedReads = { moves: [], takenBy: [], waiting: [] };

export const togetherNoted = (first: NotedReads, second: NotedReads): NotedReads => ({
  moves: [...first.moves, ...second.moves],
  takenBy: [...first.takenBy, ...second.takenBy],
  waiting: [...first.waiting, ...second.waiting],
});

/** Notes moves in the transaction that stores them, to be broadcast by whoever broadcasts their rooms' reads next: nobody waits for that. */
export async function noteWaiting(tx: Queryable, moves: readonly ReadMoved[]): Promise<NotedReads> {
  await insertReads(tx, moves, null);
  return { ...noReads, waiting: [...new Set(moves.map(({ roomId }) => roomId))] };
}

/** Notes moves in the transaction that stores them, to be broadcast after the commit, but for those of big rooms. */
export async function noteReads(
  tx: Queryable,
  moves: readonly ReadMoved[],
  rooms: ReadonlyMap<number, Room>,
): Promise<NotedReads> {
  if (moves.length === 0) return noReads;
  const isBig = ({ roomId }: ReadMoved): boolean => rooms.get(roomId)!.memberCount > MERGED_ABOVE_MEMBERS;
  const [merged, single] = [moves.filter(isBig), moves.filter((move) => !isBig(move))];
  const takenBy = randomBytes(16);
  await insertReads(tx, single, takenBy);
  const { waiting } = await noteWaiting(tx, merged);
  return { moves: single, takenBy: single.length === 0 ? [] : [takenBy], waiting };
}

/**
 * After the commit: broadcasts small rooms' moves, one send a room and subscription id, and has what waits in others broadcast. Never throws:
 * what can't be broadcast now is given back, and broadcast later.
 */
export async function showReads(
  { moves, takenBy, waiting }: NotedReads,
  deps: BroadcastDeps & { readonly readMerger: ReadMerger },
): Promise<void> {
  for (const roomId of new Set(waiting)) deps.readMerger.schedule(roomId);
  if (moves.length === 0) return;
  const failed = await broadcastTaken(moves, takenBy, () => false, deps);
  for (const roomId of failed) deps.readMerger.schedule(roomId);
}

/**
 * Broadcasts moves that are taken, and forgets those of the rooms in which that succeeded; those of the others are given back, or found by the
 * sweep. Returns the rooms that failed; never throws.
 */
export async function broadcastTaken(
  moves: readonly ReadMoved[],
  takenBy: readonly Buffer[],
  isMerged: (roomId: number) => boolean,
  deps: BroadcastDeps,
): Promise<ReadonlySet<number>> {
  const rooms = new Set(moves.map(({ roomId }) => roomId));
  try {
    const failed = await broadcastReads(moves, isMerged, deps);
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

/** Broadcasts moves to the subscribers of their rooms' `/read`, in each room merged into few frames or one for each; returns the rooms in which that failed. */
async function broadcastReads(
  moves: readonly ReadMoved[],
  isMerged: (roomId: number) => boolean,
  deps: BroadcastDeps,
): Promise<ReadonlySet<number>> {
  const byRoom = new Map<number, ReadMoved[]>();
  for (const move of moves) {
    const known = byRoom.get(move.roomId);
    if (known) known.push(move);
    else byRoom.set(move.roomId, [move]);
  }
  const frames = new Map<string, PreparedFrame[]>();
  const roomOf = new Map<string, number>();
  for (const [roomId, ofRoom] of byRoom) {
    const key = destinationKey({ kind: "roomRead", roomId }, 0);
    const shown = readShownFrames(roomId, joinMoves(ofRoom), isMerged(roomId));
    roomOf.set(key, roomId);
    frames.set(
      key,
      shown.map(([headers, body]) => prepareMessage(headers, body)),
    );
  }
  const failed = await broadcastSeparately(frames, Date.now() + BROADCAST_MS, deps);
  for (const [key, error] of failed) log.warn("a room's reads could not be broadcast yet", { key, error });
  return new Set([...failed.keys()].map((key) => roomOf.get(key)!));
}
