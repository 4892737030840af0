import { z } from "zod";
import { type RoomSummary, RoomsQuery } from "../calls/schemas.js";
import { validated } from "../calls/validate.js";
import { otherOfPair } from "../chat/pair.js";
import { ChatError } from "../platform/errors.js";
import { type LastMessage, type ListedRoom, type ListPlace, listRoomsOf } from "../store/roomLists.js";
import { findUsers, namelessUser, type User } from "../store/users.js";
import type { RoomDeps } from "./roomDeps.js";

/** Milliseconds since 1970 that a DATETIME can hold, and a room id. */
const Cursor = z.tuple([z.int().min(0).max(253_402_300_799_999), z.int().positive()]);

/** The caller's rooms, latest activity first, at most 100 a page; `cursor` of a page asks for the next one and is null on the last. */
export async function listRooms(
  query: unknown,
  callerId: number,
  { database }: Pick<RoomDeps, "database">,
): Promise<{ rooms: readonly z.infer<typeof RoomSummary>[]; cursor: string | null }> {
  const { limit, cursor } = validated(RoomsQuery, query);
  const before = cursor === undefined ? undefined : decodeCursor(cursor);
  const rooms = await listRoomsOf(database, callerId, limit + 1, before);
  const page = rooms.slice(0, limit);
  const others = page.flatMap((room) => otherOfPair(room.pairKey, callerId) ?? []);
  const users = await findUsers(database, others);
  const last = page.at(-1);
  return {
    rooms: page.map((room) => summaryOf(room, callerId, users)),
    cursor: rooms.length > limit && last ? encodeCursor(last) : null,
  };
}

/** A one-to-one room bears the other one's name and picture. */
function summaryOf(
  room: ListedRoom,
  callerId: number,
  users: ReadonlyMap<number, User>,
): z.infer<typeof RoomSummary> {
  const { lastActivityAt: _, pairKey: __, lastMessage, ...rest } = room;
  const other = otherOfPair(room.pairKey, callerId);
  const user = other === undefined ? undefined : users.get(other);
  return {
    ...rest,
    name: other === undefined ? (room.name ?? "") : (user?.nickname ?? namelessUser(other)),
    imageUrl: other === undefined ? room.imageUrl : (user?.profileImageUrl ?? null),
    lastMessage: lastMessage && previewOf(lastMessage),
  };
}

/** Of those who were invited a list shows no more than this. */
const TARGETS = 3;

const previewOf = (last: LastMessage) => ({
  messageId: last.messageId,
  seq: last.seq,
  content: last.content,
  type: last.type,
  sentAt: last.sentAt.toISOString(),
  senderId: last.senderId,
  senderNickname: last.senderNickname,
  ...(last.target && { target: last.target }),
  ...(last.targets && { targets: last.targets.slice(0, TARGETS) }),
  ...(last.roomName !== undefined && { roomName: last.roomName }),
});

/** A cursor is the place of the page's last room; clients hand it back as it is. */
const encodeCursor = (room: ListedRoom): string =>
  Buffer.from(JSON.stringify([room.lastActivityAt.getTime(), room.roomId])).toString("base64url");

function decodeCursor(cursor: string): ListPlace {
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
