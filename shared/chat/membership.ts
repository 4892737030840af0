import type { CommandDeps } from "../commands/command.js";
import { ChatError } from "../platform/errors.js";
import type { Queryable } from "../store/database.js";
import { findMember, listMemberIds } from "../store/members.js";

/**
 * Throws `NOT_A_MEMBER` unless the user is a member of the room; a room that is not there has no members, so that strangers can't
 * tell which rooms exist. Asks the session store, and MySQL where that doesn't know or says no: only a yes may be a little old.
 */
export async function requireMember(roomId: number, userId: number, deps: CommandDeps): Promise<void> {
  if (!(await isMember(roomId, userId, deps))) throw notAMember(roomId);
}

/** The same by MySQL alone: what has been committed counts. */
export async function requireMemberNow(db: Queryable, roomId: number, userId: number): Promise<void> {
  if (!(await findMember(db, roomId, userId))) throw notAMember(roomId);
}

export const notAMember = (roomId: number): ChatError =>
  new ChatError("NOT_A_MEMBER", "You are not a member of this room.", { roomId });

async function isMember(
  roomId: number,
  userId: number,
  { members, database }: Pick<CommandDeps, "members" | "database">,
): Promise<boolean> {
  const known = await members.isMember(roomId, userId);
  if (known === true) return true;
  if (known === false) {
    // A process that died between its commit and dropping the cache must not keep new members out.
    const member = (await findMember(database, roomId, userId)) !== undefined;
    if (member) await members.dropMembers(roomId);
    return member;
  }
  // The version is taken before reading: members changed in between are not put back by this fill.
  const version = await members.membersVersion(roomId);
  if (version === undefined) return (await findMember(database, roomId, userId)) !== undefined;
  const userIds = await listMemberIds(database, roomId);
  await members.putMembers(roomId, userIds, version);
  return userIds.includes(userId);
}
