import type { Broadcaster } from "../broadcast/broadcaster.js";
import { inParallel, within } from "../platform/async.js";
import { atMostEvery, log } from "../platform/log.js";
import { count } from "../platform/metrics.js";
import type { Sessions, Unfinished } from "../redis/ports.js";
import { type Farewell, farewellFrames, farewellText } from "./farewell.js";

/**
 * Callers wait at most this long. The user's next frame, or the sweep, tries again what is unfinished by
 * then.
 */
const WAIT_MS = 3_000;
const AT_ONCE = 10;

export interface ClosingDeps {
  readonly broadcaster: Broadcaster;
  readonly sessions: Sessions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A user whose many devices evict each other must not fill the log. */
const limited = atMostEvery(1_000);

/**
 * Tells evicted connections of a user why, and closes them; says whether all are closed. Never throws. Waits
 * three seconds at most, and goes on after that. A connection that can't be closed now stays noted, is not
 * served any more, and is tried again some seconds later.
 */
export async function closeEvicted(
  userId: number,
  evicted: readonly Farewell[],
  deps: ClosingDeps,
): Promise<boolean> {
  if (evicted.length === 0) return true;
  return (await within(WAIT_MS, closeAll(userId, evicted, deps))) === true;
}

async function closeAll(userId: number, evicted: readonly Farewell[], deps: ClosingDeps): Promise<boolean> {
  let areClosed = true;
  await inParallel(AT_ONCE, evicted, async (one) => {
    if (!(await closeOne(userId, one, deps))) areClosed = false;
  });
  return areClosed;
}

async function closeOne(userId: number, evicted: Farewell, deps: ClosingDeps): Promise<boolean> {
  const { connectionId, reason } = evicted;
  try {
    // One frame a message: whether this client takes several is not known here.
    for (const frame of farewellFrames(evicted, deps.now()))
      await deps.broadcaster.sendToConnection(connectionId, frame);
    await deps.broadcaster.closeConnection(connectionId, farewellText(reason));
    await settle(userId, evicted, deps);
    return true;
  } catch (error) {
    limited((suppressed) =>
      log.warn("an evicted session could not be closed yet", { userId, connectionId, error, suppressed }),
    );
    return false;
  }
}

/** Tells the session store that the connection has been told and closed, so that nobody else closes it. */
export async function settle(
  userId: number,
  { connectionId, reason }: Farewell,
  { sessions }: Pick<ClosingDeps, "sessions">,
): Promise<void> {
  if (reason === undefined) return;
  // Two processes may have closed it: the second one after the claim of the first had run out.
  if ((await sessions.closed(userId, connectionId)) === false) return;
  count.sessionEnded(reason);
  limited((suppressed) => log.info("a session was closed", { userId, connectionId, reason, suppressed }));
}

const USERS_A_SWEEP = 500;
/**
 * The next sweep goes on where this one ends: however slow the socket service is, the other sweeps must not
 * wait for it.
 */
const SWEEP_MS = 10_000;

/**
 * Tells and closes the evicted connections that dead processes have left behind, of users from whom no frame
 * comes. Users who can't be finished are put behind the others. The timer calls it every few seconds, in one
 * process at a time. Ends after 13 s at the latest, as nothing is begun after ten.
 */
export async function sweepEvicted(deps: ClosingDeps): Promise<void> {
  const users = await deps.sessions.listUnfinished(USERS_A_SWEEP);
  const end = deps.now() + SWEEP_MS;
  await inParallel(AT_ONCE, users, async (one) => {
    if (deps.now() < end) await lookAfter(one, deps);
  });
}

async function lookAfter(one: Unfinished, deps: ClosingDeps): Promise<void> {
  const { toClose, unclosed } = await deps.sessions.claimUnfinished(one.userId);
  const isDone = await closeEvicted(one.userId, toClose, deps);
  await deps.sessions.noteLookedAfter(one, isDone && unclosed === toClose.length);
}
