import type { NamedUser } from "../events/messages.js";
import { destinationKey } from "../frames/destinations.js";
import { type PreparedFrame, prepared } from "../frames/frame.js";
import { type RoomListChange, roomListFrame } from "../frames/roomList.js";
import { groupBy, LATE, within } from "../platform/async.js";
import { atMostEvery, log } from "../platform/log.js";
import { type SendDeps, sendTo } from "./send.js";

/** The caller waits for this long at most: a change of a room, or the next batch of messages. */
const WAIT_MS = 2_000;
/**
 * Who listens is asked for this many users at once: ten thousand members are told of a new name, and a query
 * names no more.
 */
const USERS_AT_ONCE = 500;
const SENDS_AT_ONCE = 16;
/** After this many failures the service is taken to be away. */
const FAILURES_AT_MOST = 3;

/** A change of a room in these users' lists. */
export interface Hint {
  readonly userIds: readonly number[];
  readonly roomId: number;
  readonly change: RoomListChange;
}

/** These users have become members of a room with this name. A one-to-one room has none. */
export const added = (
  userIds: readonly number[],
  roomId: number,
  roomName: string | null,
  by: NamedUser,
): Hint => ({ userIds, roomId, change: { type: "ROOM_ADDED", roomName, by } });

/** While the service is away every hint fails. */
const limited = atMostEvery(1_000);
const warn = (error: unknown): void =>
  limited((suppressed) => log.warn("users could not be told of rooms in their lists", { error, suppressed }));

/**
 * Tells users on `/user/queue/rooms` that rooms have come to their lists, gone from them or changed there:
 * all of their sessions that listen there. It is a hint, for after the commit: never throws, waits for two
 * seconds at most, and what is not told by then is not told.
 */
export async function giveHints(hints: readonly Hint[], deps: SendDeps): Promise<void> {
  if (hints.length === 0) return;
  let isOver = false;
  const told = await within(
    WAIT_MS,
    tellAll(hints, () => isOver, deps).catch((error: unknown) => warn(error)),
  );
  if (told !== LATE) return;
  isOver = true;
  warn(new Error(`It was not done within ${WAIT_MS} ms.`));
}

async function tellAll(hints: readonly Hint[], isOver: () => boolean, deps: SendDeps): Promise<void> {
  const framesByKey = [...framesOf(hints, deps.now())];
  const policy = {
    atOnce: SENDS_AT_ONCE,
    failuresAtMost: FAILURES_AT_MOST,
    pauses: [],
    fair: true,
    isOver,
  } as const;
  for (let first = 0; first < framesByKey.length && !isOver(); first += USERS_AT_ONCE) {
    const failed = await sendTo(new Map(framesByKey.slice(first, first + USERS_AT_ONCE)), policy, deps);
    for (const error of failed.values()) warn(error);
    if (failed.size >= FAILURES_AT_MOST) return;
  }
}

/** Each user's frames by the key of their queue. What many are told is one frame. */
function framesOf(hints: readonly Hint[], timestamp: number): ReadonlyMap<string, readonly PreparedFrame[]> {
  const frames = hints.flatMap(({ userIds, roomId, change }) => {
    const frame = prepared(roomListFrame(roomId, change, timestamp));
    return userIds.map((userId) => ({ key: destinationKey({ kind: "userRooms" }, userId), frame }));
  });
  return groupBy(
    frames,
    ({ key }) => key,
    ({ frame }) => frame,
  );
}
