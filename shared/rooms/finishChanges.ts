import { membershipLock } from "../chat/access.js";
import { MESSAGES_HUB, type MessageSent } from "../events/messages.js";
import { groupName, groupsOf } from "../fanout/groups.js";
import { giveHints } from "../fanout/hints.js";
import { type Destination, destinationKey } from "../frames/destinations.js";
import { retrying } from "../platform/async.js";
import { log } from "../platform/log.js";
import type { Queryable } from "../store/database.js";
import { findMember } from "../store/members.js";
import {
  deleteChanges,
  listChanges,
  listRoomsWithChanges,
  type PendingChange,
} from "../store/membershipOutbox.js";
import { holdingNamedLock, withNamedLock } from "../store/namedLock.js";
import { hintsOf, type ListChanges, noteListChanges } from "./hints.js";
import type { RoomDeps } from "./roomDeps.js";

const CHANGES_AT_ONCE = 200;
/**
 * What is published together must stay below the bus's 1 MB. An invitation of 500 users with long nicknames
 * takes a quarter of that.
 */
const PUBLISHED_BYTES = 512 * 1024;
const TRY_PAUSES_MS = [50, 250, 1_000];
/** The process that made a change of this age has not finished it, and the sweep does. */
const STALE_SECONDS = 5;
const ROOMS_PER_SWEEP = 200;
/** A sweep ends when few further ones have become due, and long before its function's time-out. */
const SWEEP_MS = 20_000;

/**
 * Does what a room's committed changes of members still have to do outside the database, in their order:
 * forgets the cached members, takes removed users out of the room's groups, publishes the announcements. Then
 * it tells the users whose lists of rooms have changed, which nobody makes up for where this process dies
 * first. One process at a time works for a room, and does all that is pending. When this returns, all is done
 * that was committed before the call. Throws `UNAVAILABLE` when the bus or the socket service is away.
 */
export async function finishChanges(roomId: number, deps: RoomDeps): Promise<void> {
  const lists: ListChanges = new Map();
  await deps.members.dropMembers(roomId);
  try {
    await withNamedLock(deps.database, `announce ${roomId}`, (db) => finishAll(db, roomId, lists, deps));
  } finally {
    // Outside the lock, for which others may wait. Also for the part that was done before the rest failed.
    await giveHints(hintsOf(roomId, lists), deps);
  }
}

/**
 * The same after a commit, tried a few times. Never throws: the call is done once it is committed, and what
 * could not be finished is left to the sweep.
 */
export async function finishOrLeave(roomId: number, deps: RoomDeps): Promise<void> {
  await retrying(TRY_PAUSES_MS, () => finishChanges(roomId, deps)).catch((error: unknown) =>
    log.warn("a change of members is left to the sweep", { roomId, error }),
  );
}

/** Finishes changes that another process has left, the oldest first, for at most 20 s. */
export async function sweepChanges(deps: RoomDeps): Promise<void> {
  const end = deps.now() + SWEEP_MS;
  for (const roomId of await listRoomsWithChanges(deps.database, STALE_SECONDS, ROOMS_PER_SWEEP)) {
    if (deps.now() > end) return;
    await finishChanges(roomId, deps).catch((error: unknown) =>
      log.warn("a change of members waits for the next sweep", { roomId, error }),
    );
  }
}

/** Does all that is pending in a room. Adds to `lists` what users are to be told of their lists of rooms. */
async function finishAll(db: Queryable, roomId: number, lists: ListChanges, deps: RoomDeps): Promise<void> {
  let changes = await listChanges(db, roomId, CHANGES_AT_ONCE);
  while (changes.length > 0) {
    const takenOut = await takeOutRemoved(db, roomId, changes, deps);
    const events = changes.flatMap(({ event }) => event ?? []);
    for (const part of partsOf(events)) await deps.bus.publishAll(MESSAGES_HUB, String(roomId), part);
    await deleteChanges(
      db,
      changes.map(({ id }) => id),
    );
    for (const change of changes) await noteListChanges(db, change, takenOut, lists);
    if (changes.length < CHANGES_AT_ONCE) return;
    changes = await listChanges(db, roomId, CHANGES_AT_ONCE);
  }
}

/** Events in their order, in parts that can each be published together. */
function partsOf(events: readonly MessageSent[]): readonly (readonly MessageSent[])[] {
  const parts: MessageSent[][] = [];
  let free = 0;
  for (const event of events) {
    const bytes = Buffer.byteLength(JSON.stringify(event));
    if (bytes > free || parts.length === 0) {
      parts.push([]);
      free = PUBLISHED_BYTES;
    }
    parts.at(-1)!.push(event);
    free -= bytes;
  }
  return parts;
}

/** Takes the users who were removed out of the room's groups. Returns those who are out. */
async function takeOutRemoved(
  db: Queryable,
  roomId: number,
  changes: readonly PendingChange[],
  deps: RoomDeps,
): Promise<ReadonlySet<number>> {
  const removed = new Set(changes.flatMap(({ removedUserId }) => removedUserId ?? []));
  const out = new Set<number>();
  for (const userId of removed) if (await takeOut(db, roomId, userId, deps)) out.add(userId);
  return out;
}

/**
 * Takes all sessions of a user out of the groups of a room's destinations, unless the user is a member again.
 * `subscribe` takes the same lock, so no session of the user can subscribe meanwhile. One that subscribed
 * before is found. One that comes later is refused, or its user was invited again and it stays. Returns
 * whether the user is out.
 */
async function takeOut(
  db: Queryable,
  roomId: number,
  userId: number,
  { broadcaster }: RoomDeps,
): Promise<boolean> {
  return holdingNamedLock(db, membershipLock(roomId, userId), async () => {
    if (await findMember(db, roomId, userId)) return false;
    const destinations: Destination[] = [
      { kind: "room", roomId },
      { kind: "roomRead", roomId },
    ];
    const keys = destinations.map((destination) => destinationKey(destination, 0));
    const groups = [...(await groupsOf(db, keys)).values()].flat();
    await broadcaster.removeUserFromGroups(
      userId,
      groups.map(({ lane, wire }) => groupName(lane, wire)),
    );
    return true;
  });
}
