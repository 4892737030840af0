import type { CommandDeps } from "../commands/command.js";
import { errorFrame } from "../frames/error.js";
import { ChatError } from "../platform/errors.js";
import { atMostEvery, log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import type { EndReason } from "../redis/ports.js";
import { prepareMessage } from "../stomp/serializer.js";

/** Whoever waits for it does so no longer; what is not done by then is tried again by a frame of the user's, or by the sweep. */
const WAIT_MS = 3_000;
const AT_ONCE = 10;

/** `ENDED` is said where the reason is not known any more. */
type Reason = EndReason | "ENDED";

const TEXTS: Readonly<Record<Reason, string>> = {
  SESSION_LIMIT:
    "There are too many sessions: another device has connected and this one was the oldest, or came back by itself.",
  DEVICE_RECONNECTED: "This device has connected anew.",
  LOGGED_OUT: "You have logged out.",
  ENDED: "This session has ended.",
};

/** What a connection that has lost its place is to hear. */
export interface Farewell {
  readonly connectionId: string;
  readonly reason: Reason;
  /** Its subscription id on `/user/queue/session`, or empty. */
  readonly queue: string;
}

type Deps = Pick<CommandDeps, "broadcaster" | "sessions" | "now">;

/** A user who fights for a place with many devices must not fill the log. */
const limited = atMostEvery(1_000);

/**
 * Tells connections that have lost their place, and closes them; says whether that is done. Never throws, and waits for three seconds at most, while it goes on: a connection that
 * can't be closed now stays noted, is not served any more, and is tried again some seconds later.
 */
export async function closeEnded(userId: number, ended: readonly Farewell[], deps: Deps): Promise<boolean> {
  if (ended.length === 0) return true;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), WAIT_MS);
  });
  const done = await Promise.race([closeAll(userId, ended, deps), late]);
  clearTimeout(timer);
  return done;
}

async function closeAll(userId: number, ended: readonly Farewell[], deps: Deps): Promise<boolean> {
  let done = true;
  for (let first = 0; first < ended.length; first += AT_ONCE) {
    const some = ended.slice(first, first + AT_ONCE);
    const closed = await Promise.all(some.map((one) => closeOne(userId, one, deps)));
    done &&= closed.every(Boolean);
  }
  return done;
}

async function closeOne(userId: number, ended: Farewell, deps: Deps): Promise<boolean> {
  const { connectionId, reason } = ended;
  try {
    // One frame a message: what this client takes is not known here.
    for (const frame of farewell(ended, deps.now()))
      await deps.broadcaster.sendToConnection(connectionId, frame);
    await deps.broadcaster.closeConnection(connectionId, TEXTS[reason]);
    await settled(userId, ended, deps);
    return true;
  } catch (error) {
    limited((left) =>
      log.warn("a session that has ended could not be closed yet", { userId, connectionId, error, left }),
    );
    return false;
  }
}

/** The connection has been told and closed. */
export async function settled(userId: number, { connectionId, reason }: Farewell, deps: Deps): Promise<void> {
  if (reason === "ENDED") return;
  // Two may have closed it: one after its claim had run out.
  if ((await deps.sessions.closed(userId, connectionId)) === false) return;
  count.sessionEnded(reason);
  limited((left) => log.info("a session was closed", { userId, connectionId, reason, left }));
}

/** What a connection that has lost its place hears: SESSION_CLOSED on `/user/queue/session` if it listens there, then ERROR. */
export function farewell({ connectionId, reason, queue }: Farewell, now: number): string[] {
  const headers = {
    destination: "/user/queue/session",
    "message-id": `session-${connectionId}`,
    "content-type": "application/json",
  };
  const body = JSON.stringify({ type: "SESSION_CLOSED", reason, timestamp: now });
  const error = errorFrame(new ChatError("SESSION_CLOSED", TEXTS[reason]), undefined, "1.2");
  return queue === "" ? [error] : [prepareMessage(headers, body)(queue), error];
}

const USERS_A_SWEEP = 500;
/** The next sweep goes on: this one must not hold up what else is swept, however slow the socket service is. */
const SWEEP_MS = 10_000;

/**
 * Tells and closes what processes that died have left, of users of whom nobody comes by; those who can't be finished are put behind the others. Called every few seconds, by one
 * process at a time, and ends after some 13 s at the latest.
 */
export async function sweepEnded(deps: Deps): Promise<void> {
  const users = await deps.sessions.listLeft(USERS_A_SWEEP);
  const end = deps.now() + SWEEP_MS;
  for (let first = 0; first < users.length && deps.now() < end; first += AT_ONCE)
    await Promise.all(
      users.slice(first, first + AT_ONCE).map(async (one) => {
        const { toClose, left } = await deps.sessions.claimLeft(one.userId);
        const isDone = await closeEnded(one.userId, toClose, deps);
        await deps.sessions.lookedAfter(one, isDone && left === toClose.length);
      }),
    );
}
