import type { Proofs } from "../proofs.js";
import type { Rule } from "../rule.js";
import { isSystem, keyOf, type Run, type Sight } from "../run.js";

/**
 * A message's `unreadCount` is how many members have not read it, at a moment between its sending, or the
 * asking for it, and its coming: who certainly was a member and cannot have read it counts, who may have been
 * one and has not certainly read it may. System messages have none.
 */
export const unreadMessages: Rule = (run, proofs) => [
  ...new Set(run.sights.flatMap((sight) => wrong(sight, run, proofs))),
];

function wrong({ seen, client, from, to, how }: Sight, run: Run, proofs: Proofs): string[] {
  const { room, seq, unread } = seen;
  const sent = run.sends.get(keyOf(room, seen.sender, seen.id))?.tries[0]?.at;
  const where = `seq ${seq} of room ${room}, as ${client} got it (${how}),`;
  if (isSystem(seen)) return unread === 0 ? [] : [`${where} is a system message with ${unread} unread`];
  if (sent === undefined) return [];
  const start = Math.max(from, sent);
  const others = run.users.filter((user) => user !== seen.sender);
  const may = others.filter(
    (user) => proofs.membership(room, user, start, to) !== "out" && proofs.readBy(room, user, start) < seq,
  );
  const must = may.filter(
    (user) => proofs.membership(room, user, sent, to) === "in" && proofs.readAtMost(room, user, to) < seq,
  );
  // A sender who was removed has read; one who was invited again has, too.
  if (unread >= must.length && unread <= may.length) return [];
  return [`${where} has ${unread} unread: ${must.length} to ${may.length} are possible`];
}
