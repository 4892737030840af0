import type { Line } from "../../clients/history.js";
import type { Rule } from "../rule.js";

/**
 * Where nothing failed, no device gets a message twice, but for one that is stored just while its subscription
 * is made. After a failure it may, and how often is counted.
 */
export const repeats: Rule = (run) => {
  const seen = new Map<string, number>();
  const asked = new Map<string, number>();
  return run.isCalm ? run.lines.flatMap((line) => repeat(line, seen, asked)) : [];
};

/** `seen` has when each device got each message last, `asked` when it subscribed to a room last. */
function repeat(line: Line, seen: Map<string, number>, asked: Map<string, number>): string[] {
  if (line.kind === "subscribe") asked.set(`${line.client} ${line.room}`, line.at);
  if (line.kind !== "message") return [];
  const [room, key] = [`${line.client} ${line.room}`, `${line.client} ${line.room} ${line.seq}`];
  const before = seen.get(key);
  seen.set(key, line.at);
  const since = asked.get(room) ?? 0;
  if (before === undefined || line.at - since < NEAR_MS) return [];
  return [`${line.client} got seq ${line.seq} of room ${line.room} twice`];
}

/** A subscription is made within this time where nothing is away. */
const NEAR_MS = 5_000;
