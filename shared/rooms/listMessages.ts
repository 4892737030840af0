import { z } from "zod";
import { ChatError } from "../errors.js";
import { messageShown, unreadCounter } from "../events/messageShown.js";
import { Id } from "../events/messages.js";
import { listMessagesAfter, listMessagesBefore } from "../store/messages.js";
import { countReadPositions, findMember, findRoom } from "../store/rooms.js";
import type { RoomDeps } from "./roomDeps.js";
import { validated } from "./validate.js";

const Query = z
  .object({
    roomId: z.coerce.number().pipe(Id),
    before: z.coerce.number().int().min(1).optional(),
    after: z.coerce.number().int().min(0).optional(),
    limit: z.coerce.number().int().min(1).max(100).default(50),
  })
  .refine((query) => query.before === undefined || query.after === undefined, {
    path: ["after"],
    error: "goes without before: one of the two",
  });

/**
 * A page of a room's history: newest first below `before` (or from the end), oldest first above `after`; at most 100, each with its
 * `unreadCount`. In a group nothing from before the caller joined. Throws `INVALID_REQUEST`, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`.
 */
export async function listMessages(
  query: unknown,
  callerId: number,
  { database }: RoomDeps,
): Promise<object> {
  const { roomId, before, after, limit } = validated(Query, query);
  const room = await findRoom(database, roomId);
  if (!room) throw new ChatError("ROOM_NOT_FOUND", "There is no such room.");
  const member = await findMember(database, roomId, callerId);
  if (!member) throw new ChatError("NOT_A_MEMBER", "You are not a member of this room.");
  const from = room.type === "GROUP" ? member.joinedSeq : 0;
  const messages =
    after === undefined
      ? await listMessagesBefore(database, roomId, before ?? Number.MAX_SAFE_INTEGER, from, limit)
      : await listMessagesAfter(database, roomId, Math.max(after, from), limit);
  const unread = unreadCounter(messages.length === 0 ? [] : await countReadPositions(database, roomId));
  return { messages: messages.map((message) => messageShown({ message, unreadCount: unread(message.seq) })) };
}
