import type { Rule } from "../rule.js";

/** Everything was answered in the end, everybody came back, and had what they waited for. */
export const answered: Rule = (run) => [
  ...[...run.sends.values()]
    .filter(({ accepted, refused }) => accepted.length + refused.length === 0)
    .map(({ room, user, id }) => `message ${id} of user ${user} in room ${room} was never answered`),
  ...run.changes
    .filter(({ end }) => !Number.isFinite(end))
    .map(({ room, user, to }) => `user ${user} could not be taken ${to} of room ${room}`),
  ...(run.quiet?.missing ?? ["the run has no end"]),
];
