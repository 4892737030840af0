import { ChatError } from "../platform/errors.js";
import type { MembersCache } from "../redis/ports.js";
import type { Database, Queryable } from "../store/database.js";
import { findMember, listMemberIds, type Member } from "../store/members.js";

interface Deps {
  readonly members: MembersCache;
  readonly database: Database;
}

/**
 * Throws `NOT_A_MEMBER` unless the user is a member of the room. A room that is not there has no members: so
 * strangers can't tell which rooms exist. Asks the cache, and MySQL where the cache doesn't know or says no:
 * so only a yes may be a little old.
 */
export async function requireMember(roomId: number, userId: number, deps: Deps): Promise<void> {
  if (!(await isMember(roomId, userId, deps))) throw notAMember(roomId);
}

/** The same by MySQL alone: what has been committed counts. Returns the membership. */
export async function requireMemberNow(db: Queryable, roomId: number, userId: number): Promise<Member> {
  const member = await findMember(db, roomId, userId);
  if (!member) throw notAMember(roomId);
  return member;
}

export const notAMember = (roomId: number): ChatError =>
  new ChatError("NOT_A_MEMBER", "You are not a member of this room.", { roomId });

async function isMember(roomId: number, userId: number, { members, database }: Deps): Promise<boolean> {
  const known = await members.isMember(roomId, userId);
  if (known === true) return true;
  if (known === undefined) return isAmongMembers(roomId, userId, { members, database });
  // The cache is old where a process died between its commit and dropping the cache. That must not keep new
  // members out.
  const isNow = await isMemberNow(database, roomId, userId);
  if (isNow) await members.dropMembers(roomId);
  return isNow;
}

/** Fills the cache on the way, where it can be reached. */
async function isAmongMembers(roomId: number, userId: number, { members, database }: Deps): Promise<boolean> {
  // The version is taken before the members are read: so a fill never puts back members that have changed in
  // between.
  const version = await members.membersVersion(roomId);
  if (version === undefined) return isMemberNow(database, roomId, userId);
  const userIds = await listMemberIds(database, roomId);
  await members.putMembers(roomId, userIds, version);
  return userIds.includes(userId);
}

const isMemberNow = async (db: Queryable, roomId: number, userId: number): Promise<boolean> =>
  (await findMember(db, roomId, userId)) !== undefined;
