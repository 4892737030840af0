import { MESSAGES_HUB } from "../events/messages.js";
import { log } from "../log.js";
import { type Destination, destinationKey, groupName } from "../routing.js";
import { inTransaction, type Queryable } from "../store/database.js";
import { findMembersAmong } from "../store/members.js";
import { deleteChanges, listChanges, listRoomsWithChanges } from "../store/membershipOutbox.js";
import { holdRoom } from "../store/rooms.js";
import { listSubscriptionIds } from "../store/subscriptionIds.js";
import type { RoomDeps } from "./roomDeps.js";

/** What is published together must stay below the bus's 1 MB. */
const CHANGES_AT_ONCE = 200;
const REMOVALS_AT_ONCE = 16;
/** Whoever made a change that is this old has not finished announcing it. */
const STALE_SECONDS = 5;
const ROOMS_PER_SWEEP = 200;

/**
 * Does what a room's committed changes of members have still to do, in their order: forgets the cached members, takes removed
 * users out of the room's groups, publishes the announcements. Two that do it at once publish some of them twice, which storing
 * drops by their event ids. Throws `UNAVAILABLE` when the bus or the socket service is away: then the sweep does the rest.
 */
export async function announceChanges(roomId: number, deps: RoomDeps): Promise<void> {
  for (let more = true; more; ) {
    const changes = await listChanges(deps.database, roomId, CHANGES_AT_ONCE);
    await deps.sessions.dropMembers(roomId);
    const removed = changes.flatMap(({ removedUserId }) => removedUserId ?? []);
    if (removed.length > 0) await takeOut(roomId, [...new Set(removed)], deps);
    const events = changes.flatMap(({ event }) => event ?? []);
    await deps.bus.publishAll(MESSAGES_HUB, String(roomId), events);
    await deleteChanges(
      deps.database,
      changes.map(({ id }) => id),
    );
    more = changes.length === CHANGES_AT_ONCE;
  }
}

/** The same after a commit: what can't be done now is no failure of the call, because the sweep will do it. */
export async function announceOrLeave(roomId: number, deps: RoomDeps): Promise<void> {
  try {
    await announceChanges(roomId, deps);
  } catch (error) {
    log.warn("a change of members waits for the sweep", { roomId, error });
  }
}

/** Announces what was committed a while ago by someone who did not finish. Never throws. */
export async function sweepChanges(deps: RoomDeps): Promise<void> {
  for (const roomId of await listRoomsWithChanges(deps.database, STALE_SECONDS, ROOMS_PER_SWEEP))
    await announceOrLeave(roomId, deps);
}

/**
 * Takes all sessions of users out of the groups of a room's destinations. The room is held meanwhile, so that nobody is
 * invited, and subscribes, just before: who is a member again stays. Subscribers that come at the same time see the removal
 * after they have joined (see `subscribe`).
 */
async function takeOut(roomId: number, userIds: readonly number[], deps: RoomDeps): Promise<void> {
  await inTransaction(deps.database, async (tx) => {
    await holdRoom(tx, roomId);
    const members = await findMembersAmong(tx, roomId, userIds);
    const gone = userIds.filter((userId) => !members.has(userId));
    const groups = gone.length === 0 ? [] : await groupsOf(tx, roomId);
    const removals = gone.flatMap((userId) => groups.map((group) => ({ userId, group })));
    for (let first = 0; first < removals.length; first += REMOVALS_AT_ONCE)
      await Promise.all(
        removals
          .slice(first, first + REMOVALS_AT_ONCE)
          .map(({ userId, group }) => deps.broadcaster.removeUserFromGroup(userId, group)),
      );
  });
}

/** READ COMMITTED: ids that were added until now are among them. */
async function groupsOf(tx: Queryable, roomId: number): Promise<readonly string[]> {
  const destinations: Destination[] = [
    { kind: "room", roomId },
    { kind: "roomRead", roomId },
  ];
  const ids = await listSubscriptionIds(
    tx,
    destinations.map((destination) => destinationKey(destination, 0)),
  );
  return [...ids].flatMap(([key, wires]) => wires.map((wire) => groupName(key, wire)));
}
