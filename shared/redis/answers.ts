/** Redis 6 says first where in a script an error happened. */
const IN_SCRIPT = "(?:ERR Error running script .*?-)?";
/** The server is a replica. */
export const READONLY = new RegExp(`^${IN_SCRIPT}READONLY\\b`);
/**
 * By these a server says that it can't be used now: it loads its data, it is no primary, or a script runs too
 * long.
 */
const AWAY = new RegExp(`^${IN_SCRIPT}(?:LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|BUSY)\\b`);
/** The slot of the keys is on its way to another node. The node's other slots can be used. */
const MOVING = /^Too many Cluster redirections\. Last error: ReplyError: (?:TRYAGAIN|ASK|MOVED)\b/;

/**
 * Whether an error is an answer of a server that can be used: a refusal of this call, which says nothing of
 * the next.
 */
export function isAnswer(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "ReplyError" ? !AWAY.test(error.message) : MOVING.test(error.message);
}
