import type { CommandDeps } from "../commands/command.js";
import { groupName, groupsOf } from "../fanout/groups.js";
import { destinationKey } from "../frames/destinations.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { closeEnded, farewell } from "./closing.js";

type Deps = Pick<CommandDeps, "broadcaster" | "sessions" | "database" | "now">;

/**
 * Ends all sessions of a user, or those of one device: each hears SESSION_CLOSED and ERROR, and is closed. Throws `UNAVAILABLE` when that could not be done or found out yet; a repeat
 * does what is left.
 */
export async function logOut(userId: number, device: string | undefined, deps: Deps): Promise<void> {
  const ended = await deps.sessions.logOut(userId, device);
  const done = ended && (await closeEnded(userId, ended, deps));
  if (device === undefined) return closeUncounted(userId, deps);
  if (!ended)
    throw new ChatError(
      "UNAVAILABLE",
      "Which sessions are this device's can't be found out right now; try again, or log out of all.",
    );
  if (!done)
    throw new ChatError(
      "UNAVAILABLE",
      "The sessions have ended, but could not all be closed yet; try again.",
    );
}

/** Those that came while the session store was away: told by the queues that they listen on, and closed by their user. */
async function closeUncounted(userId: number, { broadcaster, database, now }: Deps): Promise<void> {
  const key = destinationKey({ kind: "userSession" }, userId);
  const queues = await groupsOf(database, [key])
    .then((groups) => groups.get(key) ?? [])
    .catch((error: unknown) => {
      log.warn("the session queues of a user could not be read", { userId, error });
      return [];
    });
  const words = (queue: string): string[] =>
    farewell({ connectionId: "all", reason: "LOGGED_OUT", queue }, now());
  // Closing is what was asked for, also of those who can't be told.
  await Promise.allSettled(
    queues.map(({ lane, wire }) => broadcaster.sendToGroup(groupName(lane, wire), words(wire)[0]!)),
  );
  await Promise.allSettled([broadcaster.sendToUser(userId, words("").join(""))]);
  await broadcaster.closeUserConnections(userId, "You have logged out.");
}
