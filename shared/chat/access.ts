import { ChatError } from "../platform/errors.js";
import type { Queryable } from "../store/database.js";
import { findMember, type Member } from "../store/members.js";
import { findRoom, lockRooms, type Room } from "../store/rooms.js";

/** A room and a user's membership of it. */
export interface Access {
  readonly room: Room;
  readonly member: Member;
}

/** A room for one of its members. Throws `ROOM_NOT_FOUND`, and `NOT_A_MEMBER` for a stranger. */
export async function requireAccess(db: Queryable, roomId: number, callerId: number): Promise<Access> {
  return accessTo(db, await findRoom(db, roomId), callerId);
}

/** The same for a group. A one-to-one room is no group: it throws `ROOM_NOT_FOUND`. */
export async function requireGroup(db: Queryable, roomId: number, callerId: number): Promise<Access> {
  return accessTo(db, onlyGroup(await findRoom(db, roomId)), callerId);
}

/**
 * The same with the room locked until the transaction ends, as everyone who changes its members must have it.
 * Callers ask `requireAccess` first, which keeps strangers from locking.
 */
export async function lockAccess(tx: Queryable, roomId: number, callerId: number): Promise<Access> {
  return accessTo(tx, (await lockRooms(tx, [roomId])).get(roomId), callerId);
}

/** The same for a group. */
export async function lockGroup(tx: Queryable, roomId: number, callerId: number): Promise<Access> {
  return accessTo(tx, onlyGroup((await lockRooms(tx, [roomId])).get(roomId)), callerId);
}

async function accessTo(db: Queryable, room: Room | undefined, callerId: number): Promise<Access> {
  if (!room) throw new ChatError("ROOM_NOT_FOUND", "There is no such room.");
  const member = await findMember(db, room.roomId, callerId);
  if (!member) throw new ChatError("NOT_A_MEMBER", "You are not a member of this room.");
  return { room, member };
}

function onlyGroup(room: Room | undefined): Room | undefined {
  if (room?.type === "ONE_TO_ONE") throw new ChatError("ROOM_NOT_FOUND", "There is no such room.");
  return room;
}

/**
 * A member sees the messages above this `seq`. In a group those from before the membership are not theirs to
 * see; a one-to-one room shows its whole history.
 */
export const visibleAfter = (room: Pick<Room, "type">, member: Pick<Member, "joinedSeq">): number =>
  room.type === "GROUP" ? member.joinedSeq : 0;

/** The name of the lock that keeps a user's subscribing to a room and their removal from it apart. */
export const membershipLock = (roomId: number, userId: number): string => `membership ${roomId} ${userId}`;
