import { Invitation, MemberPath, RoomPath } from "../calls/schemas.js";
import { validated } from "../calls/validate.js";
import { lockAccess, lockGroup, requireAccess, requireGroup } from "../chat/access.js";
import { moveToEnd } from "../chat/readMove.js";
import type { MessageSent } from "../events/messages.js";
import { ChatError } from "../platform/errors.js";
import { inTransaction, type Queryable } from "../store/database.js";
import {
  deleteMember,
  findLongestStanding,
  findMembersAmong,
  insertMembers,
  isAwaited,
  lockMembers,
  memberKey,
} from "../store/members.js";
import { insertChanges } from "../store/membershipOutbox.js";
import { insertReads } from "../store/readOutbox.js";
import { type Room, setCreator, setMemberCounts } from "../store/rooms.js";
import { awaitedAmong } from "../store/users.js";
import { announceOrLeave } from "./finishChanges.js";
import { type Keep, once } from "./idempotency.js";
import type { RoomDeps } from "./roomDeps.js";
import { systemMessage } from "./systemMessages.js";

/**
 * Changes of a room's members. Each is one transaction under the room's lock, with what it has still to do outside the database
 * noted in it; that is done after the commit, before the caller is answered.
 */

const MEMBERS_PER_ROOM = 10_000;

export interface Invited {
  readonly roomId: number;
  readonly invited: readonly number[];
}

/**
 * Takes users into a group, all announced by one `SYSTEM_INVITE`; answers who was no member before. They see what is written from now on. Once for a
 * `key`, if there is one. Throws `INVALID_REQUEST`, also when the group would have more than 10,000 members, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`, and as `once` does.
 */
export async function inviteMembers(
  path: unknown,
  body: unknown,
  callerId: number,
  deps: RoomDeps,
  key?: string,
): Promise<Invited> {
  const { roomId } = validated(RoomPath, path);
  const { userIds } = validated(Invitation, body);
  const call = { callerId, key, request: ["inviteMembers", roomId, userIds] } as const;
  return once<Invited>(call, (keep) => invite(roomId, userIds, callerId, keep, deps), deps);
}

async function invite(
  roomId: number,
  userIds: readonly number[],
  callerId: number,
  keep: Keep<Invited>,
  deps: RoomDeps,
): Promise<Invited> {
  await requireGroup(deps.database, roomId, callerId);
  const at = new Date(deps.now());
  const invited = await inTransaction(deps.database, async (tx) => {
    const { room } = await lockGroup(tx, roomId, callerId);
    const members = await findMembersAmong(tx, roomId, userIds);
    const newcomers = [...new Set(userIds)].filter((userId) => !members.has(userId));
    if (newcomers.length === 0) {
      await keep(tx, { roomId, invited: [] });
      return [];
    }
    if (room.memberCount + newcomers.length > MEMBERS_PER_ROOM)
      throw new ChatError(
        "INVALID_REQUEST",
        `userIds: a room has at most ${MEMBERS_PER_ROOM} members, this one has ${room.memberCount}`,
        { field: "userIds" },
      );
    const awaited = await awaitedAmong(tx, newcomers);
    await insertMembers(tx, roomId, newcomers, at, { ...room, joinedSeq: room.lastSeq }, awaited);
    await setMemberCounts(tx, roomId, {
      memberCount: room.memberCount + newcomers.length,
      awaitedCount: room.awaitedCount + awaited.size,
    });
    const change = { type: "SYSTEM_INVITE", roomId, causerId: callerId, targetIds: newcomers, at } as const;
    await insertChanges(tx, roomId, [{ event: await systemMessage(tx, change) }]);
    await keep(tx, { roomId, invited: newcomers });
    return newcomers;
  });
  if (invited.length > 0) await announceOrLeave(roomId, deps);
  return { roomId, invited };
}

/**
 * Removes another member from a group, by its creator: their sessions have stopped receiving when this returns, then a `SYSTEM_KICK` announces
 * it. Throws `INVALID_REQUEST` for oneself, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`, `FORBIDDEN`, `MEMBER_NOT_FOUND`.
 */
export async function removeMember(
  path: unknown,
  callerId: number,
  deps: RoomDeps,
): Promise<{ roomId: number; userId: number }> {
  const { roomId, userId } = validated(MemberPath, path);
  await requireGroup(deps.database, roomId, callerId);
  const at = new Date(deps.now());
  await inTransaction(deps.database, async (tx) => {
    const { room } = await lockGroup(tx, roomId, callerId);
    if (room.creatorId !== callerId)
      throw new ChatError("FORBIDDEN", "Only the room's creator removes members.");
    if (userId === callerId)
      throw new ChatError("INVALID_REQUEST", "userId: is yourself; leave the room instead", {
        field: "userId",
      });
    const change = { type: "SYSTEM_KICK", roomId, causerId: callerId, targetId: userId, at } as const;
    if (!(await takeMemberOut(tx, room, userId, await systemMessage(tx, change), at)))
      throw new ChatError("MEMBER_NOT_FOUND", "This user is not a member of the room.");
  });
  await announceOrLeave(roomId, deps);
  deps.scheduleReads(roomId);
  return { roomId, userId };
}

/**
 * Leaves a room; one's sessions have stopped receiving when this returns. In a group a `SYSTEM_LEAVE` announces it, and a creator who leaves
 * hands the room to its longest-standing member. Throws `ROOM_NOT_FOUND`, `NOT_A_MEMBER`.
 */
export async function leaveRoom(
  path: unknown,
  callerId: number,
  deps: RoomDeps,
): Promise<{ roomId: number; userId: number }> {
  const { roomId } = validated(RoomPath, path);
  await requireAccess(deps.database, roomId, callerId);
  await leave(roomId, callerId, deps);
  return { roomId, userId: callerId };
}

/** A member leaves a room, whoever has asked for it; what it leads to is done when this returns. Throws `ROOM_NOT_FOUND`, `NOT_A_MEMBER`. */
export async function leave(roomId: number, userId: number, deps: RoomDeps): Promise<void> {
  const at = new Date(deps.now());
  await inTransaction(deps.database, async (tx) => {
    const { room } = await lockAccess(tx, roomId, userId);
    const change = { type: "SYSTEM_LEAVE", roomId, causerId: userId, targetId: userId, at } as const;
    const event = room.type === "GROUP" ? await systemMessage(tx, change) : undefined;
    await takeMemberOut(tx, room, userId, event, at);
    if (room.type !== "GROUP" || room.creatorId !== userId) return;
    const heir = await findLongestStanding(tx, roomId);
    if (heir !== undefined) await setCreator(tx, roomId, heir);
  });
  await announceOrLeave(roomId, deps);
  deps.scheduleReads(roomId);
}

/**
 * The membership ends, and what that has to lead to is noted: the removal from the groups first, then its announcement; false where there was
 * none. What the member had not read is not unread to them any more, so their position goes to the room's end once more,
 * for those who count.
 */
async function takeMemberOut(
  tx: Queryable,
  room: Room,
  userId: number,
  event: MessageSent | undefined,
  at: Date,
): Promise<boolean> {
  const { roomId } = room;
  const locked = await lockMembers(tx, new Map([[roomId, new Set([userId])]]));
  const member = locked.get(memberKey(roomId, userId));
  if (!member) return false;
  await deleteMember(tx, roomId, userId);
  await setMemberCounts(tx, roomId, {
    memberCount: room.memberCount - 1,
    awaitedCount: room.awaitedCount - (isAwaited(member) ? 1 : 0),
  });
  const move = moveToEnd(member, room, at);
  if (move) await insertReads(tx, [move], null);
  await insertChanges(tx, roomId, [{ removedUserId: userId }, ...(event ? [{ event }] : [])]);
  return true;
}
