import type { Broadcaster } from "../broadcast/broadcaster.js";
import { allEnded, inParallel } from "../platform/async.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import type { Subscriptions } from "../redis/ports.js";
import type { Database } from "../store/database.js";
import { addSubscriptionId, removeSubscriptionId } from "../store/subscriptionIds.js";
import { inTransaction } from "../store/transaction.js";
import { groupName, groupsOf, isPacked, keyOfLane, type SubscriberGroup } from "./groups.js";

/**
 * The set of subscription ids in use on a destination. A subscriber first joins the group, then adds its id:
 * so a broadcast that reads the ids afterwards reaches it.
 */

interface AskingDeps {
  readonly broadcaster: Broadcaster;
  readonly database: Database;
}

interface Deps extends AskingDeps {
  readonly subscriptions: Subscriptions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A user's programs need one id for a destination, or a few where they number them. */
const IDS_OF_A_USER = 8;

/**
 * A destination takes this many different ids besides itself, so that nobody can multiply the broadcast calls
 * at will. An id counts as two where some of its users take several frames a message.
 */
const IDS_PER_DESTINATION = 256;
/** Each may hold a connection of the database's pool while it asks. */
const CHECKS_AT_ONCE = 4;
/**
 * With more ids than this on a destination, each new subscriber looks whether two of them are still in use.
 */
const FEW_IDS = 16;

/** A subscription that is about to be made. */
export interface WantedId extends SubscriberGroup {
  /** The destination's key. */
  readonly key: string;
  /** The destination as frames name it: as an id it is always free. */
  readonly destination: string;
  readonly connection: { readonly connectionId: string; readonly userId: number };
}

/**
 * Makes sure that a destination can take this id, and on the way removes ids that were left behind. Throws
 * `TOO_MANY_SUBSCRIPTIONS` where 256 others are in use, or eight of the user's. The caller joins afterwards:
 * new ids that come at the same moment can pass the limit by their number.
 *
 * Throws what `allowed` fails with; it is waited for while the ids are asked for. Nothing is tidied up then. However
 * it fails, the id may be among the user's: the caller gives it back.
 */
export async function requireFreeId(wanted: WantedId, deps: Deps, allowed?: Promise<void>): Promise<void> {
  const { key, destination, lane, wire } = wanted;
  const [, , groups] = await allEnded([
    allowed,
    wire !== destination && requireFewIds(wanted, deps),
    groupsIn(key, deps),
  ]);
  const isOwn = (one: SubscriberGroup): boolean => one.wire === wire && one.lane === lane;
  const isOther = (one: SubscriberGroup): boolean => !isOwn(one) && one.wire !== destination;
  const others = groups.filter(isOther);
  const isFree = wire === destination || groups.some(isOwn);
  if (others.length >= IDS_PER_DESTINATION && !isFree) {
    await forgetUnused(others, deps);
    const left = (await groupsIn(key, deps)).filter(isOther);
    if (left.length >= IDS_PER_DESTINATION)
      throw new ChatError(
        "TOO_MANY_SUBSCRIPTIONS",
        `This destination has ${IDS_PER_DESTINATION} different subscription ids in use; use the destination itself as the id.`,
      );
  } else if (others.length > FEW_IDS) await forgetUnused(twoOf(others, deps.now()), deps);
}

/** Each id is one more call for every message. Without the session store this is not limited. */
async function requireFewIds({ key, wire, connection }: WantedId, { subscriptions }: Deps): Promise<void> {
  const { userId, connectionId } = connection;
  if ((await subscriptions.takeId(userId, connectionId, key, wire, IDS_OF_A_USER)) === false)
    throw new ChatError(
      "TOO_MANY_SUBSCRIPTIONS",
      `A user takes ${IDS_OF_A_USER} subscription ids for one destination, over all sessions; use the destination itself as the id, or unsubscribe first.`,
    );
}

/**
 * Two of the ids to be checked, a different pair each time: so ids that lost `disconnected` events have left
 * behind are cleaned up gradually. The clock chooses, as nothing is remembered between calls: the pair moves
 * on by one id every two milliseconds, and comes round to all.
 */
function twoOf(groups: readonly SubscriberGroup[], now: number): readonly SubscriberGroup[] {
  const first = Math.floor(now / 2) % (groups.length - 1);
  return groups.slice(first, first + 2);
}

const groupsIn = async (key: string, { database }: AskingDeps): Promise<readonly SubscriberGroup[]> =>
  (await groupsOf(database, [key])).get(key) ?? [];

/**
 * Removes those of the ids whose group is empty. Never throws: an id that stays though nobody uses it costs a
 * send to nobody, which must not fail what its user asked for.
 */
export async function forgetUnused(groups: readonly SubscriberGroup[], deps: AskingDeps): Promise<void> {
  await inParallel(CHECKS_AT_ONCE, groups, (group) => forgetQuietly(group, deps));
}

async function forgetQuietly(group: SubscriberGroup, deps: AskingDeps): Promise<void> {
  try {
    await forgetIfUnused(group, deps);
  } catch (error) {
    log.warn("a subscription id could not be removed", { lane: group.lane, error });
  }
}

/**
 * Removes an id unless its group has members. The group is looked at a second time while the removal is
 * locked but not committed. A subscriber that added the id before has joined before, and is seen; one that
 * adds it after waits for the commit and puts it back. Broadcasts see the id until the commit. So no
 * subscriber is ever forgotten.
 */
async function forgetIfUnused(
  { lane, wire }: SubscriberGroup,
  { broadcaster, database }: AskingDeps,
): Promise<void> {
  const name = groupName(lane, wire);
  const [key, packed] = [keyOfLane(lane), isPacked(lane)];
  if (await broadcaster.groupExists(name)) return;
  await inTransaction(database, async (tx) => {
    await removeSubscriptionId(tx, key, { wire, packed });
    if (await broadcaster.groupExists(name)) await addSubscriptionId(tx, key, wire, packed);
  });
}
