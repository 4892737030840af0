import { z } from "zod";
import { ChatError } from "../errors.js";
import { Id } from "../events/messages.js";
import { inTransaction, isDuplicate } from "../store/database.js";
import { findRoomOfPair, insertMembers, insertRoom } from "../store/rooms.js";
import type { RoomDeps } from "./roomDeps.js";
import { validated } from "./validate.js";

const USERS_PER_CALL = 500;

const NewGroup = z.object({
  roomName: z
    .string()
    .trim()
    .min(1)
    .refine((name) => [...name].length <= 100, "must have at most 100 characters")
    .refine((name) => name.isWellFormed(), "must be well-formed Unicode"),
  userIds: z.array(Id).max(USERS_PER_CALL),
});

const NewDirect = z.object({ targetUserId: Id });

/** Makes a group of the caller and these users; the caller is its creator. Repeated ids count once. Throws `INVALID_REQUEST`. */
export async function createGroupRoom(
  input: unknown,
  callerId: number,
  deps: RoomDeps,
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
 * The one-to-one room of the caller and another user, made where it is missing (`created`); two calls at once make one.
 * Throws `INVALID_REQUEST`, also for a room with oneself.
 */
export async function openDirectRoom(
  input: unknown,
  callerId: number,
  deps: RoomDeps,
): Promise<{ roomId: number; created: boolean }> {
  const { targetUserId } = validated(NewDirect, input);
  if (targetUserId === callerId)
    throw new ChatError("INVALID_REQUEST", "targetUserId: must be another user", { field: "targetUserId" });
  const [smaller, larger] = [callerId, targetUserId].sort((a, b) => a - b) as [number, number];
  const pairKey = `${smaller}:${larger}`;
  const known = await findRoomOfPair(deps.database, pairKey);
  if (known !== undefined) return { roomId: known, created: false };
  try {
    return { roomId: await insertPair(pairKey, callerId, targetUserId, deps), created: true };
  } catch (error) {
    const other = isDuplicate(error) ? await findRoomOfPair(deps.database, pairKey) : undefined;
    if (other === undefined) throw error;
    return { roomId: other, created: false };
  }
}

function insertPair(
  pairKey: string,
  callerId: number,
  targetUserId: number,
  deps: RoomDeps,
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
