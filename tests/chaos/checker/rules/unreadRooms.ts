import type { Rule } from "../rule.js";

/**
 * A room's `unreadCount` in a list is a recount at a moment of the call: at least what is unread with all reads
 * that may have been stored and only the messages that certainly were; at most the contrary.
 */
export const unreadRooms: Rule = (run, proofs) =>
  run.calls.flatMap(({ call, answer }) =>
    (answer?.rooms ?? []).flatMap(({ room, unread }) => {
      const [start, end] = [call.at, answer?.at ?? call.at];
      if (proofs.membership(room, call.user, start, end) !== "in") return [];
      const least = proofs.counted(
        room,
        proofs.readAtMost(room, call.user, end),
        proofs.storedBy(room, start),
      );
      const most = proofs.counted(room, proofs.readBy(room, call.user, start), proofs.possibleBy(room, end));
      if (unread >= least && unread <= most) return [];
      return [
        `user ${call.user} has ${unread} unread in room ${room} (call ${call.call}): ${least} to ${most} are`,
      ];
    }),
  );
