import { measure } from "../platform/measures.js";
import type { Broadcaster } from "./broadcaster.js";

/** The same broadcaster, whose calls are timed by their kind. */
export function measured(broadcaster: Broadcaster): Broadcaster {
  const timed =
    <Args extends unknown[], T>(kind: keyof Broadcaster, call: (...args: Args) => Promise<T>) =>
    (...args: Args): Promise<T> =>
      time(kind, () => call(...args));
  return {
    sendToGroup: timed("sendToGroup", broadcaster.sendToGroup),
    sendToConnection: timed("sendToConnection", broadcaster.sendToConnection),
    closeConnection: timed("closeConnection", broadcaster.closeConnection),
    connectionExists: timed("connectionExists", broadcaster.connectionExists),
    sendToUser: timed("sendToUser", broadcaster.sendToUser),
    closeUserConnections: timed("closeUserConnections", broadcaster.closeUserConnections),
    joinGroup: timed("joinGroup", broadcaster.joinGroup),
    leaveGroup: timed("leaveGroup", broadcaster.leaveGroup),
    removeUserFromGroups: timed("removeUserFromGroups", broadcaster.removeUserFromGroups),
    groupExists: timed("groupExists", broadcaster.groupExists),
    clientUrl: timed("clientUrl", broadcaster.clientUrl),
    ping: timed("ping", broadcaster.ping),
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
