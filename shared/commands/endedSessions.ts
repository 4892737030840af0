import { ChatError } from "../errors.js";
import { log } from "../log.js";
import { count } from "../metrics.js";
import type { EndedSession, EndReason } from "../sessions/sessionStore.js";
import { prepareMessage } from "../stomp/serializer.js";
import type { CommandDeps } from "./connection.js";
import { errorFrame } from "./refusals.js";

/** Whoever waits for it does so no longer; what is not done by then another frame or handshake of the user's does. */
const WAIT_MS = 3_000;
const AT_ONCE = 10;

const TEXTS: Readonly<Record<EndReason, string>> = {
  SESSION_LIMIT: "Another device has connected, and this one was the oldest.",
  DEVICE_RECONNECTED: "This device has connected anew.",
  LOGGED_OUT: "You have logged out.",
};

export const LOGGED_OUT = { reason: "LOGGED_OUT", opening: false } as const;

type Deps = Pick<CommandDeps, "broadcaster" | "sessions" | "now">;

/**
 * Tells connections that have lost their place, and closes them. Never throws; resolves when that is done, or after three seconds, while it goes on: a connection that can't be
 * closed now stays noted, is not served any more, and is tried again some seconds later.
 */
export async function closeEnded(userId: number, ended: readonly EndedSession[], deps: Deps): Promise<void> {
  if (ended.length === 0) return;
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, WAIT_MS);
  });
  await Promise.race([closeAll(userId, ended, deps), enough]);
  clearTimeout(timer);
}

async function closeAll(userId: number, ended: readonly EndedSession[], deps: Deps): Promise<void> {
  for (let first = 0; first < ended.length; first += AT_ONCE)
    await Promise.all(ended.slice(first, first + AT_ONCE).map((one) => closeOne(userId, one, deps)));
}

async function closeOne(userId: number, ended: EndedSession, deps: Deps): Promise<void> {
  const { connectionId, reason } = ended;
  const { broadcaster, sessions } = deps;
  try {
    let exists = await broadcaster.connectionExists(connectionId);
    if (!exists && ended.opening) {
      // Its handshake is still going on: it is told when it opens. Had it opened before it was left, it is seen by the second look.
      await sessions.leave(userId, connectionId);
      exists = await broadcaster.connectionExists(connectionId);
      if (!exists || !(await sessions.takeOn(userId, connectionId))) return;
    }
    if (exists) {
      await broadcaster.sendToConnection(connectionId, farewell(ended, deps.now()).join(""));
      await broadcaster.closeConnection(connectionId, TEXTS[reason]);
    }
    await settled(userId, ended, deps);
  } catch (error) {
    log.warn("a session that has ended could not be closed yet", { userId, connectionId, reason, error });
  }
}

/** The connection has been told and closed. */
export async function settled(
  userId: number,
  { connectionId, reason }: EndedSession,
  deps: Deps,
): Promise<void> {
  await deps.sessions.closed(userId, connectionId);
  count.sessionEnded(reason);
  log.info("a session was closed", { userId, connectionId, reason });
}

/** What a connection that has lost its place hears: SESSION_CLOSED on `/user/queue/session` if it listens there, then ERROR. */
export function farewell({ connectionId, reason, queue }: EndedSession, now: number): string[] {
  const headers = {
    destination: "/user/queue/session",
    "message-id": `session-${connectionId}`,
    "content-type": "application/json",
  };
  const body = JSON.stringify({ type: "SESSION_CLOSED", reason, timestamp: now });
  const error = errorFrame(new ChatError("SESSION_CLOSED", TEXTS[reason]), undefined, "1.2");
  return queue === "" ? [error] : [prepareMessage(headers, body)(queue), error];
}
