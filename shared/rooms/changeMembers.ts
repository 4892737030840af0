import { lockAccess, lockGroup, requireAccess, requireGroup } from "../chat/access.js";
import { moveToEnd } from "../chat/readMove.js";
import type { MessageSent } from "../events/messages.js";
import { ChatError } from "../platform/errors.js";
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
import { inTransaction, type Transaction } from "../store/transaction.js";
import { awaitedAmong } from "../store/users.js";
import { finishOrLeave } from "./finishChanges.js";
import { type Keep, once } from "./idempotency.js";
import type { RoomDeps } from "./roomDeps.js";
import { systemMessage } from "./systemMessages.js";

/**
 * Changes of a room's members. Each is one transaction under the room's lock, which also notes what is still
 * to be done outside the database. That is done after the commit, before the caller is answered.
 */

const MEMBERS_PER_ROOM = 10_000;

interface Invitation {
  readonly roomId: number;
  readonly userIds: readonly number[];
  readonly callerId: number;
  /** The client's `Idempotency-Key`. */
  readonly key?: string | undefined;
}

interface Invited {
  readonly roomId: number;
  /** The users who were no members before. */
  readonly invited: readonly number[];
}

/**
 * Takes users into a group, and announces all of them by one `SYSTEM_INVITE`. They see what is written from
 * now on. With a `key` at most once. Throws `INVALID_REQUEST` when the group would have more than 10,000
 * members, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`, and as `once` does.
 */
export async function inviteMembers(
  { roomId, userIds, callerId, key }: Invitation,
  deps: RoomDeps,
): Promise<Invited> {
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
  if (invited.length > 0) await finishOrLeave(roomId, deps);
  return { roomId, invited };
}

interface Removed {
  readonly roomId: number;
  readonly userId: number;
}

/**
 * The creator of a group removes another member. When this returns the member's sessions have stopped
 * receiving; only then a `SYSTEM_KICK` announces it. Throws `INVALID_REQUEST` for oneself, `ROOM_NOT_FOUND`,
 * `NOT_A_MEMBER`, `FORBIDDEN`, `MEMBER_NOT_FOUND`.
 */
export async function removeMember(
  { roomId, userId, callerId }: Removed & { readonly callerId: number },
  deps: RoomDeps,
): Promise<Removed> {
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
  await finishOrLeave(roomId, deps);
  deps.scheduleReads(roomId);
  return { roomId, userId };
}

/**
 * The caller leaves a room. When this returns the caller's sessions have stopped receiving. In a group a
 * `SYSTEM_LEAVE` announces it, and a creator who leaves hands the room to its longest-standing member. Throws
 * `ROOM_NOT_FOUND`, `NOT_A_MEMBER`.
 */
export async function leaveRoom(
  { roomId, callerId }: { readonly roomId: number; readonly callerId: number },
  deps: RoomDeps,
): Promise<Removed> {
  await requireAccess(deps.database, roomId, callerId);
  await leave(roomId, callerId, deps);
  return { roomId, userId: callerId };
}

/**
 * A member leaves a room, by themselves or by a trusted service. Returns when the consequences are done.
 * Throws as `leaveRoom` does.
 */
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
  await finishOrLeave(roomId, deps);
  deps.scheduleReads(roomId);
}

/**
 * Ends a membership, and notes what is to follow: first the removal from the room's groups, then the
 * announcement. Returns false where there was no membership. A member who leaves no longer counts as "has not
 * read", so one last move to the end of the room is broadcast for clients that keep counts.
 */
async function takeMemberOut(
  tx: Transaction,
  room: Room,
  userId: number,
  event: MessageSent | undefined,
  at: Date,
): Promise<boolean> {
  const { roomId } = room;
  const locked = await lockMembers(tx, [{ roomId, userId }]);
  const member = locked.get(memberKey(roomId, userId));
  if (!member) return false;
  await deleteMember(tx, roomId, userId);
  await setMemberCounts(tx, roomId, {
    memberCount: room.memberCount - 1,
    awaitedCount: room.awaitedCount - (isAwaited(member) ? 1 : 0),
  });
  const move = moveToEnd(member, room, at);
  if (move) insertReads(tx, [move], null);
  await insertChanges(tx, roomId, [{ removedUserId: userId }, ...(event ? [{ event }] : [])]);
  return true;
}
