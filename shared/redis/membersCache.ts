import { membersKey, versionKey } from "./keys.js";
import type { MembersCache } from "./ports.js";
import type { Asking } from "./scripts.js";

/**
 * The members cache in Redis: a set for each room, and a version that each drop raises
 * (`lua/putMembers.lua`).
 */
export function membersCache({ run, script }: Asking): MembersCache {
  return {
    async isMember(roomId, userId) {
      const answer = await script<number>("isMember", [membersKey(roomId)], { userId });
      return answer === 1 ? true : answer === 0 ? false : undefined;
    },
    membersVersion(roomId) {
      const key = versionKey(roomId);
      return run(key, async (commands) => (await commands.get(key)) ?? "0");
    },
    async putMembers(roomId, userIds, version) {
      if (version === undefined || userIds.length === 0) return;
      await script("putMembers", [membersKey(roomId), versionKey(roomId)], { version, userIds });
    },
    async dropMembers(roomId) {
      await script("dropMembers", [membersKey(roomId), versionKey(roomId)]);
    },
  };
}
