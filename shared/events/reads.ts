import { z } from "zod";
import { Id } from "./messages.js";
import { parseEvent } from "./parseEvent.js";

export const READS_HUB = "chat-read-events";
export const READS_DEAD_LETTER_HUB = "chat-read-events-dlt";

/** Somebody read a room up to a message. The event stands in `chat-read-events`, keyed by `userId`. */
export const RoomRead = z.object({
  v: z.literal(1),
  roomId: Id,
  userId: Id,
  /**
   * As the client said. The consumer that stores the read checks whether the room has the message, and
   * whether it is ahead of the user's read position.
   */
  messageId: Id,
  /** ISO 8601, UTC, milliseconds. */
  readAt: z.iso.datetime({ precision: 3 }),
});
export type RoomRead = z.infer<typeof RoomRead>;

/** The event of a read at this time, milliseconds since 1970. */
export const roomRead = (
  { roomId, userId, messageId }: Pick<RoomRead, "roomId" | "userId" | "messageId">,
  now: number,
): RoomRead => ({ v: 1, roomId, userId, messageId, readAt: new Date(now).toISOString() });

/** Reads an event's bytes. Throws `INVALID_MESSAGE`, which says what is wrong. */
export const parseRoomRead = (body: Uint8Array): RoomRead => parseEvent(RoomRead, body);
