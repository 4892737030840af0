import type { Rule } from "../rule.js";
import { of, type Run } from "../run.js";

/**
 * When all is over, nothing waits in an outbox, kept answers are those of calls that were answered so, and each
 * subscription id is held by somebody. Where something failed, ids of connections that died without a word may
 * stay until others take their place: no more than the clients have in use at once.
 */
export const leftovers: Rule = (run) => {
  const { membership, reads } = run.stored.outboxes;
  return [
    ...(membership > 0 ? [`${membership} changes of members wait in their outbox`] : []),
    ...(reads > 0 ? [`${reads} reads wait in their outbox`] : []),
    ...keys(run),
    ...ids(run),
  ];
};

/** A call that failed keeps nothing; of one that had no answer nobody knows. */
function keys(run: Run): string[] {
  const found: string[] = [];
  for (const user of run.users) {
    const calls = run.calls.filter(({ call }) => call.user === user && call.key !== null);
    const tried = new Set(calls.map(({ call }) => call.key));
    const made = new Set(calls.filter(isMade).map(({ call }) => call.key));
    const kept = run.stored.keys.get(user) ?? 0;
    if (kept < made.size || kept > tried.size)
      found.push(`${kept} answers are kept for user ${user}, of ${made.size} to ${tried.size} calls`);
  }
  return found;
}

const isMade = ({ answer }: Run["calls"][number]): boolean =>
  answer !== undefined && answer.status >= 200 && answer.status < 300;

function ids(run: Run): string[] {
  const devices = new Set(of(run.lines, "connected").map(({ client }) => client)).size;
  const counts = new Map<string, number>();
  for (const { destination } of run.stored.subscriptionIds)
    counts.set(destination, (counts.get(destination) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count > (run.isCalm ? 0 : 4 * devices))
    .map(([destination, count]) => `${count} subscription ids are left on ${destination}`);
}
