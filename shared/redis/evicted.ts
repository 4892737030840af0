import type { EndReason, EvictedSession } from "./ports.js";

/** What the scripts answer: standings, ids and numbers in turn. */
export type Parts = readonly (string | number)[];

/** The connections to tell and close at the end of a script's answer: id, reason and queue of each. */
export function evictedSessions(parts: Parts): EvictedSession[] {
  const texts = parts.map(String);
  const sessions: EvictedSession[] = [];
  for (let at = 0; at + 2 < texts.length; at += 3)
    sessions.push({
      connectionId: texts[at]!,
      reason: texts[at + 1] as EndReason,
      queue: texts[at + 2]!,
    });
  return sessions;
}
