import { groupName, groupsOf, type SubscriberGroup } from "../fanout/groups.js";
import { destinationKey } from "../frames/destinations.js";
import { prepared } from "../frames/frame.js";
import { sessionClosedFrame } from "../frames/sessionClosed.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import type { Database } from "../store/database.js";
import { type ClosingDeps, closeEvicted } from "./closing.js";
import { farewellError, farewellText } from "./farewell.js";

interface Deps extends ClosingDeps {
  readonly database: Database;
}

const REASON = "LOGGED_OUT";

/**
 * Ends all sessions of a user, or those of one device: each hears SESSION_CLOSED and ERROR, and is closed.
 * Throws `UNAVAILABLE` when that could not be done, or not be found out, yet; a repeat does what is left.
 */
export async function logOut(userId: number, device: string | undefined, deps: Deps): Promise<void> {
  const evicted = await deps.sessions.logOut(userId, device);
  const areClosed = evicted && (await closeEvicted(userId, evicted, deps));
  if (device === undefined) return closeUncounted(userId, deps);
  if (!evicted)
    throw new ChatError(
      "UNAVAILABLE",
      "Which sessions are this device's can't be found out right now; try again, or log out of all.",
    );
  if (!areClosed)
    throw new ChatError(
      "UNAVAILABLE",
      "The sessions have ended, but could not all be closed yet; try again.",
    );
}

/**
 * Closes the sessions that came while the session store was away. They are told through the groups of the
 * user's `/user/queue/session`, and closed by their user. Closing is what was asked for: so it goes on where
 * telling fails.
 */
async function closeUncounted(userId: number, deps: Deps): Promise<void> {
  const { broadcaster, now } = deps;
  const closed = prepared(sessionClosedFrame({ connectionId: "all", reason: REASON, at: now() }));
  const groups = await sessionGroupsOf(userId, deps);
  await Promise.allSettled(
    groups.map(({ lane, wire }) => broadcaster.sendToGroup(groupName(lane, wire), closed(wire))),
  );
  await Promise.allSettled([broadcaster.sendToUser(userId, farewellError(REASON))]);
  await broadcaster.closeUserConnections(userId, farewellText(REASON));
}

async function sessionGroupsOf(userId: number, { database }: Deps): Promise<readonly SubscriberGroup[]> {
  const key = destinationKey({ kind: "userSession" }, userId);
  try {
    return (await groupsOf(database, [key])).get(key) ?? [];
  } catch (error) {
    log.warn("the session queues of a user could not be read", { userId, error });
    return [];
  }
}
