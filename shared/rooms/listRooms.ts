import { z } from "zod";
import { otherOfPair } from "../chat/pair.js";
import { ChatError } from "../platform/errors.js";
import { type LastMessage, type ListedRoom, type ListPlace, listRoomsOf } from "../store/roomLists.js";
import { findUsers, namelessUser, type User } from "../store/users.js";
import type { RoomDeps } from "./roomDeps.js";

/** Milliseconds since 1970 that a DATETIME can hold, and a room id. */
const Cursor = z.tuple([z.int().min(0).max(253_402_300_799_999), z.int().positive()]);

interface Input {
  readonly callerId: number;
  /** Rooms a page. */
  readonly limit: number;
  /** The `cursor` of the page before. */
  readonly cursor?: string | undefined;
}

/** A room as its member sees it in a list. */
interface RoomSummary extends Omit<ListedRoom, "pairKey" | "lastActivityAt" | "lastMessage"> {
  readonly name: string;
  readonly lastMessage: ReturnType<typeof previewOf> | null;
}

interface RoomsPage {
  readonly rooms: readonly RoomSummary[];
  /** Asks for the next page; null on the last one. */
  readonly cursor: string | null;
}

/**
 * A page of the caller's rooms, latest activity first. Throws `INVALID_REQUEST` for a cursor that no page
 * had.
 */
export async function listRooms(
  { callerId, limit, cursor }: Input,
  { database }: Pick<RoomDeps, "database">,
): Promise<RoomsPage> {
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

/** A one-to-one room has the name and the picture of the other user. */
function summaryOf(room: ListedRoom, callerId: number, users: ReadonlyMap<number, User>): RoomSummary {
  const { lastActivityAt: _, pairKey: __, lastMessage, ...rest } = room;
  const other = otherOfPair(room.pairKey, callerId);
  const user = other === undefined ? undefined : users.get(other);
  return {
    lastMessage: lastMessage && previewOf(lastMessage),
    ...rest,
    name: other === undefined ? (room.name ?? "") : (user?.nickname ?? namelessUser(other)),
    imageUrl: other === undefined ? room.imageUrl : (user?.profileImageUrl ?? null),
  };
}

/** A list shows no more of the users who were invited. */
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

/** A cursor says where the page's last room stands. Clients hand it back as it is. */
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
