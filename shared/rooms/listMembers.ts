import { requireGroup } from "../chat/access.js";
import { listMemberProfiles } from "../store/members.js";
import { namelessUser } from "../store/users.js";
import type { RoomDeps } from "./roomDeps.js";

/** A member as the list of members shows them. */
interface ShownMember {
  readonly userId: number;
  readonly nickname: string;
  readonly profileImageUrl: string | null;
  /** ISO 8601, UTC, milliseconds. */
  readonly joinedAt: string;
  readonly isCreator: boolean;
  readonly isAwaited: boolean;
  readonly lastReadMessageId: number | null;
}

/** All members of a group, the longest-standing first. Throws `ROOM_NOT_FOUND`, `NOT_A_MEMBER`. */
export async function listMembers(
  { roomId, callerId }: { readonly roomId: number; readonly callerId: number },
  { database }: Pick<RoomDeps, "database">,
): Promise<{ readonly members: readonly ShownMember[] }> {
  await requireGroup(database, roomId, callerId);
  const members = await listMemberProfiles(database, roomId);
  return {
    members: members.map((member) => ({
      userId: member.userId,
      nickname: member.nickname ?? namelessUser(member.userId),
      profileImageUrl: member.profileImageUrl,
      joinedAt: member.joinedAt.toISOString(),
      isCreator: member.isCreator,
      isAwaited: member.isAwaited,
      lastReadMessageId: member.lastReadMessageId,
    })),
  };
}
