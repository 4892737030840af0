import { ChatError } from "../errors.js";
import { inTransaction, type Queryable } from "../store/database.js";
import {
  deleteMember,
  findLongestStanding,
  findMembersAmong,
  insertMembers,
  lockMembers,
  memberKey,
} from "../store/members.js";
import { insertChanges } from "../store/membershipOutbox.js";
import { insertReads } from "../store/readOutbox.js";
import { type Room, setCreator, setMemberCount } from "../store/rooms.js";
import { lockAccess, lockGroup, requireAccess, requireGroup } from "./access.js";
import { announceOrLeave } from "./announceChanges.js";
import { Invitation, MemberPath, RoomPath } from "./api.js";
import type { RoomDeps } from "./roomDeps.js";
import { systemMessages } from "./systemMessages.js";
import { validated } from "./validate.js";

/**
 * Changes of a room's members. Each is one transaction under the room's lock, with what it has still to do outside the database
 * noted in it; that is done after the commit, before the caller is answered.
 */

const MEMBERS_PER_ROOM = 10_000;

/**
 * Takes users into a group, each announced by a `SYSTEM_INVITE`; answers who was no member before. They see what is written from now on.
 * Throws `INVALID_REQUEST`, also when the group would have more than 10,000 members, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`.
 */
export async function inviteMembers(
  path: unknown,
  body: unknown,
  callerId: number,
  deps: RoomDeps,
): Promise<{ roomId: number; invited: readonly number[] }> {
  const { roomId } = validated(RoomPath, path);
  const { userIds } = validated(Invitation, body);
  await requireGroup(deps.database, roomId, callerId);
  const at = new Date(deps.now());
  const invited = await inTransaction(deps.database, async (tx) => {
    const { room } = await lockGroup(tx, roomId, callerId);
    const members = await findMembersAmong(tx, roomId, userIds);
    const newcomers = [...new Set(userIds)].filter((userId) => !members.has(userId));
    if (newcomers.length === 0) return [];
    if (room.memberCount + newcomers.length > MEMBERS_PER_ROOM)
      throw new ChatError(
        "INVALID_REQUEST",
        `userIds: a room has at most ${MEMBERS_PER_ROOM} members, this one has ${room.memberCount}`,
        { field: "userIds" },
      );
    const { lastSeq, lastMessageId } = room;
    const place = { joinedSeq: lastSeq, lastReadSeq: lastSeq, lastReadMessageId: lastMessageId };
    await insertMembers(tx, roomId, newcomers, at, place);
    await setMemberCount(tx, roomId, room.memberCount + newcomers.length);
    const change = { type: "SYSTEM_INVITE", roomId, causerId: callerId, targetIds: newcomers, at } as const;
    const events = await systemMessages(tx, change);
    await insertChanges(
      tx,
      roomId,
      events.map((event) => ({ event })),
    );
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
    const change = { type: "SYSTEM_KICK", roomId, causerId: callerId, targetIds: [userId], at } as const;
    if (!(await takeMemberOut(tx, room, userId, await systemMessages(tx, change), at)))
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
  const at = new Date(deps.now());
  await inTransaction(deps.database, async (tx) => {
    const { room } = await lockAccess(tx, roomId, callerId);
    const change = { type: "SYSTEM_LEAVE", roomId, causerId: callerId, targetIds: [callerId], at } as const;
    const events = room.type === "GROUP" ? await systemMessages(tx, change) : [];
    await takeMemberOut(tx, room, callerId, events, at);
    if (room.type !== "GROUP" || room.creatorId !== callerId) return;
    const heir = await findLongestStanding(tx, roomId);
    if (heir !== undefined) await setCreator(tx, roomId, heir);
  });
  await announceOrLeave(roomId, deps);
  deps.scheduleReads(roomId);
  return { roomId, userId: callerId };
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
  events: Awaited<ReturnType<typeof systemMessages>>,
  at: Date,
): Promise<boolean> {
  const { roomId, lastSeq, lastMessageId } = room;
  const locked = await lockMembers(tx, new Map([[roomId, new Set([userId])]]));
  const member = locked.get(memberKey(roomId, userId));
  if (!member) return false;
  await deleteMember(tx, roomId, userId);
  await setMemberCount(tx, roomId, room.memberCount - 1);
  if (lastMessageId !== null && member.lastReadSeq < lastSeq) {
    const move = {
      roomId,
      userId,
      lastReadSeq: lastSeq,
      lastReadMessageId: lastMessageId,
      previousLastReadSeq: member.lastReadSeq,
      previousLastReadMessageId: member.lastReadMessageId,
      readAt: at,
    };
    await insertReads(tx, [move], null);
  }
  await insertChanges(tx, roomId, [{ removedUserId: userId }, ...events.map((event) => ({ event }))]);
  return true;
}
