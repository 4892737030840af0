import { UserPath } from "../calls/schemas.js";
import { validated } from "../calls/validate.js";
import { ChatError } from "../platform/errors.js";
import { listRoomIdsOf } from "../store/members.js";
import { leave } from "./changeMembers.js";
import type { RoomDeps } from "./roomDeps.js";

/** Longer than a thousand rooms take, and shorter than a caller's patience. */
const WITHDRAW_MS = 20_000;
const ROOMS_PER_PAGE = 100;
const ROOMS_AT_ONCE = 4;

/**
 * Has a user leave all of their rooms, as if they had left each: for a trusted service, when the user is gone for good. Answers of how many rooms this call
 * was the end. Throws `INVALID_REQUEST`, and `UNAVAILABLE` when it could not be finished in time: a repeat does the rest.
 */
export async function withdrawUser(
  path: unknown,
  deps: RoomDeps,
): Promise<{ userId: number; rooms: number }> {
  const { userId } = validated(UserPath, path);
  const end = deps.now() + WITHDRAW_MS;
  let [rooms, after] = [0, 0];
  for (;;) {
    const page = await listRoomIdsOf(deps.database, userId, after, ROOMS_PER_PAGE);
    if (page.length === 0) return { userId, rooms };
    rooms += await leaveAll(page, userId, end, deps);
    after = page.at(-1)!;
    if (deps.now() > end)
      throw new ChatError("UNAVAILABLE", `${rooms} rooms were left, others not yet; call again.`);
  }
}

/** Leaves rooms, a few at once, until the time is up; returns how many. One that fails ends it, once those that were begun have ended. */
async function leaveAll(
  roomIds: readonly number[],
  userId: number,
  end: number,
  deps: RoomDeps,
): Promise<number> {
  let [left, next] = [0, 0];
  const worker = async (): Promise<void> => {
    for (let roomId = roomIds[next++]; roomId !== undefined && deps.now() <= end; roomId = roomIds[next++])
      if (await leaveUnlessGone(roomId, userId, deps)) left += 1;
  };
  const workers = await Promise.allSettled(Array.from({ length: ROOMS_AT_ONCE }, worker));
  for (const one of workers) if (one.status === "rejected") throw one.reason;
  return left;
}

/** False where the user has left, or was removed, in the meantime. */
async function leaveUnlessGone(roomId: number, userId: number, deps: RoomDeps): Promise<boolean> {
  try {
    await leave(roomId, userId, deps);
    return true;
  } catch (error) {
    if (error instanceof ChatError && error.code === "NOT_A_MEMBER") return false;
    throw error;
  }
}
