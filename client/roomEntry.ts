import type { LastMessage, Message, RoomSummary } from "./types.js";
import { Unread } from "./unread.js";

/** A room of the list, with what came live since it was loaded. */
export interface RoomEntry {
  summary: RoomSummary;
  lastSeq: number;
  /**
   * How many loads had begun when the last message came live. A later load knows that message, or that it was
   * deleted.
   */
  heardIn: number;
  readonly unread: Unread;
  /** The `seq` of the message that told the name. */
  namedBy: number;
  /** The time of the hint that told the name, where the room is not heard. */
  namedAt: number;
  /** How many loads had begun when that hint came. A later load knows the name. */
  namedIn: number;
  /** The same of the picture, which hints alone tell. */
  picturedAt: number;
  picturedIn: number;
}

/** The rooms of `first`, and behind them the others. */
export function inFront(
  first: readonly RoomSummary[],
  others: readonly RoomSummary[],
): readonly RoomSummary[] {
  const ids = new Set(first.map(({ roomId }) => roomId));
  return [...first, ...others.filter(({ roomId }) => !ids.has(roomId))];
}

/** The `seq` of a room's last message. */
export const seqOf = (rooms: readonly RoomSummary[], roomId: number): number | undefined =>
  rooms.find((room) => room.roomId === roomId)?.lastMessage?.seq;

/** The service's answer, or what came live meanwhile, whichever is further. */
export function merged(summary: RoomSummary, live: RoomEntry | undefined, load: number): RoomEntry {
  const lastSeq = summary.lastMessage?.seq ?? 0;
  const unread = live?.unread ?? new Unread();
  unread.set(summary.unreadCount, lastSeq, load);
  const { heardIn = 0, namedBy = 0, namedAt = 0, namedIn = 0, picturedAt = 0, picturedIn = 0 } = live ?? {};
  const isAhead = live !== undefined && heardIn >= load && live.lastSeq > lastSeq;
  return {
    summary: {
      ...summary,
      ...(isAhead && live.summary.lastMessage && { lastMessage: live.summary.lastMessage }),
      ...(live && (namedBy > lastSeq || namedIn >= load) && { name: live.summary.name }),
      ...(live && picturedIn >= load && { imageUrl: live.summary.imageUrl }),
    },
    lastSeq: Math.max(lastSeq, live?.lastSeq ?? 0),
    heardIn,
    unread,
    namedBy,
    namedAt,
    namedIn,
    picturedAt,
    picturedIn,
  };
}

/** A message as the list shows it. */
export const previewOf = (message: Message): LastMessage => {
  const { messageId, seq, content, type, sentAt, senderId, senderNickname, target, targets, roomName } =
    message;
  return {
    ...{ messageId, seq, content, type, sentAt, senderId, senderNickname },
    ...(target && { target }),
    ...(targets && { targets }),
    ...(roomName !== undefined && { roomName }),
  };
};
