import { MessagesQuery, RoomPath } from "../calls/schemas.js";
import { validated } from "../calls/validate.js";
import { requireAccess, visibleAfter } from "../chat/access.js";
import { type StoredMessage, shownWith } from "../chat/message.js";
import { spanOf } from "../chat/unread.js";
import { messageShown } from "../frames/message.js";
import type { RoomDeps } from "../rooms/roomDeps.js";
import type { Queryable } from "../store/database.js";
import { countUnread } from "../store/members.js";
import { listMessagesAfter, listMessagesBefore } from "../store/messages.js";

/**
 * A page of a room's history: newest first below `before` (or from the end), oldest first above `after`; at most 100, each with its
 * `unreadCount`, without those the caller deleted. In a group nothing from before the caller joined. Throws `INVALID_REQUEST`,
 * `ROOM_NOT_FOUND`, `NOT_A_MEMBER`.
 */
export async function listMessages(
  path: unknown,
  query: unknown,
  callerId: number,
  { database }: Pick<RoomDeps, "database">,
): Promise<{ messages: readonly object[] }> {
  const { roomId } = validated(RoomPath, path);
  const { before, after, limit } = validated(MessagesQuery, query);
  const { room, member } = await requireAccess(database, roomId, callerId);
  const from = Math.max(after ?? 0, visibleAfter(room, member));
  const below = before ?? Number.MAX_SAFE_INTEGER;
  const newest = Math.min(below - 1, room.lastSeq);
  const expected: Span =
    after === undefined
      ? [Math.max(from, newest - limit) + 1, newest]
      : [from + 1, Math.min(from + limit, room.lastSeq)];
  // At the same time: where the page will lie is known but for what the caller deleted and what is stored just now.
  const [messages, unread] = await Promise.all([
    after === undefined
      ? listMessagesBefore(database, roomId, callerId, below, from, limit)
      : listMessagesAfter(database, roomId, callerId, from, limit),
    expected[0] > expected[1] ? () => 0 : countUnread(database, roomId, ...expected),
  ]);
  const counts = covers(expected, messages) ? unread : await countAgain(database, roomId, messages);
  return { messages: messages.map((message) => messageShown(shownWith(message, counts(message.seq)))) };
}

type Span = readonly [oldest: number, newest: number];

function covers([oldest, newest]: Span, messages: readonly StoredMessage[]): boolean {
  if (messages.length === 0) return true;
  const [first, last] = spanOf(messages);
  return first >= oldest && last <= newest;
}

const countAgain = (db: Queryable, roomId: number, messages: readonly StoredMessage[]) =>
  countUnread(db, roomId, ...spanOf(messages));
