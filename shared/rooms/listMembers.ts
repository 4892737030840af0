import type { z } from "zod";
import { type MemberList, RoomPath } from "../calls/schemas.js";
import { validated } from "../calls/validate.js";
import { requireGroup } from "../chat/access.js";
import { listMemberProfiles } from "../store/members.js";
import { namelessUser } from "../store/users.js";
import type { RoomDeps } from "./roomDeps.js";

/** A group's members, the longest-standing first. Throws `INVALID_REQUEST`, `ROOM_NOT_FOUND`, `NOT_A_MEMBER`. */
export async function listMembers(
  path: unknown,
  callerId: number,
  { database }: Pick<RoomDeps, "database">,
): Promise<z.infer<typeof MemberList>> {
  const { roomId } = validated(RoomPath, path);
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
