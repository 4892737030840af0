import { inParallel } from "../platform/async.js";
import { ChatError } from "../platform/errors.js";
import { listRoomIdsOf } from "../store/members.js";
import { leave } from "./changeMembers.js";
import type { RoomDeps } from "./roomDeps.js";

/** Longer than a thousand rooms take, and shorter than a caller's patience. */
const WITHDRAW_MS = 20_000;
const ROOMS_PER_PAGE = 100;
const ROOMS_AT_ONCE = 4;

/**
 * Makes a user leave all of their rooms, as if they had left each by themselves. A trusted service calls it
 * when the user is gone for good. `rooms` is the number of rooms that this call has left. Throws
 * `UNAVAILABLE` when the time was not enough: a repeat does the rest.
 */
export async function withdrawUser(
  { userId }: { readonly userId: number },
  deps: RoomDeps,
): Promise<{ readonly userId: number; readonly rooms: number }> {
  const end = deps.now() + WITHDRAW_MS;
  let rooms = 0;
  let page = await listRoomIdsOf(deps.database, userId, 0, ROOMS_PER_PAGE);
  while (page.length > 0) {
    rooms += await leaveAll(page, userId, end, deps);
    if (deps.now() > end)
      throw new ChatError("UNAVAILABLE", `${rooms} rooms were left, others not yet; call again.`);
    page = await listRoomIdsOf(deps.database, userId, page.at(-1)!, ROOMS_PER_PAGE);
  }
  return { userId, rooms };
}

/**
 * Leaves rooms, a few at once. Begins no more of them after `end` (milliseconds since 1970). Returns how many
 * the user was still in. Throws the first failure, once all that were begun have ended.
 */
async function leaveAll(
  roomIds: readonly number[],
  userId: number,
  end: number,
  deps: RoomDeps,
): Promise<number> {
  let left = 0;
  await inParallel(ROOMS_AT_ONCE, roomIds, async (roomId) => {
    if (deps.now() <= end && (await leaveUnlessGone(roomId, userId, deps))) left += 1;
  });
  return left;
}

/** Returns false where the user has left or was removed in the meantime. */
async function leaveUnlessGone(roomId: number, userId: number, deps: RoomDeps): Promise<boolean> {
  try {
    await leave(roomId, userId, deps);
    return true;
  } catch (error) {
    if (error instanceof ChatError && error.code === "NOT_A_MEMBER") return false;
    throw error;
  }
}
