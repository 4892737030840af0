import { randomBytes } from "node:crypto";
import { joinMoves, MERGED_ABOVE_MEMBERS, type ReadMoved, readShownFrames } from "../events/readShown.js";
import { log } from "../log.js";
import { destinationKey } from "../routing.js";
import { prepareMessage } from "../stomp/serializer.js";
import type { Queryable } from "../store/database.js";
import { deleteReads, giveBackReads, insertReads } from "../store/readOutbox.js";
import type { Room } from "../store/rooms.js";
import { type BroadcastDeps, broadcastFrames, type PreparedFrame } from "./broadcastFrames.js";
import type { ReadMerger } from "./mergedReads.js";

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
 * what can't be broadcast now is given back, and the sweep does it.
 */
export async function showReads(
  { moves, takenBy, waiting }: NotedReads,
  deps: BroadcastDeps & { readonly readMerger: ReadMerger },
): Promise<void> {
  for (const roomId of new Set(waiting)) deps.readMerger.schedule(roomId);
  if (moves.length === 0) return;
  try {
    await broadcastReads(moves, () => false, deps);
    for (const batch of takenBy) await deleteReads(deps.database, batch);
  } catch (error) {
    log.warn("reads could not be broadcast yet", { reads: moves.length, error });
    for (const batch of takenBy) await giveBack(batch, deps);
  }
}

/** For the sweep to find them sooner; where even this fails it finds them when they have been taken for too long. */
async function giveBack(takenBy: Buffer, { database }: BroadcastDeps): Promise<void> {
  await giveBackReads(database, takenBy).catch((error: unknown) =>
    log.warn("reads could not be given back", { error }),
  );
}

/** Broadcasts moves to the subscribers of their rooms' `/read`, in each room merged into few frames or one for each. Throws `UNAVAILABLE`. */
export async function broadcastReads(
  moves: readonly ReadMoved[],
  isMerged: (roomId: number) => boolean,
  deps: BroadcastDeps,
): Promise<void> {
  const byRoom = new Map<number, ReadMoved[]>();
  for (const move of moves) {
    const known = byRoom.get(move.roomId);
    if (known) known.push(move);
    else byRoom.set(move.roomId, [move]);
  }
  const frames = new Map<string, PreparedFrame[]>();
  for (const [roomId, ofRoom] of byRoom) {
    const key = destinationKey({ kind: "roomRead", roomId }, 0);
    const shown = readShownFrames(roomId, joinMoves(ofRoom), isMerged(roomId));
    frames.set(
      key,
      shown.map(([headers, body]) => prepareMessage(headers, body)),
    );
  }
  await broadcastFrames(frames, deps);
}
