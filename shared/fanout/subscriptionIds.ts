import type { CommandDeps, Connection } from "../commands/command.js";
import { ChatError } from "../platform/errors.js";
import { log } from "../platform/log.js";
import { inTransaction } from "../store/database.js";
import { addSubscriptionId, removeSubscriptionId } from "../store/subscriptionIds.js";
import { groupName, groupsOf, isPacked, keyOfLane, type SubscriberGroup } from "./groups.js";

/**
 * The set of subscription ids in use on a destination. A subscriber first joins the group, then adds its id, so a
 * broadcast that starts afterwards reaches it.
 */

type Deps = Pick<CommandDeps, "broadcaster" | "database" | "subscriptions" | "now">;
type Asking = Pick<Deps, "broadcaster" | "database">;

/** A user's programs need one id for a destination, or a few where they number them. */
const IDS_OF_A_USER = 8;

/** A destination takes at most so many different ids besides itself (one is two where some who use it take several frames a message), so that nobody can multiply the broadcast calls at will. */
const IDS_PER_DESTINATION = 256;
/** Each may hold a connection of the database's pool while it asks. */
const CHECKS_AT_ONCE = 4;
/** More ids than this on a destination, and each new subscriber looks whether two of them are still in use. */
const FEW_IDS = 16;

/** A subscription that is about to be made. */
interface Wanted {
  /** The destination's key. */
  readonly key: string;
  /** The destination as frames name it: as an id it is always free. */
  readonly destination: string;
  readonly lane: string;
  /** The subscription id. */
  readonly wire: string;
  readonly connection: Pick<Connection, "connectionId" | "userId">;
}

/**
 * Makes sure that a destination can take this id, and on the way removes ids that were left behind; throws `TOO_MANY_SUBSCRIPTIONS`
 * where 256 others are in use, or eight of the user's. Comes before joining; many new ids at the same moment can pass the limit by their number.
 */
export async function requireFreeId(wanted: Wanted, deps: Deps): Promise<void> {
  const { key, destination, lane, wire } = wanted;
  if (wire !== destination) await requireFewIds(wanted, deps);
  const isOwn = (one: SubscriberGroup): boolean => one.wire === wire && one.lane === lane;
  const isOther = (one: SubscriberGroup): boolean => !isOwn(one) && one.wire !== destination;
  const groups = await groupsIn(key, deps);
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
  } else if (others.length > FEW_IDS) {
    // Two neighbours, others at every time: whoever comes back after a lost `disconnected` clears away what it left.
    const first = Math.floor(deps.now() / 2) % (others.length - 1);
    await forgetUnused(others.slice(first, first + 2), deps);
  }
}

/** Each id is one more call for every message. Without the session store this is not limited. */
async function requireFewIds({ key, wire, connection }: Wanted, { subscriptions }: Deps): Promise<void> {
  const { userId, connectionId } = connection;
  if ((await subscriptions.takeId(userId, connectionId, key, wire, IDS_OF_A_USER)) === false)
    throw new ChatError(
      "TOO_MANY_SUBSCRIPTIONS",
      `A user takes ${IDS_OF_A_USER} subscription ids for one destination, over all sessions; use the destination itself as the id, or unsubscribe first.`,
    );
}

const groupsIn = async (key: string, deps: Asking): Promise<readonly SubscriberGroup[]> =>
  (await groupsOf(deps.database, [key])).get(key) ?? [];

/**
 * Removes those of the ids whose group nobody is in any more. Never throws: an id that stays though nobody uses it costs a
 * send to nobody, which must not fail what its user asked for.
 */
export async function forgetUnused(groups: readonly SubscriberGroup[], deps: Asking): Promise<void> {
  for (let first = 0; first < groups.length; first += CHECKS_AT_ONCE)
    await Promise.all(groups.slice(first, first + CHECKS_AT_ONCE).map((group) => forgetQuietly(group, deps)));
}

async function forgetQuietly(group: SubscriberGroup, deps: Asking): Promise<void> {
  try {
    await forgetIfUnused(group, deps);
  } catch (error) {
    log.warn("a subscription id could not be removed", { lane: group.lane, error });
  }
}

/**
 * Removes an id unless its group has members. The second look comes while the removal is locked but not committed: a
 * subscriber that added the id before has joined before, and is seen; one that adds it after waits for the commit and
 * puts it back. Broadcasts see the id until the commit. So no subscriber is ever forgotten.
 */
async function forgetIfUnused(
  { lane, wire }: SubscriberGroup,
  { broadcaster, database }: Asking,
): Promise<void> {
  const name = groupName(lane, wire);
  const [key, packed] = [keyOfLane(lane), isPacked(lane)];
  if (await broadcaster.groupExists(name)) return;
  await inTransaction(database, async (tx) => {
    await removeSubscriptionId(tx, key, { wire, packed });
    if (await broadcaster.groupExists(name)) await addSubscriptionId(tx, key, wire, packed);
  });
}
