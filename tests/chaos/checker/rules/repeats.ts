import type { Line } from "../../clients/history.js";
import type { Rule } from "../rule.js";

/**
 * Where nothing failed, no device gets a message twice, but for one that comes while its subscription is made:
 * by the replay and live. After a failure it may, and how often is counted.
 */
export const repeats: Rule = (run) => {
  if (!run.isCalm) return [];
  const devices = new Map<string, Device>();
  return run.lines.flatMap((line) => {
    const device = devices.get(line.client) ?? { seen: new Map(), subscribing: new Set() };
    devices.set(line.client, device);
    return repeat(line, device);
  });
};

interface Device {
  /** By room and seq: whether it came while the room was being subscribed. */
  readonly seen: Map<string, boolean>;
  /** Rooms. */
  readonly subscribing: Set<number>;
}

function repeat(line: Line, { seen, subscribing }: Device): string[] {
  if (line.kind === "subscribe") subscribing.add(line.room);
  if (line.kind === "subscribed") subscribing.delete(line.room);
  if (line.kind !== "message") return [];
  const key = `${line.room} ${line.seq}`;
  const before = seen.get(key);
  const isNear = subscribing.has(line.room);
  seen.set(key, isNear);
  if (before === undefined || before || isNear) return [];
  return [`${line.client} got seq ${line.seq} of room ${line.room} twice`];
}
