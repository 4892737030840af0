import type { Proofs } from "../proofs.js";
import type { Rule } from "../rule.js";
import { of, type Run } from "../run.js";

/**
 * A read position is where accepted reads and the user's own messages have moved it, and no further than reads
 * that were tried. What devices hear of moves is no further, either.
 */
export const positions: Rule = (run, proofs) => [...stored(run, proofs), ...moved(run, proofs)];

function stored(run: Run, proofs: Proofs): string[] {
  if (run.quiet?.missing.length !== 0) return [];
  const accepted = acceptedReads(run);
  const ids = new Map(run.stored.messages.map(({ room, seq, messageId }) => [`${room} ${seq}`, messageId]));
  return run.stored.members
    .filter(({ room }) => run.rooms.has(room))
    .flatMap(({ room, user, readSeq, readMessageId, joinedSeq }) => {
      const key = `${room} ${user}`;
      const least = Math.max(accepted.get(key) ?? 0, proofs.readBy(room, user, Number.MAX_VALUE));
      const most = Math.max(joinedSeq, proofs.readAtMost(room, user, Number.MAX_VALUE));
      const where = `user ${user} has read room ${room} up to seq ${readSeq}`;
      if (readSeq < least || readSeq > most) return [`${where}: ${least} to ${most} is possible`];
      const id = ids.get(`${room} ${readSeq}`) ?? null;
      return readMessageId === id ? [] : [`${where}, which is message ${id}, and not ${readMessageId}`];
    });
}

/** The furthest accepted read, by room and user. */
function acceptedReads(run: Run): Map<string, number> {
  const accepted = new Set(of(run.lines, "readAccepted").map(({ client, read }) => `${client} ${read}`));
  const furthest = new Map<string, number>();
  for (const { client, read, room, user, seq } of of(run.lines, "readTry")) {
    const key = `${room} ${user}`;
    if (accepted.has(`${client} ${read}`)) furthest.set(key, Math.max(seq, furthest.get(key) ?? 0));
  }
  return furthest;
}

/** A removal leads to the room's last message, so only those are looked at who were never removed. */
const moved = (run: Run, proofs: Proofs): string[] => [
  ...new Set(
    of(run.lines, "moved").flatMap(({ room, reader, from, to, at }) => {
      if (proofs.changesOf(room, reader).length > 0) return [];
      if (from <= to && to <= proofs.readAtMost(room, reader, at)) return [];
      return [
        `user ${reader} was told to have read room ${room} from seq ${from} to ${to}, which nobody tried`,
      ];
    }),
  ),
];
