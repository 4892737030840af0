import { measure } from "../platform/measures.js";
import type { Broadcaster } from "./broadcaster.js";

/** The same broadcaster, whose calls are timed by their kind. */
export const measured = (broadcaster: Broadcaster): Broadcaster => wrapped(broadcaster, time);

/** What is done around a call of this kind. */
type Around = <T>(kind: keyof Broadcaster, call: () => Promise<T>) => Promise<T>;

/** The same broadcaster, with something done around each of its calls. */
export function wrapped(broadcaster: Broadcaster, around: Around): Broadcaster {
  const within =
    <Args extends unknown[], T>(kind: keyof Broadcaster, call: (...args: Args) => Promise<T>) =>
    (...args: Args): Promise<T> =>
      around(kind, () => call(...args));
  return {
    sendToGroup: within("sendToGroup", broadcaster.sendToGroup),
    sendToConnection: within("sendToConnection", broadcaster.sendToConnection),
    closeConnection: within("closeConnection", broadcaster.closeConnection),
    connectionExists: within("connectionExists", broadcaster.connectionExists),
    sendToUser: within("sendToUser", broadcaster.sendToUser),
    closeUserConnections: within("closeUserConnections", broadcaster.closeUserConnections),
    joinGroup: within("joinGroup", broadcaster.joinGroup),
    leaveGroup: within("leaveGroup", broadcaster.leaveGroup),
    removeUserFromGroups: within("removeUserFromGroups", broadcaster.removeUserFromGroups),
    groupExists: within("groupExists", broadcaster.groupExists),
    clientUrl: within("clientUrl", broadcaster.clientUrl),
    ping: within("ping", broadcaster.ping),
  };
}

async function time<T>(kind: keyof Broadcaster, call: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1_000;
  try {
    const result = await call();
    measure.broadcast(kind, "ok", seconds);
    return result;
  } catch (error) {
    measure.broadcast(kind, isThrottled(error) ? "throttled" : "failed", seconds);
    throw error;
  }
}

/** The service has refused the call, and its repeats by the SDK, as one too many. */
const isThrottled = (error: unknown): boolean =>
  error instanceof Error && (error.cause as { statusCode?: unknown } | undefined)?.statusCode === 429;
