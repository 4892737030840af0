import { ChatError } from "../errors.js";
import { findPlaces, hideMessage } from "../store/messages.js";
import { hiddenBelow, requireAccess } from "./access.js";
import { MessagePath } from "./api.js";
import type { RoomDeps } from "./roomDeps.js";
import { validated } from "./validate.js";

/**
 * Deletes a message for the caller alone: it is left out of their history and preview, and nobody's counts change. Once more changes
 * nothing. Throws `INVALID_REQUEST`, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`, and `MESSAGE_NOT_FOUND` for one that the caller can't see.
 */
export async function deleteMessage(
  path: unknown,
  callerId: number,
  { database }: Pick<RoomDeps, "database">,
): Promise<{ roomId: number; messageId: number }> {
  const { roomId, messageId } = validated(MessagePath, path);
  const from = hiddenBelow(await requireAccess(database, roomId, callerId));
  const place = (await findPlaces(database, [messageId])).get(messageId);
  if (place?.roomId !== roomId || place.seq <= from)
    throw new ChatError("MESSAGE_NOT_FOUND", "There is no such message in this room.");
  await hideMessage(database, roomId, callerId, place.seq);
  return { roomId, messageId };
}
