import type { Proofs } from "../proofs.js";
import type { Rule } from "../rule.js";
import type { Run } from "../run.js";

/**
 * Nobody gets a message from a time at which they were no member, on any way. That time begins with the message
 * that announces the removal, since it is announced when the user's sessions have stopped; it lasts to what
 * anybody had seen before the next invitation was asked for. Nobody's SUBSCRIBE or page is granted meanwhile.
 */
export const strangers: Rule = (run, proofs) => [
  ...received(run, proofs),
  ...granted(run, proofs),
  ...answered(run, proofs),
];

interface Span {
  readonly from: number;
  readonly to: number;
}

function received(run: Run, proofs: Proofs): string[] {
  const spans = new Map<string, readonly Span[]>();
  const found = run.sights.flatMap(({ seen: { room, seq }, user, client, how }) => {
    const key = `${room} ${user}`;
    const closed = spans.get(key) ?? closedTo(room, user, run, proofs);
    spans.set(key, closed);
    const isClosed = closed.some(({ from, to }) => seq >= from && seq <= to);
    return isClosed ? [`${client} got seq ${seq} of room ${room} (${how}), when its user was no member`] : [];
  });
  return [...new Set(found)];
}

/** The seqs that were stored while the user was out. */
function closedTo(room: number, user: number, run: Run, proofs: Proofs): Span[] {
  const changes = proofs.changesOf(room, user);
  const removals = run.stored.messages
    .filter(({ type }) => type === "SYSTEM_KICK" || type === "SYSTEM_LEAVE")
    .filter((message) => message.room === room && message.targets.includes(user));
  const spans: Span[] = [];
  let outs = 0;
  let from: number | undefined = run.rooms.get(room)?.members.has(user) ? undefined : 1;
  for (const { to, start } of changes) {
    if (to === "out") from = removals[outs++]?.seq;
    else if (from !== undefined) spans.push({ from, to: proofs.storedBy(room, start) });
    if (to === "in") from = undefined;
  }
  return from === undefined ? spans : [...spans, { from, to: Number.POSITIVE_INFINITY }];
}

function granted(run: Run, proofs: Proofs): string[] {
  const asked = new Map<string, number>();
  return run.lines.flatMap((line) => {
    if (line.kind !== "subscribe" && line.kind !== "subscribed") return [];
    const { room, user, client, connection, at, guest } = line;
    const key = `${client} ${connection} ${room} ${guest}`;
    if (line.kind === "subscribe") asked.set(key, at);
    if (line.kind === "subscribe") return [];
    if (proofs.membership(room, user, asked.get(key) ?? at, at) !== "out") return [];
    return [`${client} could subscribe to room ${room}, though its user was no member`];
  });
}

const answered = (run: Run, proofs: Proofs): string[] =>
  run.calls.flatMap(({ call, answer }) => {
    if (call.asked !== "history" || answer?.status !== 200) return [];
    if (proofs.membership(call.room, call.user, call.at, answer.at) !== "out") return [];
    return [`user ${call.user} was answered with the history of room ${call.room}, and was no member`];
  });
