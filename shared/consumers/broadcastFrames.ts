import { setTimeout as pause } from "node:timers/promises";
import type { Broadcaster } from "../broadcast/broadcaster.js";
import { ChatError } from "../errors.js";
import { groupName } from "../routing.js";
import { packFrames } from "../stomp/packing.js";
import type { Database } from "../store/database.js";
import { listSubscriptionIds } from "../store/subscriptionIds.js";

export interface BroadcastDeps {
  readonly database: Database;
  readonly broadcaster: Broadcaster;
}

/** A MESSAGE frame with its subscription id still to come. */
export type PreparedFrame = (subscriptionWire: string) => string;

const SENDS_AT_ONCE = 16;
const SEND_PAUSES_MS = [50, 200, 1_000];

/** Sends each destination's frames to the group of every subscription id in use there: in order within a group, at most 16 groups at once. */
export async function broadcastFrames(
  framesByKey: ReadonlyMap<string, readonly PreparedFrame[]>,
  { database, broadcaster }: BroadcastDeps,
): Promise<void> {
  const ids = await listSubscriptionIds(database, [...framesByKey.keys()]);
  const sends = [...framesByKey].flatMap(([key, frames]) =>
    (ids.get(key) ?? []).map((wire) => async () => {
      for (const text of packFrames(frames.map((frame) => frame(wire))))
        await sendPatiently(groupName(key, wire), text, broadcaster);
    }),
  );
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let send = sends[next++]; send; send = sends[next++]) await send();
  };
  const workers = Array.from({ length: Math.min(SENDS_AT_ONCE, sends.length) }, () =>
    worker().catch((error: unknown) => {
      next = sends.length;
      throw error;
    }),
  );
  // All have ended before a failure is passed on: nothing is still being sent when the batch is tried again.
  const failed = (await Promise.allSettled(workers)).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
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
      if (!(error instanceof ChatError) || !error.retryable) throw error;
      await pause(wait);
    }
  }
  await broadcaster.sendToGroup(group, text);
}
