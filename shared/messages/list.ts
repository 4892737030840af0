import { requireAccess, visibleAfter } from "../chat/access.js";
import { type StoredMessage, shownWith } from "../chat/message.js";
import { spanOf } from "../chat/unread.js";
import { messageShown } from "../frames/message.js";
import type { Database, Queryable } from "../store/database.js";
import { countUnread } from "../store/members.js";
import { listMessagesAfter, listMessagesBefore } from "../store/messages.js";

interface Input {
  readonly roomId: number;
  readonly callerId: number;
  /** Newest first below this `seq`, or from the end. */
  readonly before?: number | undefined;
  /** Oldest first above this `seq`. Not together with `before`. */
  readonly after?: number | undefined;
  readonly limit: number;
}

/**
 * A page of a room's history, each message with its `unreadCount`. It has no message that the caller deleted,
 * and in a group none from before the caller joined. Throws `ROOM_NOT_FOUND`, `NOT_A_MEMBER`.
 */
export async function listMessages(
  { roomId, callerId, before, after, limit }: Input,
  { database }: { readonly database: Database },
): Promise<{ readonly messages: readonly ReturnType<typeof messageShown>[] }> {
  const { room, member } = await requireAccess(database, roomId, callerId);
  const from = Math.max(after ?? 0, visibleAfter(room, member));
  const below = before ?? Number.MAX_SAFE_INTEGER;
  const newest = Math.min(below - 1, room.lastSeq);
  const expected: Span =
    after === undefined
      ? [Math.max(from, newest - limit) + 1, newest]
      : [from + 1, Math.min(from + limit, room.lastSeq)];
  // Both at the same time. Only what the caller deleted and what is stored just now can put the page
  // elsewhere than expected.
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
