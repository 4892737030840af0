import { setTimeout as pause } from "node:timers/promises";
import type { NamedUser } from "../events/messages.js";
import { type RoomListChange, roomListChangedFrame } from "../frames/roomList.js";
import { atMostEvery, log } from "../platform/log.js";
import type { RoomDeps } from "../rooms/roomDeps.js";
import { prepareMessage } from "../stomp/serializer.js";
import { listSubscriptionIds } from "../store/subscriptionIds.js";
import { destinationKey, groupName, type SubscriberGroup, subscriberGroups } from "./groups.js";

/** Whoever changed the room waits for it, and not longer than this. */
const WAIT_MS = 2_000;
const SENDS_AT_ONCE = 16;
/** Who listens is asked for so many users at once: of ten thousand members that are told of a new name a query names no more. */
const USERS_AT_ONCE = 500;
/** After so many the service is taken to be away. */
const FAILURES = 3;

/** These users have become members of a room with this name; a one-to-one room has none. */
export function added(
  userIds: readonly number[],
  roomName: string | null,
  by: NamedUser,
): ReadonlyMap<number, RoomListChange> {
  const change = { type: "ROOM_ADDED", roomName, by } as const;
  return new Map(userIds.map((userId) => [userId, change]));
}

type Deps = Pick<RoomDeps, "database" | "broadcaster" | "now">;

/** While the service is away every change fails to be told. */
const limited = atMostEvery(1_000);
const couldNot = (roomId: number, error: unknown): void =>
  limited((left) => log.warn("users could not be told of a room in their lists", { roomId, error, left }));

/**
 * Tells users on `/user/queue/rooms` that this room has come to their lists, gone from them or changed there, all their sessions that listen there; after the
 * commit. It is a hint: never throws, waits two seconds at most, and what could not be told by then is not told.
 */
export async function tellRoomLists(
  roomId: number,
  changes: ReadonlyMap<number, RoomListChange>,
  deps: Deps,
): Promise<void> {
  if (changes.size === 0) return;
  const late = new AbortController();
  const done = new AbortController();
  const told = tellAll(roomId, changes, late.signal, deps).catch((error: unknown) => couldNot(roomId, error));
  const timer = pause(WAIT_MS, "late", { signal: done.signal }).catch(() => "in time");
  if ((await Promise.race([told, timer])) === "late") {
    late.abort();
    couldNot(roomId, new Error(`It was not done within ${WAIT_MS} ms.`));
  }
  done.abort();
}

/** Begins no send once `late` is over, or after a few failures. */
async function tellAll(
  roomId: number,
  changes: ReadonlyMap<number, RoomListChange>,
  late: AbortSignal,
  deps: Deps,
): Promise<void> {
  const users = [...changes];
  for (let first = 0; first < users.length; first += USERS_AT_ONCE) {
    if (late.aborted) return;
    const page = new Map(users.slice(first, first + USERS_AT_ONCE));
    if ((await sendTo(roomId, page, late, deps)) >= FAILURES) return;
  }
}

/** Returns how many sends have failed. */
async function sendTo(
  roomId: number,
  changes: ReadonlyMap<number, RoomListChange>,
  late: AbortSignal,
  deps: Deps,
): Promise<number> {
  const sends = await sendsOf(roomId, changes, deps);
  let next = 0;
  let failures = 0;
  const worker = async (): Promise<void> => {
    for (let send = sends[next++]; send; send = sends[next++]) {
      if (late.aborted || failures >= FAILURES) return;
      try {
        await deps.broadcaster.sendToGroup(groupName(send.lane, send.wire), send.frame(send.wire));
      } catch (error) {
        failures += 1;
        couldNot(roomId, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(SENDS_AT_ONCE, sends.length) }, worker));
  return failures;
}

interface Send extends SubscriberGroup {
  readonly frame: (wire: string) => string;
}

/** A send for each subscription id in use, by one query for all users; nothing for those who don't listen. */
async function sendsOf(
  roomId: number,
  changes: ReadonlyMap<number, RoomListChange>,
  { database, now }: Deps,
): Promise<readonly Send[]> {
  const timestamp = now();
  const frameOf = (change: RoomListChange) =>
    prepareMessage(...roomListChangedFrame(roomId, change, timestamp));
  // One for all who are told the same.
  const frames = new Map([...new Set(changes.values())].map((change) => [change, frameOf(change)]));
  const framesByKey = new Map(
    [...changes].map(([userId, change]) => [
      destinationKey({ kind: "userRooms" }, userId),
      frames.get(change)!,
    ]),
  );
  const ids = await listSubscriptionIds(database, [...framesByKey.keys()]);
  const sends = [...framesByKey].flatMap(([key, frame]) =>
    subscriberGroups(key, ids.get(key)).map((group, place) => ({ ...group, place, frame })),
  );
  // First one id of every user: somebody who listens by very many must not use up the time of the others.
  return sends.sort((a, b) => a.place - b.place);
}
