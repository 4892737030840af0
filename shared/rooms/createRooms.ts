import { ChatError } from "../errors.js";
import { inTransaction, isDuplicate } from "../store/database.js";
import { findMember, insertMembers } from "../store/members.js";
import { findRoomOfPair, insertRoom, lockRooms, setMemberCount } from "../store/rooms.js";
import { NewDirect, NewGroup } from "./api.js";
import type { RoomDeps } from "./roomDeps.js";
import { validated } from "./validate.js";

/** Makes a group of the caller and these users; the caller is its creator. Repeated ids count once. Throws `INVALID_REQUEST`. */
export async function createGroupRoom(
  input: unknown,
  callerId: number,
  deps: Pick<RoomDeps, "database" | "now">,
): Promise<{ roomId: number }> {
  const { roomName, userIds } = validated(NewGroup, input);
  const members = [...new Set([callerId, ...userIds])];
  const now = new Date(deps.now());
  const roomId = await inTransaction(deps.database, async (tx) => {
    const room = {
      type: "GROUP",
      name: roomName,
      creatorId: callerId,
      pairKey: null,
      memberCount: members.length,
      now,
    } as const;
    const id = await insertRoom(tx, room);
    await insertMembers(tx, id, members, now);
    return id;
  });
  return { roomId };
}

/**
 * The one-to-one room of the caller and another user, made where it is missing (`created`); two calls at once make one. A caller who
 * had left it is a member again. Throws `INVALID_REQUEST`, also for a room with oneself.
 */
export async function openDirectRoom(
  input: unknown,
  callerId: number,
  deps: Pick<RoomDeps, "database" | "now" | "sessions">,
): Promise<{ roomId: number; created: boolean }> {
  const { targetUserId } = validated(NewDirect, input);
  if (targetUserId === callerId)
    throw new ChatError("INVALID_REQUEST", "targetUserId: must be another user", { field: "targetUserId" });
  const [smaller, larger] = [callerId, targetUserId].sort((a, b) => a - b) as [number, number];
  const pairKey = `${smaller}:${larger}`;
  const known = await findRoomOfPair(deps.database, pairKey);
  if (known !== undefined) return comeBack(known, callerId, deps);
  try {
    return { roomId: await insertPair(pairKey, callerId, targetUserId, deps), created: true };
  } catch (error) {
    const other = isDuplicate(error) ? await findRoomOfPair(deps.database, pairKey) : undefined;
    if (other === undefined) throw error;
    return comeBack(other, callerId, deps);
  }
}

function insertPair(
  pairKey: string,
  callerId: number,
  targetUserId: number,
  deps: Pick<RoomDeps, "database" | "now">,
): Promise<number> {
  const now = new Date(deps.now());
  return inTransaction(deps.database, async (tx) => {
    const id = await insertRoom(tx, {
      type: "ONE_TO_ONE",
      name: null,
      creatorId: callerId,
      pairKey,
      memberCount: 2,
      now,
    });
    await insertMembers(tx, id, [callerId, targetUserId], now);
    return id;
  });
}

/** Takes the caller in again where they had left; all that was written meanwhile counts as read. */
async function comeBack(
  roomId: number,
  callerId: number,
  { database, now, sessions }: Pick<RoomDeps, "database" | "now" | "sessions">,
): Promise<{ roomId: number; created: boolean }> {
  if (await findMember(database, roomId, callerId)) return { roomId, created: false };
  await inTransaction(database, async (tx) => {
    const room = (await lockRooms(tx, [roomId])).get(roomId)!;
    if (await findMember(tx, roomId, callerId)) return;
    const { lastSeq, lastMessageId, memberCount } = room;
    const place = { joinedSeq: 0, lastReadSeq: lastSeq, lastReadMessageId: lastMessageId };
    await insertMembers(tx, roomId, [callerId], new Date(now()), place);
    await setMemberCount(tx, roomId, memberCount + 1);
  });
  await sessions.dropMembers(roomId);
  return { roomId, created: false };
}
