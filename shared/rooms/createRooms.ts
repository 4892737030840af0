import { ChatError } from "../errors.js";
import { inTransaction, isDuplicate } from "../store/database.js";
import { findMember, insertMembers } from "../store/members.js";
import { findRoomOfPair, insertRoom, lockRooms, setMemberCount } from "../store/rooms.js";
import { NewDirect, NewGroup } from "./api.js";
import type { RoomDeps } from "./roomDeps.js";
import { added, tellRoomLists } from "./tellRoomLists.js";
import { validated } from "./validate.js";

type Deps = Pick<RoomDeps, "database" | "broadcaster" | "now">;

/** Makes a group of the caller and these users; the caller is its creator. Repeated ids count once. Throws `INVALID_REQUEST`. */
export async function createGroupRoom(
  input: unknown,
  callerId: number,
  deps: Deps,
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
  await tellRoomLists(roomId, added(members), deps);
  return { roomId };
}

/**
 * The one-to-one room of the caller and another user, made where it is missing (`created`); two calls at once make one. A caller who
 * had left it is a member again. Throws `INVALID_REQUEST`, also for a room with oneself.
 */
export async function openDirectRoom(
  input: unknown,
  callerId: number,
  deps: Deps & Pick<RoomDeps, "sessions">,
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

async function insertPair(
  pairKey: string,
  callerId: number,
  targetUserId: number,
  deps: Deps,
): Promise<number> {
  const now = new Date(deps.now());
  const members = [callerId, targetUserId];
  const roomId = await inTransaction(deps.database, async (tx) => {
    const id = await insertRoom(tx, {
      type: "ONE_TO_ONE",
      name: null,
      creatorId: callerId,
      pairKey,
      memberCount: 2,
      now,
    });
    await insertMembers(tx, id, members, now);
    return id;
  });
  await tellRoomLists(roomId, added(members), deps);
  return roomId;
}

/** Takes the caller in again where they had left; all that was written meanwhile counts as read. */
async function comeBack(
  roomId: number,
  callerId: number,
  deps: Deps & Pick<RoomDeps, "sessions">,
): Promise<{ roomId: number; created: boolean }> {
  if (await findMember(deps.database, roomId, callerId)) return { roomId, created: false };
  const isBack = await inTransaction(deps.database, async (tx) => {
    const room = (await lockRooms(tx, [roomId])).get(roomId)!;
    if (await findMember(tx, roomId, callerId)) return false;
    const { lastSeq, lastMessageId, memberCount } = room;
    const place = { joinedSeq: 0, lastReadSeq: lastSeq, lastReadMessageId: lastMessageId };
    await insertMembers(tx, roomId, [callerId], new Date(deps.now()), place);
    await setMemberCount(tx, roomId, memberCount + 1);
    return true;
  });
  await deps.sessions.dropMembers(roomId);
  if (isBack) await tellRoomLists(roomId, added([callerId]), deps);
  return { roomId, created: false };
}
