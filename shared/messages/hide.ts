import { requireAccess, visibleAfter } from "../chat/access.js";
import { ChatError } from "../platform/errors.js";
import type { Database, Queryable } from "../store/database.js";
import { countHidden, lockMembers, memberKey } from "../store/members.js";
import { findPlaces, hideMessage, type MessagePlace } from "../store/messages.js";
import { inTransaction } from "../store/transaction.js";

interface Input {
  readonly roomId: number;
  readonly messageId: number;
  readonly callerId: number;
}

/**
 * Deletes a message for the caller alone: their history and preview leave it out, and their unread count, if
 * it was unread. Nobody else's counts change. A repeat changes nothing. Throws `ROOM_NOT_FOUND`,
 * `NOT_A_MEMBER`, and `MESSAGE_NOT_FOUND` for a message that the caller can't see.
 */
export async function deleteMessage(
  { roomId, messageId, callerId }: Input,
  { database }: { readonly database: Database },
): Promise<{ readonly roomId: number; readonly messageId: number }> {
  const { room, member } = await requireAccess(database, roomId, callerId);
  const place = (await findPlaces(database, [messageId])).get(messageId);
  if (place?.roomId !== roomId || place.seq <= visibleAfter(room, member))
    throw new ChatError("MESSAGE_NOT_FOUND", "There is no such message in this room.");
  await inTransaction(database, (tx) => hide(tx, callerId, place));
  return { roomId, messageId };
}

/**
 * Works under the member's lock, which reads take as well. So the message is either read first, or it is
 * hidden first and counts as hidden until it is read.
 */
async function hide(tx: Queryable, userId: number, { roomId, seq, counts }: MessagePlace): Promise<void> {
  const locked = await lockMembers(tx, [{ roomId, userId }]);
  const member = locked.get(memberKey(roomId, userId));
  if (!member) throw new ChatError("NOT_A_MEMBER", "You are not a member of this room.");
  const isNew = await hideMessage(tx, roomId, userId, seq);
  if (isNew && counts && seq > member.lastReadSeq) await countHidden(tx, roomId, userId);
}
