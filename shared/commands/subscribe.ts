import { membershipLock } from "../chat/access.js";
import { requireMember, requireMemberNow } from "../chat/membership.js";
import { endedOutcome, enter } from "../connections/admission.js";
import { fits } from "../connections/connectionState.js";
import { groupName, isPacked, keyOfLane, laneOf, type SubscriberGroup } from "../fanout/groups.js";
import { forgetUnused, requireFreeId } from "../fanout/subscriptionIds.js";
import {
  type Destination,
  destinationKey,
  destinationText,
  parseDestination,
} from "../frames/destinations.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import type { StompVersion } from "../stomp/frame.js";
import type { Queryable } from "../store/database.js";
import { withNamedLock } from "../store/namedLock.js";
import { addSubscriptionId } from "../store/subscriptionIds.js";
import type { Command, CommandDeps, Connection, Outcome, Received } from "./command.js";
import { catchUp, replay } from "./replay.js";

const SUBSCRIPTIONS_PER_CONNECTION = 100;
const ID_BYTES = 256;

/**
 * SUBSCRIBE: returns once no later message of the destination can be missed. The same id and destination again changes
 * nothing. With `last-seq: N` on a room the messages after N come before the live ones; with `packed:true` several frames may come in one
 * WebSocket message. Throws `MALFORMED_FRAME`,
 * `UNKNOWN_DESTINATION`, `NOT_SUPPORTED`, `NOT_A_MEMBER` or `TOO_MANY_SUBSCRIPTIONS`.
 */
export const subscribe: Command = async ({ frame }, connection, deps) => {
  const { destination, wire, lastSeq, packed } = parse(frame, connection);
  const key = destinationKey(destination, connection.userId);
  const inUse = connection.state.subscriptions.get(wire);
  if (inUse !== undefined && keyOfLane(inUse) !== key)
    throw new ChatError(
      "MALFORMED_FRAME",
      "This subscription id is in use for another destination; choose another one.",
    );
  const lane = inUse ?? laneOf(key, packed);
  const group = { lane, wire };
  const state = {
    ...connection.state,
    subscriptions: new Map(connection.state.subscriptions).set(wire, lane),
  };
  if (state.subscriptions.size > SUBSCRIPTIONS_PER_CONNECTION || !fits(state))
    throw new ChatError(
      "TOO_MANY_SUBSCRIPTIONS",
      `A connection takes ${SUBSCRIPTIONS_PER_CONNECTION} subscriptions, fewer where their ids are long; unsubscribe first.`,
    );
  if ("roomId" in destination) await requireMember(destination.roomId, connection.userId, deps);
  // Also when it is subscribed already: joining again changes nothing, and mends a subscription that was left half way.
  const join = async (db: Queryable): Promise<void> => {
    await deps.broadcaster.joinGroup(connection.connectionId, groupName(lane, wire));
    await addSubscriptionId(db, key, wire, isPacked(lane));
  };
  try {
    await requireFreeId({ key, destination: destinationText(destination), ...group, connection }, deps);
  } catch (error) {
    if (inUse === undefined) await giveIdBack(connection, group, deps);
    throw error;
  }
  try {
    if (destination.kind === "room" && lastSeq !== undefined) {
      const wanted = { connection, roomId: destination.roomId, ...group, after: lastSeq };
      const after = Math.max(lastSeq, await catchUp(wanted, deps));
      await joinAsMember(destination.roomId, connection.userId, deps, () =>
        replay({ ...wanted, after }, join, deps),
      );
    } else if ("roomId" in destination) await joinAsMember(destination.roomId, connection.userId, deps, join);
    else await join(deps.database);
  } catch (error) {
    const removed = error instanceof ChatError && error.code === "NOT_A_MEMBER";
    if (inUse === undefined || removed) await leave(connection, group, deps);
    throw error;
  }
  // The connection's end finds it from now on, or has come before and did not.
  if (
    (await deps.subscriptions.noteSubscription(connection.userId, connection.connectionId, group)) === false
  ) {
    await leave(connection, group, deps);
    return goneMeanwhile(connection, deps);
  }
  return destination.kind === "userSession"
    ? listening({ ...connection, state }, deps)
    : { frames: [], state };
};

/** Whoever ends this session from now on must know that it listens. */
async function listening(connection: Connection, deps: CommandDeps): Promise<Outcome> {
  const entry = await enter(connection, undefined, deps);
  return entry.kind === "ended" ? endedOutcome(entry, deps.now()) : { frames: [], state: entry.state };
}

/** Nobody hears it, unless it is a session that has ended and is about to be closed. */
async function goneMeanwhile(connection: Connection, deps: CommandDeps): Promise<Outcome> {
  const entry = await enter(connection, undefined, deps);
  if (entry.kind === "ended") return endedOutcome(entry, deps.now());
  throw new ChatError("SESSION_CLOSED", "This session has ended.");
}

/** Joins while the user's removal waits: it came before, and is seen here, or comes after, and finds the group. */
async function joinAsMember(
  roomId: number,
  userId: number,
  deps: CommandDeps,
  join: (db: Queryable) => Promise<void>,
): Promise<void> {
  await withNamedLock(deps.database, membershipLock(roomId, userId), async (db) => {
    await requireMemberNow(db, roomId, userId);
    await join(db);
  });
}

/** An id that came to nothing must not count among its user's. */
const giveIdBack = (
  { userId, connectionId }: Connection,
  { lane, wire }: SubscriberGroup,
  { subscriptions }: CommandDeps,
): Promise<void> => subscriptions.leaveId(userId, connectionId, keyOfLane(lane), wire);

/** A SUBSCRIBE that is refused in the end must not be subscribed. */
async function leave(connection: Connection, group: SubscriberGroup, deps: CommandDeps): Promise<void> {
  try {
    await deps.broadcaster.leaveGroup(connection.connectionId, groupName(group.lane, group.wire));
  } catch (error) {
    log.warn("a refused subscription could not be taken back", { lane: group.lane, error });
  }
  await giveIdBack(connection, group, deps);
  await forgetUnused([group], deps);
}

interface Subscription {
  readonly destination: Destination;
  /** The subscription id as it stands on the wire in this connection's version. */
  readonly wire: string;
  readonly lastSeq: number | undefined;
  readonly packed: boolean;
}

function parse(frame: Received["frame"], connection: Connection): Subscription {
  const text = frame.headers.get("destination");
  if (!text) throw new ChatError("MALFORMED_FRAME", "SUBSCRIBE needs a destination header.");
  const destination = parseDestination(text);
  if (!destination)
    throw new ChatError("UNKNOWN_DESTINATION", `There is no destination ${text.slice(0, 100)}`);
  if ((frame.headers.get("ack") ?? "auto") !== "auto")
    throw new ChatError("NOT_SUPPORTED", "Only ack:auto is supported.");
  const lastSeq = frame.headers.get("last-seq");
  if (lastSeq !== undefined && !/^\d{1,15}$/.test(lastSeq))
    throw new ChatError("MALFORMED_FRAME", "last-seq must be the seq of the last message seen, 0 or more.");
  return {
    destination,
    wire: subscriptionWire(frame, connection.state.version ?? "1.2"),
    lastSeq: lastSeq === undefined ? undefined : Number(lastSeq),
    packed: frame.headers.get("packed") === "true",
  };
}

/**
 * The subscription id of a SUBSCRIBE or UNSUBSCRIBE exactly as the client wrote it. It is given back byte for byte, so no
 * client needs to escape it the way its version wants, and one group holds only connections that read the same bytes alike.
 * In STOMP 1.0 the id is optional, and the destination stands for it.
 */
export function subscriptionWire(frame: Received["frame"], version: StompVersion): string {
  const wire =
    frame.headers.wire("id") ?? (version === "1.0" ? frame.headers.wire("destination") : undefined);
  if (!wire) throw new ChatError("MALFORMED_FRAME", `${frame.command} needs an id header.`);
  if (Buffer.byteLength(wire) > ID_BYTES)
    throw new ChatError("MALFORMED_FRAME", `A subscription id has at most ${ID_BYTES} bytes.`);
  return wire;
}
