import { MessagePath } from "../calls/schemas.js";
import { validated } from "../calls/validate.js";
import { requireAccess, visibleAfter } from "../chat/access.js";
import { ChatError } from "../platform/errors.js";
import type { RoomDeps } from "../rooms/roomDeps.js";
import { inTransaction, type Queryable } from "../store/database.js";
import { countHidden, lockMembers, memberKey } from "../store/members.js";
import { findPlaces, hideMessage, type MessagePlace } from "../store/messages.js";

/**
 * Deletes a message for the caller alone: it is left out of their history and preview, and of their unread messages if it was one; nobody else's counts
 * change. Once more changes nothing. Throws `INVALID_REQUEST`, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`, and `MESSAGE_NOT_FOUND` for one that the caller can't see.
 */
export async function deleteMessage(
  path: unknown,
  callerId: number,
  { database }: Pick<RoomDeps, "database">,
): Promise<{ roomId: number; messageId: number }> {
  const { roomId, messageId } = validated(MessagePath, path);
  const { room, member } = await requireAccess(database, roomId, callerId);
  const place = (await findPlaces(database, [messageId])).get(messageId);
  if (place?.roomId !== roomId || place.seq <= visibleAfter(room, member))
    throw new ChatError("MESSAGE_NOT_FOUND", "There is no such message in this room.");
  await inTransaction(database, (tx) => hide(tx, callerId, place));
  return { roomId, messageId };
}

/** Under the member's lock, which reads take, too: the message is either read first, or hidden first and not counted until it is read. */
async function hide(tx: Queryable, userId: number, { roomId, seq, counts }: MessagePlace): Promise<void> {
  const locked = await lockMembers(tx, new Map([[roomId, new Set([userId])]]));
  const member = locked.get(memberKey(roomId, userId));
  if (!member) throw new ChatError("NOT_A_MEMBER", "You are not a member of this room.");
  const isNew = await hideMessage(tx, roomId, userId, seq);
  if (isNew && counts && seq > member.lastReadSeq) await countHidden(tx, roomId, userId);
}
