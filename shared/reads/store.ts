import { setTimeout as pause } from "node:timers/promises";
import type { EventBatch, ReceivedEvent } from "../bus/eventBus.js";
import { moveTo, type ReadMoved } from "../chat/readMove.js";
import { consumeBatch } from "../consumers/consumeBatch.js";
import type { Refused } from "../consumers/deadLetters.js";
import type { BatchHandler, StoreEvents } from "../consumers/handler.js";
import { type Readable, readEach } from "../consumers/readEach.js";
import { parseRoomRead, READS_DEAD_LETTER_HUB, type RoomRead } from "../events/reads.js";
import { ChatError } from "../platform/errors.js";
import type { Queryable } from "../store/database.js";
import {
  lockMembers,
  type Member,
  memberKey,
  type ReadPosition,
  setReadPositions,
} from "../store/members.js";
import { countHiddenAbove, findPlaces, type MessagePlace } from "../store/messages.js";
import { findRooms, type Room } from "../store/rooms.js";
import type { Transaction } from "../store/transaction.js";
import type { ReadsDeps } from "./deps.js";
import { combineNoted, type NotedReads, noReads, noteReads } from "./note.js";
import { showReads } from "./show.js";

/**
 * Stores a batch of read events. Of each member of a room only the furthest position counts, and only if it
 * lies ahead. It takes no lock on rooms, so storing messages never waits for it. `consumeBatch` says what
 * becomes of each event, and what it throws.
 */
export const storeReads = (batch: EventBatch, deps: ReadsDeps): Promise<void> =>
  consumeBatch(batch, handlerOf(deps), deps);

const PACE_MS = 250;
/** A batch of this many events is not held up: more must be waiting. */
const LARGE_BATCH = 150;

/**
 * The same at a walk: a batch takes a quarter of a second at least, unless it is large. Those that come
 * meanwhile are stored and broadcast together, which takes a fraction of the work.
 */
export async function storeReadsPaced(batch: EventBatch, deps: ReadsDeps): Promise<void> {
  const pace = batch.events.length < LARGE_BATCH ? pause(PACE_MS) : undefined;
  await Promise.all([storeReads(batch, deps), pace]);
}

const handlerOf = (deps: ReadsDeps): BatchHandler<NotedReads> => ({
  lookUp,
  deadLetterHub: READS_DEAD_LETTER_HUB,
  nothing: noReads,
  combine: combineNoted,
  show: (_stream, reads) => showReads(reads, deps),
  // What can't be shown now stays noted.
  shown: { kind: "byOutbox" },
});

async function lookUp(tx: Transaction, events: readonly ReceivedEvent[]): Promise<StoreEvents<NotedReads>> {
  const { readable, unreadable } = readEach(events, parseRoomRead);
  const reads = readable.map(({ content }) => content);
  // The members last: it may have to wait for them.
  const [rooms, places, members] = await Promise.all([
    findRooms(tx, [...new Set(reads.map(({ roomId }) => roomId))]),
    findPlaces(tx, [...new Set(reads.map(({ messageId }) => messageId))]),
    lockMembers(tx, reads),
  ]);
  return async () => {
    const refused = [...unreadable, ...readable.flatMap((one) => refusal(one, rooms, members))];
    const moves = furthest(reads, rooms, places, members);
    setReadPositions(tx, await positionsOf(tx, moves, members));
    const noted = noteReads(tx, moves, rooms);
    return { result: () => noted, refused };
  };
}

const keyOf = ({ roomId, userId }: Pick<RoomRead, "roomId" | "userId">): string => memberKey(roomId, userId);

/**
 * Where the moves lead. Of a member who has deleted unread messages for themselves those still ahead are
 * counted again.
 */
async function positionsOf(
  tx: Queryable,
  moves: readonly Move[],
  members: ReadonlyMap<string, Member>,
): Promise<readonly ReadPosition[]> {
  const positions = moves.map(({ roomId, userId, lastReadSeq, lastReadMessageId, uncounted }) => ({
    roomId,
    userId,
    seq: lastReadSeq,
    messageId: lastReadMessageId,
    uncounted,
  }));
  const hidden = await countHiddenAbove(
    tx,
    positions.filter((one) => members.get(keyOf(one))!.hiddenUnread > 0),
  );
  return positions.map((one) => ({ hiddenUnread: hidden.get(keyOf(one)) ?? 0, ...one }));
}

function refusal(
  { event, content }: Readable<RoomRead>,
  rooms: ReadonlyMap<number, Room>,
  members: ReadonlyMap<string, Member>,
): readonly Refused[] {
  const { roomId, userId } = content;
  if (members.has(keyOf(content))) return [];
  const error = rooms.has(roomId)
    ? new ChatError("NOT_A_MEMBER", "Whoever read the room is not a member of it any more.", { roomId })
    : new ChatError("ROOM_NOT_FOUND", "The room of this read is gone.", { roomId });
  return [{ event, error, key: String(userId) }];
}

/** A move, and how many of the room's messages up to where it leads are system messages. */
interface Move extends ReadMoved {
  readonly uncounted: number;
}

/**
 * Of each member of a room the move to the furthest position, if that lies ahead of where the member stands.
 */
function furthest(
  reads: readonly RoomRead[],
  rooms: ReadonlyMap<number, Room>,
  places: ReadonlyMap<number, MessagePlace>,
  members: ReadonlyMap<string, Member>,
): readonly Move[] {
  const moves = new Map<string, Move>();
  for (const read of reads) {
    const member = members.get(keyOf(read));
    const end = endOf(read, rooms, places);
    const reached = moves.get(keyOf(read))?.lastReadSeq ?? member?.lastReadSeq ?? 0;
    if (!member || !end || end.seq <= reached) continue;
    const move = moveTo(member, end, new Date(read.readAt));
    moves.set(keyOf(read), { uncounted: end.uncounted, ...move });
  }
  return [...moves.values()];
}

/**
 * Where a read leads: to its message, or to the room's last one when it names an id beyond that. Nowhere with
 * the id of another room's message, or of none.
 */
function endOf(
  { roomId, messageId }: RoomRead,
  rooms: ReadonlyMap<number, Room>,
  places: ReadonlyMap<number, MessagePlace>,
): { readonly seq: number; readonly messageId: number; readonly uncounted: number } | undefined {
  const room = rooms.get(roomId);
  const place = places.get(messageId);
  if (!room || room.lastMessageId === null) return undefined;
  if (place)
    return place.roomId === roomId ? { seq: place.seq, messageId, uncounted: place.uncounted } : undefined;
  return messageId > room.lastMessageId
    ? { seq: room.lastSeq, messageId: room.lastMessageId, uncounted: room.lastUncounted }
    : undefined;
}
