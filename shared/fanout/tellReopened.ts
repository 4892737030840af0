import { setTimeout as pause } from "node:timers/promises";
import { roomListChangedFrame } from "../frames/roomList.js";
import type { Reopened } from "../messages/store.js";
import { atMostEvery, log } from "../platform/log.js";
import { prepareMessage } from "../stomp/serializer.js";
import { destinationKey } from "./groups.js";
import { type BroadcastDeps, broadcastSeparately, type PreparedFrame } from "./send.js";

/** The next batch waits for it, and not longer than this. */
const WAIT_MS = 2_000;

const limited = atMostEvery(1_000);

/**
 * Tells users on `/user/queue/rooms` of the one-to-one rooms that have come back to their lists. A hint: never throws, and waits two seconds at
 * most; where showing the batch is interrupted before, they are not told.
 */
export async function tellReopened(
  reopened: readonly Reopened[],
  deps: BroadcastDeps & { readonly now: () => number },
): Promise<void> {
  if (reopened.length === 0) return;
  const frames = new Map<string, PreparedFrame[]>();
  for (const { roomId, userId, by } of reopened) {
    const key = destinationKey({ kind: "userRooms" }, userId);
    const frame = roomListChangedFrame(roomId, { type: "ROOM_ADDED", roomName: null, by }, deps.now());
    frames.set(key, [...(frames.get(key) ?? []), prepareMessage(...frame)]);
  }
  const late = pause(WAIT_MS, undefined, { ref: false });
  await Promise.race([tell(frames, deps), late]);
}

async function tell(
  frames: ReadonlyMap<string, readonly PreparedFrame[]>,
  deps: BroadcastDeps,
): Promise<void> {
  try {
    const failed = await broadcastSeparately(frames, Date.now() + WAIT_MS, deps);
    for (const error of failed.values()) couldNot(error);
  } catch (error) {
    couldNot(error);
  }
}

const couldNot = (error: unknown): void =>
  limited((left) => log.warn("a user could not be told of a room in their list", { error, left }));
