import { ChatError } from "../errors.js";
import { findMember, listMemberIds } from "../store/rooms.js";
import type { CommandDeps } from "./connection.js";

/**
 * Throws `NOT_A_MEMBER` unless the user is a member of the room; a room that is not there has no members, so that strangers can't
 * tell which rooms exist. Asks the session store, and MySQL where that doesn't know.
 */
export async function requireMember(roomId: number, userId: number, deps: CommandDeps): Promise<void> {
  if (!(await isMember(roomId, userId, deps)))
    throw new ChatError("NOT_A_MEMBER", "You are not a member of this room.", { roomId });
}

async function isMember(
  roomId: number,
  userId: number,
  { sessions, database }: CommandDeps,
): Promise<boolean> {
  const known = await sessions.isMember(roomId, userId);
  if (known !== undefined) return known;
  // The version is taken before reading: members changed in between are not put back by this fill.
  const version = await sessions.membersVersion(roomId);
  if (version === undefined) return (await findMember(database, roomId, userId)) !== undefined;
  const members = await listMemberIds(database, roomId);
  await sessions.putMembers(roomId, members, version);
  return members.includes(userId);
}
