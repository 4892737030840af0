import { ChatError } from "../errors.js";
import { log } from "../log.js";
import { groupName } from "../routing.js";
import { inTransaction } from "../store/database.js";
import {
  addSubscriptionId,
  IDS_PER_DESTINATION,
  listSubscriptionIds,
  removeSubscriptionId,
} from "../store/subscriptionIds.js";
import type { CommandDeps } from "./connection.js";

/**
 * The set of subscription ids in use on a destination. A subscriber first joins the group, then adds its id, so a
 * broadcast that starts afterwards reaches it.
 */

type Deps = Pick<CommandDeps, "broadcaster" | "database" | "now">;
type Asking = Pick<Deps, "broadcaster" | "database">;

/** Each may hold a connection of the database's pool while it asks. */
const CHECKS_AT_ONCE = 4;
/** More ids than this on a destination, and each new subscriber looks whether two of them are still in use. */
const FEW_IDS = 16;

/**
 * Makes sure that a destination can take this id, and on the way removes ids that were left behind; throws `TOO_MANY_SUBSCRIPTIONS`
 * where 256 others are in use. Comes before joining; many new ids at the same moment can pass the limit by their number.
 */
export async function requireFreeId(key: string, wire: string, deps: Deps): Promise<void> {
  const others = (await idsOf(key, deps)).filter((id) => id !== wire);
  if (others.length >= IDS_PER_DESTINATION) {
    await forgetUnused(key, others, deps);
    if ((await idsOf(key, deps)).filter((id) => id !== wire).length >= IDS_PER_DESTINATION)
      throw new ChatError(
        "TOO_MANY_SUBSCRIPTIONS",
        `This destination has ${IDS_PER_DESTINATION} different subscription ids in use; use the destination itself as the id.`,
      );
  } else if (others.length > FEW_IDS) {
    // Two neighbours, others at every time: whoever comes back after a lost `disconnected` clears away what it left.
    const first = Math.floor(deps.now() / 2) % (others.length - 1);
    await forgetUnused(key, others.slice(first, first + 2), deps);
  }
}

const idsOf = async (key: string, deps: Asking): Promise<readonly string[]> =>
  (await listSubscriptionIds(deps.database, [key])).get(key) ?? [];

/**
 * Removes those of the ids whose group nobody is in any more. Never throws: an id that stays though nobody uses it costs a
 * send to nobody, which must not fail what its user asked for.
 */
export async function forgetUnused(key: string, wires: readonly string[], deps: Asking): Promise<void> {
  for (let first = 0; first < wires.length; first += CHECKS_AT_ONCE)
    await Promise.all(
      wires.slice(first, first + CHECKS_AT_ONCE).map((wire) => forgetQuietly(key, wire, deps)),
    );
}

async function forgetQuietly(key: string, wire: string, deps: Asking): Promise<void> {
  try {
    await forgetIfUnused(key, wire, deps);
  } catch (error) {
    log.warn("a subscription id could not be removed", { key, error });
  }
}

/**
 * Removes an id unless its group has members. The second look comes while the removal is locked but not committed: a
 * subscriber that added the id before has joined before, and is seen; one that adds it after waits for the commit and
 * puts it back. Broadcasts see the id until the commit. So no subscriber is ever forgotten.
 */
async function forgetIfUnused(key: string, wire: string, { broadcaster, database }: Asking): Promise<void> {
  const group = groupName(key, wire);
  if (await broadcaster.groupExists(group)) return;
  await inTransaction(database, async (tx) => {
    await removeSubscriptionId(tx, key, wire);
    if (await broadcaster.groupExists(group)) await addSubscriptionId(tx, key, wire);
  });
}
