import { messageShown } from "../events/messageShown.js";
import { countUnread } from "../store/members.js";
import { listMessagesAfter, listMessagesBefore } from "../store/messages.js";
import { hiddenBelow, requireAccess } from "./access.js";
import { MessagesQuery, RoomPath } from "./api.js";
import type { RoomDeps } from "./roomDeps.js";
import { validated } from "./validate.js";

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
  const from = hiddenBelow(await requireAccess(database, roomId, callerId));
  const messages =
    after === undefined
      ? await listMessagesBefore(database, roomId, callerId, before ?? Number.MAX_SAFE_INTEGER, from, limit)
      : await listMessagesAfter(database, roomId, callerId, Math.max(after, from), limit);
  const unread = await countUnread(database, roomId, messages);
  return { messages: messages.map((message) => messageShown({ message, unreadCount: unread(message.seq) })) };
}
