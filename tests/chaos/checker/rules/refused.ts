import type { Proofs } from "../proofs.js";
import type { Rule } from "../rule.js";
import { type Run, roomsStored, type Send } from "../run.js";
import type { StoredMessage } from "../stored.js";

/**
 * What must be refused is not stored, and what may not be refused is not refused. A membership counts where the
 * histories prove it from the first try on.
 */
export const refused: Rule = (run, proofs) => [...storedAfterAll(run, proofs), ...wrongly(run, proofs)];

const storedAfterAll = (run: Run, proofs: Proofs): string[] =>
  roomsStored(run)
    .flatMap(({ messages }) => messages)
    .filter((message) => isForbidden(message, proofs.send(message), proofs))
    .map(({ room, seq, sender }) => `room ${room} has seq ${seq} of user ${sender}, who was no member`);

function isForbidden({ room, sender, seq }: StoredMessage, send: Send | undefined, proofs: Proofs): boolean {
  const first = send?.tries[0]?.at;
  if (first === undefined) return false;
  return proofs.membership(room, sender, first, proofs.firstSeen(room, seq)) === "out";
}

const wrongly = (run: Run, proofs: Proofs): string[] =>
  [...run.sends.values()].flatMap(({ room, user, id, tries, refused: refusals }) =>
    refusals
      .filter(
        ({ at, code }) =>
          code !== "NOT_A_MEMBER" || proofs.membership(room, user, tries[0]?.at ?? at, at) === "in",
      )
      .map(
        ({ code }) =>
          `message ${id} of user ${user} in room ${room} was refused by ${code}, though nothing was wrong`,
      ),
  );
