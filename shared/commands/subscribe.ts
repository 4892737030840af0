import { membershipLock } from "../chat/access.js";
import { requireMember, requireMemberNow } from "../chat/membership.js";
import { enter } from "../connections/admission.js";
import type { Connection } from "../connections/connection.js";
import { fits, versionOf } from "../connections/connectionState.js";
import { groupName, isPacked, keyOfLane, laneOf, type SubscriberGroup } from "../fanout/groups.js";
import { forgetUnused, requireFreeId } from "../fanout/subscriptionIds.js";
import { type Destination, destinationKey, destinationText } from "../frames/destinations.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import type { Later } from "../store/database.js";
import type { Member } from "../store/members.js";
import { type Locked, withNamedLockKnowing } from "../store/namedLock.js";
import { addSubscriptionId, addSubscriptionIdLater } from "../store/subscriptionIds.js";
import type { Command, CommandDeps, Outcome } from "./command.js";
import { evictedOutcome } from "./evicted.js";
import { replayMost, replayRest } from "./replay.js";
import { unshownBefore, untilShown } from "./shownBefore.js";
import { type SubscribeHeaders, subscribeHeaders } from "./subscriptionHeaders.js";

const SUBSCRIPTIONS_PER_CONNECTION = 100;

/** A subscription that is about to be made. */
interface Wanted extends SubscriberGroup {
  readonly destination: Destination;
  /** The destination's key. */
  readonly key: string;
  readonly lastSeq: number | undefined;
  /** The connection as it is before. */
  readonly connection: Connection;
  /** The connection has this subscription already. */
  readonly isRepeat: boolean;
}

/**
 * SUBSCRIBE: returns once no later message of the destination can be missed. The same id and destination
 * again changes nothing. With `last-seq: N` on a room the messages after N come before the live ones; with
 * `packed:true` several frames may come in one WebSocket message. Throws `MALFORMED_FRAME`,
 * `UNKNOWN_DESTINATION`, `NOT_SUPPORTED`, `NOT_A_MEMBER`, `TOO_MANY_SUBSCRIPTIONS`, or `SESSION_CLOSED` for a
 * connection that is gone.
 */
export const subscribe: Command = async ({ frame }, connection, deps) => {
  const wanted = wantedOf(subscribeHeaders(frame, versionOf(connection.state)), connection);
  const state = withSubscription(wanted);
  // A repeat goes through all of it, too: joining again changes nothing, and mends a subscription that was
  // left half way.
  await takeIdAsMember(wanted, deps);
  await join(wanted, deps);
  const { lane, wire } = wanted;
  const { userId, connectionId } = connection;
  // From now on the connection's end finds the subscription. If it says no, the end has come before, and has
  // not found it.
  if ((await deps.subscriptions.noteSubscription(userId, connectionId, { lane, wire })) === false) {
    await leave(wanted, deps);
    return goneMeanwhile(connection, deps);
  }
  if (wanted.destination.kind !== "userSession") return { frames: [], state };
  return noteQueue({ ...connection, state }, deps);
};

/** Throws `MALFORMED_FRAME` for an id that the connection uses for another destination. */
function wantedOf({ destination, wire, lastSeq, packed }: SubscribeHeaders, connection: Connection): Wanted {
  const key = destinationKey(destination, connection.userId);
  const inUse = connection.state.subscriptions.get(wire);
  if (inUse !== undefined && keyOfLane(inUse) !== key)
    throw new ChatError(
      "MALFORMED_FRAME",
      "This subscription id is in use for another destination; choose another one.",
    );
  const lane = inUse ?? laneOf(key, packed);
  return { destination, key, lane, wire, lastSeq, connection, isRepeat: inUse !== undefined };
}

/** The connection's state once it is subscribed; throws `TOO_MANY_SUBSCRIPTIONS`. */
function withSubscription({ connection: { state }, wire, lane }: Wanted): Connection["state"] {
  const next = { ...state, subscriptions: new Map(state.subscriptions).set(wire, lane) };
  if (next.subscriptions.size > SUBSCRIPTIONS_PER_CONNECTION || !fits(next))
    throw new ChatError(
      "TOO_MANY_SUBSCRIPTIONS",
      `A connection takes ${SUBSCRIPTIONS_PER_CONNECTION} subscriptions, fewer where their ids are long; unsubscribe first.`,
    );
  return next;
}

/**
 * Takes the id among those of its user and of its destination, and asks at the same time whether the user may
 * subscribe to it. Throws `NOT_A_MEMBER` or `TOO_MANY_SUBSCRIPTIONS`.
 */
async function takeIdAsMember(wanted: Wanted, deps: CommandDeps): Promise<void> {
  const { destination, connection } = wanted;
  const allowed =
    "roomId" in destination ? requireMember(destination.roomId, connection.userId, deps) : undefined;
  try {
    await requireFreeId({ ...wanted, destination: destinationText(destination) }, deps, allowed);
  } catch (error) {
    if (leavesNothing(wanted, error)) await giveIdBack(wanted, deps);
    throw error;
  }
}

/** Whether there is no subscription behind the failure: a repeat leaves the older one to who is still a member. */
const leavesNothing = ({ isRepeat }: Wanted, error: unknown): boolean =>
  !isRepeat || (error instanceof ChatError && error.code === "NOT_A_MEMBER");

/**
 * Joins the group, after a replay where one is wanted. A new subscription that fails leaves nothing behind.
 * Where the user is no member any more, an older one ends, too.
 */
async function join(wanted: Wanted, deps: CommandDeps): Promise<void> {
  try {
    await replayAndJoin(wanted, deps);
  } catch (error) {
    if (leavesNothing(wanted, error)) await leave(wanted, deps);
    throw error;
  }
}

async function replayAndJoin(wanted: Wanted, deps: CommandDeps): Promise<void> {
  const { destination, lastSeq, lane, wire, connection } = wanted;
  if (!("roomId" in destination)) {
    await joinGroup(wanted, deps);
    return addSubscriptionId(deps.database, wanted.key, wire, isPacked(lane));
  }
  const { roomId } = destination;
  const joining = async (db: Later): Promise<void> => {
    await joinGroup(wanted, deps);
    addSubscriptionIdLater(db, wanted.key, wire, isPacked(lane));
  };
  if (destination.kind !== "room") return asMember(roomId, connection, deps, joining);
  if (lastSeq === undefined) return asReader(roomId, connection, deps, joining);
  const replay = { connection, roomId, lane, wire, after: lastSeq };
  const after = Math.max(lastSeq, await replayMost(replay, deps));
  await asReader(roomId, connection, deps, () => replayRest({ ...replay, after }, joining, deps));
}

/** Comes before the id is added: so a broadcast that finds the id reaches the connection. */
const joinGroup = ({ connection, lane, wire }: Wanted, { broadcaster }: CommandDeps): Promise<void> =>
  broadcaster.joinGroup(connection.connectionId, groupName(lane, wire));

/**
 * Works while the user's removal from the room waits. A removal that came before is seen here, one that comes
 * after finds the group. Throws `NOT_A_MEMBER`.
 */
const asMember = <T>(
  roomId: number,
  { userId }: Connection,
  { database }: CommandDeps,
  work: (db: Locked, member: Member) => Promise<T>,
): Promise<T> =>
  withNamedLockKnowing(
    database,
    membershipLock(roomId, userId),
    (db) => requireMemberNow(db, roomId, userId),
    work,
  );

/**
 * The same for what brings the room's messages. A broadcast goes to who is in the group at that time, so what is
 * from before an invitation is shown first: that wait is outside the lock, of which only few can be held. Throws
 * `UNAVAILABLE` where showing stands.
 */
async function asReader(
  roomId: number,
  connection: Connection,
  deps: CommandDeps,
  work: (db: Locked) => Promise<void>,
): Promise<void> {
  const unshown = await asMember(roomId, connection, deps, async (db, member) => {
    const found = await unshownBefore(member, db, deps);
    if (!found) await work(db);
    return found;
  });
  if (!unshown) return;
  await untilShown(unshown, deps);
  await asMember(roomId, connection, deps, work);
}

/**
 * The session store must know that the session listens for its own end: a process that evicts it tells it
 * there.
 */
async function noteQueue(connection: Connection, deps: CommandDeps): Promise<Outcome> {
  const entry = await enter(connection, undefined, deps);
  if (entry.kind === "evicted") return evictedOutcome(entry, connection, deps);
  return { frames: [], state: entry.state };
}

/**
 * The connection is gone: nobody hears the answer, unless this is an evicted session that is about to be
 * closed.
 */
async function goneMeanwhile(connection: Connection, deps: CommandDeps): Promise<Outcome> {
  const entry = await enter(connection, undefined, deps);
  if (entry.kind === "evicted") return evictedOutcome(entry, connection, deps);
  throw new ChatError("SESSION_CLOSED", "This session has ended.");
}

/** An id that came to nothing must not count among those of its user. */
const giveIdBack = (
  { connection: { userId, connectionId }, key, wire }: Wanted,
  { subscriptions }: CommandDeps,
): Promise<void> => subscriptions.leaveId(userId, connectionId, key, wire);

/** A SUBSCRIBE that is refused in the end must not be subscribed. */
async function leave(wanted: Wanted, deps: CommandDeps): Promise<void> {
  const { lane, wire, connection } = wanted;
  try {
    await deps.broadcaster.leaveGroup(connection.connectionId, groupName(lane, wire));
  } catch (error) {
    log.warn("a refused subscription could not be taken back", { lane, error });
  }
  await giveIdBack(wanted, deps);
  await forgetUnused([{ lane, wire }], deps);
}
