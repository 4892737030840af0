import { setTimeout as pause } from "node:timers/promises";
import type { Broadcaster } from "../broadcast/broadcaster.js";
import { ChatError, isToBeMended } from "../platform/errors.js";
import { textsOf } from "../stomp/packing.js";
import type { Database } from "../store/database.js";
import { listSubscriptionIds } from "../store/subscriptionIds.js";
import { groupName, isPacked, subscriberGroups } from "./groups.js";

export interface BroadcastDeps {
  readonly database: Database;
  readonly broadcaster: Broadcaster;
}

/** A MESSAGE frame with its subscription id still to come. */
export type PreparedFrame = (subscriptionWire: string) => string;

const SENDS_AT_ONCE = 16;
/** Fewer where nobody waits, so that messages don't stand behind them. */
const SENDS_ON_THE_SIDE = 2;
const FAILURES_IN_A_BROADCAST = 3;
const SEND_PAUSES_MS = [50, 200, 1_000];

/**
 * Sends each destination's frames to the group of every subscription id in use there: in order within a group, at most 16 groups at once. Throws
 * the first failure, after all that was being sent has ended: nothing is still on its way when the batch is tried again.
 */
export async function broadcastFrames(
  framesByKey: ReadonlyMap<string, readonly PreparedFrame[]>,
  deps: BroadcastDeps,
): Promise<void> {
  const failed = await sendAll(framesByKey, SENDS_AT_ONCE, deps, (failures) => failures === 0);
  for (const error of failed.values()) throw error;
}

/**
 * The same for destinations that have nothing to do with each other: one that fails does not keep the others from being served; two groups at once. Returns the keys
 * of those that were not, or not in whole; after three failures, or `deadline` (milliseconds since 1970), no more is begun.
 */
export async function broadcastSeparately(
  framesByKey: ReadonlyMap<string, readonly PreparedFrame[]>,
  deadline: number,
  deps: BroadcastDeps,
): Promise<ReadonlyMap<string, unknown>> {
  return sendAll(
    framesByKey,
    SENDS_ON_THE_SIDE,
    deps,
    (failures) => failures < FAILURES_IN_A_BROADCAST && Date.now() < deadline,
  );
}

/** Sends while `goOn` says so of the failures until then; returns the keys that were not served, each with the reason. Throws when the ids can't be read. */
async function sendAll(
  framesByKey: ReadonlyMap<string, readonly PreparedFrame[]>,
  atOnce: number,
  { database, broadcaster }: BroadcastDeps,
  goOn: (failures: number) => boolean,
): Promise<ReadonlyMap<string, unknown>> {
  const ids = await listSubscriptionIds(database, [...framesByKey.keys()]);
  const sends = [...framesByKey].flatMap(([key, frames]) =>
    subscriberGroups(key, ids.get(key)).map((group) => ({ ...group, key, frames })),
  );
  const failed = new Map<string, unknown>();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let send = sends[next++]; send; send = sends[next++]) {
      const { key, lane, wire, frames } = send;
      const texts = frames.map((frame) => frame(wire));
      try {
        if (!goOn(failed.size)) throw new ChatError("UNAVAILABLE", "It was not tried after other failures.");
        for (const text of textsOf(texts, isPacked(lane)))
          await sendPatiently(groupName(lane, wire), text, broadcaster);
      } catch (error) {
        if (!failed.has(key)) failed.set(key, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, sends.length) }, worker));
  return failed;
}

/**
 * Repeats one send that met a passing failure, a full quota say, a few times before the whole batch is begun again, which would spend
 * the quota on those already served. Its group waits meanwhile, so the order stays.
 */
async function sendPatiently(group: string, text: string, broadcaster: Broadcaster): Promise<void> {
  for (const wait of SEND_PAUSES_MS) {
    try {
      return await broadcaster.sendToGroup(group, text);
    } catch (error) {
      if (!(error instanceof ChatError) || !error.retryable || isToBeMended(error)) throw error;
      await pause(wait);
    }
  }
  await broadcaster.sendToGroup(group, text);
}
