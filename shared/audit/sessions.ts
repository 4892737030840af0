import type { Broadcaster } from "../broadcast/broadcaster.js";
import type { NotedConnection, RedisInspection } from "../redis/inspection.js";
import type { Sessions } from "../redis/ports.js";
import type { Area, Finding } from "./area.js";
import { callingEach } from "./callingEach.js";
import { SWEPT_MS } from "./lists.js";

interface Deps {
  readonly inspection: RedisInspection;
  readonly sessions: Sessions;
  readonly broadcaster: Broadcaster;
}

/** Sessions in Redis, each of which takes a slot of its user: there must be a connection. */
export function sessionsArea({ inspection, sessions, broadcaster }: Deps): Area<NotedConnection> {
  return {
    name: "sessions",
    async *pages() {
      for await (const places of inspection.listConnections(SWEPT_MS)) yield { places };
    },
    async look(connections) {
      const open = await callingEach(connections, (one) => broadcaster.connectionExists(one.connectionId));
      const findings = connections.flatMap((place, index) => findingOf(place, open[index] === true) ?? []);
      const noted = await inspection.findNoted(
        findings.map(({ place }) => place),
        SWEPT_MS,
      );
      return findings.filter(({ place }) => noted.includes(place));
    },
    async mend({ userId, connectionId, state }) {
      if (state === "live") await sessions.remove(userId, connectionId);
      else await sessions.closed(userId, connectionId);
    },
  };
}

/** A session needs a connection. One that has lost its slot is closed within seconds. */
function findingOf(place: NotedConnection, isOpen: boolean): Finding<NotedConnection> | undefined {
  const where = `user ${place.userId}, connection ${place.connectionId}`;
  if (place.state === "live")
    return isOpen ? undefined : { place, kind: "session", where, expected: "a connection", found: "none" };
  const difference = { place, kind: "closing_session", where, expected: "closed and forgotten" } as const;
  if (!isOpen) return { ...difference, found: "gone, and not forgotten" };
  return {
    ...difference,
    found: "still open",
    unmendable: "the sweep closes it: see in the log whether it runs, and why this fails",
  };
}
