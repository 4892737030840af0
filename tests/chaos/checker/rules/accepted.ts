import type { Proofs } from "../proofs.js";
import type { Rule } from "../rule.js";
import { keyOf, type Run, roomsStored, type Send } from "../run.js";

/**
 * A message with a RECEIPT is stored. The one exception: its sender was removed between the RECEIPT and the
 * storing. That was impossible if a message that somebody sent after the RECEIPT was seen before the removal
 * began, as a room's messages are stored in the order in which they were accepted.
 */
export const accepted: Rule = (run, proofs) => {
  const stored = new Set(run.stored.messages.map(({ room, sender, id }) => keyOf(room, sender, id)));
  const lost = [...run.sends].filter(([key, send]) => send.accepted.length > 0 && !stored.has(key));
  const followers = followersOf(run, proofs);
  return lost
    .map(([, send]) => send)
    .filter((send) => mustBeStored(send, followers.get(send.room) ?? [], proofs))
    .map(
      ({ room, user, id }) => `message ${id} of user ${user} in room ${room} has a RECEIPT and is not stored`,
    );
};

interface Follower {
  readonly sent: number;
  readonly seen: number;
}

/** Of each room, when its stored messages were sent first and seen first. */
const followersOf = (run: Run, proofs: Proofs): Map<number, Follower[]> =>
  new Map(
    roomsStored(run).map(({ room, messages }) => [
      room,
      messages.map((message) => ({
        sent: proofs.send(message)?.tries[0]?.at ?? 0,
        seen: proofs.firstSeen(room, message.seq),
      })),
    ]),
  );

function mustBeStored(
  { room, user, tries, accepted: at }: Send,
  followers: readonly Follower[],
  proofs: Proofs,
): boolean {
  const [first, receipt] = [tries[0]?.at ?? 0, at[0] ?? 0];
  const seen = followers.filter(({ sent }) => sent > receipt).map((one) => one.seen);
  const until = Math.min(Number.MAX_VALUE, ...seen);
  return proofs.membership(room, user, first, until) === "in";
}
