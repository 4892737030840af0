import { z } from "zod";
import { ChatError } from "../errors.js";
import { listRoomsOf, type RoomSummary } from "../store/rooms.js";
import type { RoomDeps } from "./roomDeps.js";
import { validated } from "./validate.js";

const Query = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(50),
  cursor: z.string().max(200).optional(),
});

/** Milliseconds since 1970 that a DATETIME can hold, and a room id. */
const Cursor = z.tuple([z.int().min(0).max(253_402_300_799_999), z.int().positive()]);

/** The caller's rooms, latest activity first, at most 100 a page; `cursor` of a page asks for the next one and is null on the last. */
export async function listRooms(query: unknown, callerId: number, { database }: RoomDeps): Promise<object> {
  const { limit, cursor } = validated(Query, query);
  const rooms = await listRoomsOf(
    database,
    callerId,
    limit + 1,
    cursor === undefined ? undefined : decodeCursor(cursor),
  );
  const page = rooms.slice(0, limit);
  const last = page.at(-1);
  return {
    rooms: page.map(({ lastActivityAt: _, ...room }) => room),
    cursor: rooms.length > limit && last ? encodeCursor(last) : null,
  };
}

/** A cursor is the place of the page's last room; clients hand it back as it is. */
const encodeCursor = (room: RoomSummary): string =>
  Buffer.from(JSON.stringify([room.lastActivityAt.getTime(), room.roomId])).toString("base64url");

function decodeCursor(cursor: string): { at: Date; roomId: number } {
  try {
    const [at, roomId] = Cursor.parse(JSON.parse(Buffer.from(cursor, "base64url").toString()));
    return { at: new Date(at), roomId };
  } catch (cause) {
    throw new ChatError("INVALID_REQUEST", "cursor: must be the cursor of an earlier page", {
      field: "cursor",
      cause,
    });
  }
}
