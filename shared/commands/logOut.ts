import { ChatError } from "../errors.js";
import { log } from "../log.js";
import { destinationKey, groupName } from "../routing.js";
import { listSubscriptionIds } from "../store/subscriptionIds.js";
import type { CommandDeps } from "./connection.js";
import { closeEnded, farewell, LOGGED_OUT } from "./endedSessions.js";

type Deps = Pick<CommandDeps, "broadcaster" | "sessions" | "database" | "now">;

/**
 * Ends all sessions of a user, or those of one device: each hears SESSION_CLOSED and ERROR, and is closed. Throws `UNAVAILABLE` when the socket service can't be reached or when
 * it can't be known which sessions are the device's; repeating is harmless.
 */
export async function logOut(userId: number, device: string | undefined, deps: Deps): Promise<void> {
  const ended = await deps.sessions.logOut(userId, device);
  if (ended) await closeEnded(userId, ended, deps);
  if (device === undefined) return closeUncounted(userId, deps);
  if (!ended)
    throw new ChatError(
      "UNAVAILABLE",
      "Which sessions are this device's can't be found out right now; try again, or log out of all.",
    );
}

/** Those that came while the session store was away: told by the queues that they listen on, and closed by their user. */
async function closeUncounted(userId: number, { broadcaster, database, now }: Deps): Promise<void> {
  const key = destinationKey({ kind: "userSession" }, userId);
  const queues = await listSubscriptionIds(database, [key])
    .then((ids) => ids.get(key) ?? [])
    .catch((error: unknown) => {
      log.warn("the session queues of a user could not be read", { userId, error });
      return [];
    });
  const words = (queue: string): string[] => farewell({ connectionId: "all", ...LOGGED_OUT, queue }, now());
  await Promise.all(queues.map((queue) => broadcaster.sendToGroup(groupName(key, queue), words(queue)[0]!)));
  await broadcaster.sendToUser(userId, words("").join(""));
  await broadcaster.closeUserConnections(userId, "You have logged out.");
}
