import { setTimeout as pause } from "node:timers/promises";
import { membershipLock } from "../chat/access.js";
import { MESSAGES_HUB, type MessageSent } from "../events/messages.js";
import { groupName, groupsOf } from "../fanout/groups.js";
import { giveHints, type Hint } from "../fanout/hints.js";
import { type Destination, destinationKey } from "../frames/destinations.js";
import type { RoomListChange } from "../frames/roomList.js";
import { groupBy } from "../platform/async.js";
import { log } from "../platform/log.js";
import type { Queryable } from "../store/database.js";
import { findMember, listMemberIds } from "../store/members.js";
import {
  deleteChanges,
  listChanges,
  listRoomsWithChanges,
  type PendingChange,
} from "../store/membershipOutbox.js";
import { holdingNamedLock, withNamedLock } from "../store/namedLock.js";
import { findRoom } from "../store/rooms.js";
import type { RoomDeps } from "./roomDeps.js";

const CHANGES_AT_ONCE = 200;
/** What is published together must stay below the bus's 1 MB; an invitation of 500 with long nicknames alone takes a quarter of that. */
const PUBLISHED_BYTES = 512 * 1024;
const TRY_PAUSES_MS = [50, 250, 1_000];
/** Whoever made a change that is this old has not finished announcing it. */
const STALE_SECONDS = 5;
const ROOMS_PER_SWEEP = 200;
/** A sweep ends before the next but few are due, and long before its function's time-out. */
const SWEEP_MS = 20_000;

/**
 * Does what a room's committed changes of members have still to do, in their order: forgets the cached members, takes removed
 * users out of the room's groups, publishes the announcements. One process at a time does it for a room, with all that is pending; when this
 * returns, what was committed before it was called is done. Whose list of rooms has changed by it is told that, which is lost where this process
 * dies first. Throws `UNAVAILABLE` when the bus or the socket service is away.
 */
export async function announceChanges(roomId: number, deps: RoomDeps): Promise<void> {
  const lists = new Map<number, RoomListChange>();
  await deps.members.dropMembers(roomId);
  try {
    await withNamedLock(deps.database, `announce ${roomId}`, (db) => announceAll(db, roomId, lists, deps));
  } finally {
    // Without the lock, for which others may wait; also of a part that was done before the rest failed.
    await giveHints(hintsOf(roomId, lists), deps);
  }
}

/** All that is pending in a room; puts into `lists` whose list of rooms has changed by what is done with. */
async function announceAll(
  db: Queryable,
  roomId: number,
  lists: Map<number, RoomListChange>,
  deps: RoomDeps,
): Promise<void> {
  for (let more = true; more; ) {
    const changes = await listChanges(db, roomId, CHANGES_AT_ONCE);
    const removed = new Set(changes.flatMap(({ removedUserId }) => removedUserId ?? []));
    const takenOut = new Set<number>();
    for (const userId of removed) if (await takeOut(db, roomId, userId, deps)) takenOut.add(userId);
    const events = changes.flatMap(({ event }) => event ?? []);
    for (const part of partsOf(events)) await deps.bus.publishAll(MESSAGES_HUB, String(roomId), part);
    await deleteChanges(
      db,
      changes.map(({ id }) => id),
    );
    for (const change of changes)
      for (const [userId, told] of await listChangesOf(db, change, takenOut)) note(lists, userId, told);
    more = changes.length === CHANGES_AT_ONCE;
  }
}

/** Events in their order, in parts that can each be published together. */
function partsOf(events: readonly MessageSent[]): readonly (readonly MessageSent[])[] {
  const parts: MessageSent[][] = [];
  let left = 0;
  for (const event of events) {
    const bytes = Buffer.byteLength(JSON.stringify(event));
    if (bytes > left || parts.length === 0) {
      parts.push([]);
      left = PUBLISHED_BYTES;
    }
    parts.at(-1)!.push(event);
    left -= bytes;
  }
  return parts;
}

/** Whose list of rooms a change concerns, and what they are told; not a removed user who is a member again. */
async function listChangesOf(
  db: Queryable,
  { removedUserId, event }: PendingChange,
  takenOut: ReadonlySet<number>,
): Promise<ReadonlyMap<number, RoomListChange>> {
  if (removedUserId !== undefined && takenOut.has(removedUserId))
    return new Map([[removedUserId, { type: "ROOM_REMOVED" }]]);
  if (event?.type !== "SYSTEM_INVITE" && event?.type !== "SYSTEM_RENAME") return new Map();
  const by = { userId: event.senderId, nickname: event.senderNickname };
  if (event.type === "SYSTEM_INVITE") {
    const invited = event.targets ?? (event.target ? [event.target] : []);
    const userIds = invited.map(({ userId }) => userId);
    const roomName = (await findRoom(db, event.roomId))?.name ?? null;
    return sameFor(userIds, { type: "ROOM_ADDED", roomName, by });
  }
  return sameFor(await listMemberIds(db, event.roomId), {
    type: "ROOM_RENAMED",
    roomName: event.roomName!,
    by,
  });
}

const sameFor = (userIds: readonly number[], change: RoomListChange): ReadonlyMap<number, RoomListChange> =>
  new Map(userIds.map((userId) => [userId, change]));

/** One hint for all users who are told the same. */
const hintsOf = (roomId: number, lists: ReadonlyMap<number, RoomListChange>): readonly Hint[] =>
  [
    ...groupBy(
      lists,
      ([, change]) => change,
      ([userId]) => userId,
    ),
  ].map(([change, userIds]) => ({ userIds, roomId, change }));

/** A later change counts, but whoever has just been added needs not hear of another name, only have it. */
function note(lists: Map<number, RoomListChange>, userId: number, change: RoomListChange): void {
  const before = lists.get(userId);
  const isRename = change.type === "ROOM_RENAMED" && before?.type === "ROOM_ADDED";
  lists.set(userId, isRename ? { ...before, roomName: change.roomName } : change);
}

/** The same after a commit, a few times: what can't be done even then is no failure of the call, because the sweep will do it. */
export async function announceOrLeave(roomId: number, deps: RoomDeps): Promise<void> {
  for (const wait of [...TRY_PAUSES_MS, undefined]) {
    try {
      return await announceChanges(roomId, deps);
    } catch (error) {
      log.warn("a change of members could not be announced yet", { roomId, error });
      if (wait !== undefined) await pause(wait);
    }
  }
}

/** Announces what was committed a while ago by someone who did not finish, the oldest first, for at most 20 s. */
export async function sweepChanges(deps: RoomDeps): Promise<void> {
  const end = deps.now() + SWEEP_MS;
  for (const roomId of await listRoomsWithChanges(deps.database, STALE_SECONDS, ROOMS_PER_SWEEP)) {
    if (deps.now() > end) return;
    await announceChanges(roomId, deps).catch((error: unknown) =>
      log.warn("a change of members waits for the next sweep", { roomId, error }),
    );
  }
}

/**
 * Takes all sessions of a user out of the groups of a room's destinations, unless the user is a member again. Meanwhile none of them can
 * subscribe there (`subscribe` takes the same lock): one that did before is found, one that comes later is refused, or was invited again and stays. Returns
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
