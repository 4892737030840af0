import { setTimeout as pause } from "node:timers/promises";
import type { EventBatch, ReceivedEvent } from "../bus/eventBus.js";
import { consumeBatch, type Reaction } from "../consumers/consumeBatch.js";
import type { Refused } from "../consumers/deadLetters.js";
import type { StoreDeps } from "../consumers/storeDeps.js";
import { parseRoomRead, READS_DEAD_LETTER_HUB, type RoomRead } from "../events/reads.js";
import type { ReadMoved } from "../frames/read.js";
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
import { type NotedReads, noReads, noteReads, showReads, togetherNoted } from "./show.js";

/**
 * Stores a batch of read events: of each member of a room only the furthest position counts, and only if it lies ahead. Takes no lock on
 * rooms, so storing messages never waits for it. See `consumeBatch` for what becomes of each event, and what it throws.
 */
export const storeReads = (batch: EventBatch, deps: StoreDeps): Promise<void> =>
  consumeBatch(batch, readsReaction(deps), deps);

const PACE_MS = 250;
const IN_A_HURRY = 150;

/**
 * The same at a walk: a read may take a moment, and those of a quarter of a second are stored and broadcast together, which takes a fraction
 * of the work. A batch so large that more must be waiting is not held up.
 */
export async function storeReadsPaced(batch: EventBatch, deps: StoreDeps): Promise<void> {
  const pace = batch.events.length < IN_A_HURRY ? pause(PACE_MS) : undefined;
  await Promise.all([storeReads(batch, deps), pace]);
}

function readsReaction(deps: StoreDeps): Reaction<NotedReads> {
  return {
    deadLetterHub: READS_DEAD_LETTER_HUB,
    nothing: noReads,
    join: togetherNoted,
    store,
    // What it can't show now stays noted.
    show: (_stream, reads) => showReads(reads, deps),
  };
}

interface ReadEvent {
  readonly event: ReceivedEvent;
  readonly read: RoomRead;
}

async function store(
  tx: Queryable,
  events: readonly ReceivedEvent[],
): Promise<{ result: NotedReads; refused: readonly Refused[] }> {
  const { readable, refused: unreadable } = readEvents(events);
  const reads = readable.map(({ read }) => read);
  const rooms = await findRooms(tx, [...new Set(reads.map(({ roomId }) => roomId))]);
  const places = await findPlaces(tx, [...new Set(reads.map(({ messageId }) => messageId))]);
  const members = await lockMembers(tx, usersByRoom(reads));
  const refused = [...unreadable, ...readable.flatMap((one) => refusal(one, rooms, members))];
  const moves = furthest(reads, rooms, places, members);
  await setReadPositions(tx, await positionsOf(tx, moves, members));
  return { result: await noteReads(tx, moves, rooms), refused };
}

/** Where the moves lead. Of who has deleted unread messages for themselves it is seen which of them are still ahead. */
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
  const keyOf = ({ roomId, userId }: { roomId: number; userId: number }): string => memberKey(roomId, userId);
  const hidden = await countHiddenAbove(
    tx,
    positions.filter((one) => members.get(keyOf(one))!.hiddenUnread > 0),
  );
  return positions.map((one) => ({ ...one, hiddenUnread: hidden.get(keyOf(one)) ?? 0 }));
}

function readEvents(events: readonly ReceivedEvent[]): {
  readable: readonly ReadEvent[];
  refused: readonly Refused[];
} {
  const readable: ReadEvent[] = [];
  const refused: Refused[] = [];
  for (const event of events) {
    try {
      readable.push({ event, read: parseRoomRead(event.body) });
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      refused.push({ event, error });
    }
  }
  return { readable, refused };
}

function usersByRoom(reads: readonly RoomRead[]): ReadonlyMap<number, ReadonlySet<number>> {
  const users = new Map<number, Set<number>>();
  for (const { roomId, userId } of reads) users.set(roomId, (users.get(roomId) ?? new Set()).add(userId));
  return users;
}

function refusal(
  { event, read: { roomId, userId } }: ReadEvent,
  rooms: ReadonlyMap<number, Room>,
  members: ReadonlyMap<string, Member>,
): readonly Refused[] {
  if (members.has(memberKey(roomId, userId))) return [];
  const error = rooms.has(roomId)
    ? new ChatError("NOT_A_MEMBER", "Whoever read the room is not a member of it any more.", { roomId })
    : new ChatError("ROOM_NOT_FOUND", "The room of this read is gone.", { roomId });
  return [{ event, error, key: String(userId) }];
}

/** A move, and how many of the room's messages up to where it leads are system messages. */
interface Move extends ReadMoved {
  readonly uncounted: number;
}

/** Of each member of a room the move to the furthest position, if that lies ahead of where the member is. */
function furthest(
  reads: readonly RoomRead[],
  rooms: ReadonlyMap<number, Room>,
  places: ReadonlyMap<number, MessagePlace>,
  members: ReadonlyMap<string, Member>,
): readonly Move[] {
  const moves = new Map<string, Move>();
  for (const read of reads) {
    const { roomId, userId } = read;
    const key = memberKey(roomId, userId);
    const member = members.get(key);
    const place = placeOf(read, rooms, places);
    const reached = moves.get(key)?.lastReadSeq ?? member?.lastReadSeq ?? 0;
    if (!member || !place || place.seq <= reached) continue;
    moves.set(key, {
      roomId,
      userId,
      lastReadSeq: place.seq,
      lastReadMessageId: place.messageId,
      previousLastReadSeq: member.lastReadSeq,
      previousLastReadMessageId: member.lastReadMessageId,
      readAt: new Date(read.readAt),
      uncounted: place.uncounted,
    });
  }
  return [...moves.values()];
}

/** Where a read leads: to its message, or to the room's last one when it names an id beyond that; nowhere with an id of another room or of nothing. */
function placeOf(
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
