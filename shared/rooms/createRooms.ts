import { pairKeyOf } from "../chat/pair.js";
import { readmit } from "../chat/readmit.js";
import { added, giveHints } from "../fanout/hints.js";
import { ChatError } from "../platform/errors.js";
import { isDuplicate, type Queryable } from "../store/database.js";
import { findMember, insertMembers, NO_MESSAGES } from "../store/members.js";
import { findRoomOfPair, insertRoom, lockRooms, type Room } from "../store/rooms.js";
import { inTransaction } from "../store/transaction.js";
import { awaitedAmong, namesOf } from "../store/users.js";
import { type Keep, once } from "./idempotency.js";
import type { RoomDeps } from "./roomDeps.js";

type Deps = Pick<RoomDeps, "database" | "broadcaster" | "now">;

interface GroupInput {
  readonly roomName: string;
  readonly userIds: readonly number[];
  readonly callerId: number;
  /** The client's `Idempotency-Key`. */
  readonly key?: string | undefined;
}

interface RoomRef {
  readonly roomId: number;
}

/**
 * Makes a group of the caller, who is its creator, and these users. Repeated ids count once. With a `key` at
 * most once; throws as `once` does.
 */
export async function createGroupRoom(
  { callerId, key, roomName, userIds }: GroupInput,
  deps: Deps,
): Promise<RoomRef> {
  const group = { roomName, userIds };
  const call = { callerId, key, request: ["createGroupRoom", group] } as const;
  return once<RoomRef>(call, (keep) => createGroup(group, callerId, keep, deps), deps);
}

async function createGroup(
  { roomName, userIds }: Pick<GroupInput, "roomName" | "userIds">,
  callerId: number,
  keep: Keep<RoomRef>,
  deps: Deps,
): Promise<RoomRef> {
  const members = [...new Set([callerId, ...userIds])];
  const now = new Date(deps.now());
  const room = { type: "GROUP", name: roomName, creatorId: callerId, pairKey: null } as const;
  const made = await inTransaction(deps.database, async (tx) => {
    const roomId = await insertNew(tx, room, members, now);
    const by = (await namesOf(tx, [callerId]))(callerId);
    await keep(tx, { roomId });
    return { roomId, by };
  });
  await giveHints([added(members, made.roomId, roomName, made.by)], deps);
  return { roomId: made.roomId };
}

/**
 * Makes a room with its members and returns its id. Throws a duplicate error when the pair has a room
 * already.
 */
async function insertNew(
  tx: Queryable,
  room: Pick<Room, "type" | "name" | "creatorId" | "pairKey">,
  members: readonly number[],
  now: Date,
): Promise<number> {
  // The creator is here, even if that could not be noted.
  const awaited = await awaitedAmong(
    tx,
    members.filter((userId) => userId !== room.creatorId),
  );
  const counts = { memberCount: members.length, awaitedCount: awaited.size };
  const roomId = await insertRoom(tx, { ...room, ...counts, now });
  await insertMembers(tx, roomId, members, now, { ...NO_MESSAGES, joinedSeq: 0 }, awaited);
  return roomId;
}

interface DirectInput {
  readonly targetUserId: number;
  readonly callerId: number;
  /** The client's `Idempotency-Key`. */
  readonly key?: string | undefined;
}

export interface Opened {
  readonly roomId: number;
  readonly created: boolean;
}

/**
 * The one-to-one room of the caller and another user. It is made where it is missing (`created`); two calls
 * at the same time make one. A caller who had left the room is a member again. With a `key` at most once.
 * Throws `INVALID_REQUEST` for a room with oneself, and as `once` does.
 */
export async function openDirectRoom(
  { targetUserId, callerId, key }: DirectInput,
  deps: Deps & Pick<RoomDeps, "members">,
): Promise<Opened> {
  if (targetUserId === callerId)
    throw new ChatError("INVALID_REQUEST", "targetUserId: must be another user", { field: "targetUserId" });
  const call = { callerId, key, request: ["openDirectRoom", targetUserId] } as const;
  return once<Opened>(call, (keep) => openDirect(targetUserId, callerId, keep, deps), deps);
}

async function openDirect(
  targetUserId: number,
  callerId: number,
  keep: Keep<Opened>,
  deps: Deps & Pick<RoomDeps, "members">,
): Promise<Opened> {
  const pairKey = pairKeyOf(callerId, targetUserId);
  const known = await findRoomOfPair(deps.database, pairKey);
  if (known !== undefined) return comeBack(known, callerId, keep, deps);
  try {
    return await insertPair(pairKey, callerId, targetUserId, keep, deps);
  } catch (error) {
    const other = isDuplicate(error) ? await findRoomOfPair(deps.database, pairKey) : undefined;
    if (other === undefined) throw error;
    return comeBack(other, callerId, keep, deps);
  }
}

async function insertPair(
  pairKey: string,
  callerId: number,
  targetUserId: number,
  keep: Keep<Opened>,
  deps: Deps,
): Promise<Opened> {
  const now = new Date(deps.now());
  const members = [callerId, targetUserId];
  const room = { type: "ONE_TO_ONE", name: null, creatorId: callerId, pairKey } as const;
  const made = await inTransaction(deps.database, async (tx) => {
    const roomId = await insertNew(tx, room, members, now);
    const by = (await namesOf(tx, [callerId]))(callerId);
    await keep(tx, { roomId, created: true });
    return { roomId, by };
  });
  await giveHints([added(members, made.roomId, null, made.by)], deps);
  return { roomId: made.roomId, created: true };
}

/** Makes a caller who had left the room a member again. What was written meanwhile counts as read. */
async function comeBack(
  roomId: number,
  callerId: number,
  keep: Keep<Opened>,
  deps: Deps & Pick<RoomDeps, "members">,
): Promise<Opened> {
  const answer = { roomId, created: false };
  if (await findMember(deps.database, roomId, callerId)) {
    await keep(deps.database, answer);
    return answer;
  }
  const by = await inTransaction(deps.database, async (tx) => {
    const room = (await lockRooms(tx, [roomId])).get(roomId)!;
    const isMember = (await findMember(tx, roomId, callerId)) !== undefined;
    // A caller is here, whether that could be noted or not.
    if (!isMember) await readmit(tx, room, callerId, new Date(deps.now()), new Set());
    const name = isMember ? undefined : (await namesOf(tx, [callerId]))(callerId);
    await keep(tx, answer);
    return name;
  });
  await deps.members.dropMembers(roomId);
  if (by) await giveHints([added([callerId], roomId, null, by)], deps);
  return answer;
}
