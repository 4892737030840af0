import { randomBytes } from "node:crypto";
import type { ReadMoved } from "../chat/readMove.js";
import { insertReads } from "../store/readOutbox.js";
import type { Room } from "../store/rooms.js";
import type { Transaction } from "../store/transaction.js";

/**
 * The reads of a room with more members than this are merged: they wait for the room's turn, and go out
 * together.
 */
export const MERGED_ABOVE_MEMBERS = 100;

/**
 * Moves of read positions on their way to the `/read` destinations. They are noted in the transaction that
 * makes them and deleted once they are broadcast. So a crash in between delays them until the next sweep, and
 * never loses one.
 */
export interface NotedReads {
  /** The moves to broadcast at once, noted under `takenBy`: one value for each transaction. */
  readonly moves: readonly ReadMoved[];
  readonly takenBy: readonly Buffer[];
  /** Rooms in which moves wait to be broadcast together: the big ones. */
  readonly waiting: readonly number[];
}

export const noReads: NotedReads = { moves: [], takenBy: [], waiting: [] };

export const combineNoted = (first: NotedReads, second: NotedReads): NotedReads => ({
  moves: [...first.moves, ...second.moves],
  takenBy: [...first.takenBy, ...second.takenBy],
  waiting: [...first.waiting, ...second.waiting],
});

/**
 * Notes moves in the transaction that stores them. Those of small rooms are broadcast by the caller after the
 * commit, those of big ones wait.
 */
export function noteReads(
  tx: Transaction,
  moves: readonly ReadMoved[],
  rooms: ReadonlyMap<number, Room>,
): NotedReads {
  if (moves.length === 0) return noReads;
  const isBig = ({ roomId }: ReadMoved): boolean => rooms.get(roomId)!.memberCount > MERGED_ABOVE_MEMBERS;
  const [merged, single] = [moves.filter(isBig), moves.filter((move) => !isBig(move))];
  const takenBy = randomBytes(16);
  insertReads(tx, single, takenBy);
  insertReads(tx, merged, null);
  return {
    moves: single,
    takenBy: single.length === 0 ? [] : [takenBy],
    waiting: [...new Set(merged.map(({ roomId }) => roomId))],
  };
}
