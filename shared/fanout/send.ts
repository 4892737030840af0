import { type Broadcaster, LONGEST_CALL_MS } from "../broadcast/broadcaster.js";
import type { PreparedFrame } from "../frames/frame.js";
import { inParallel, retrying } from "../platform/async.js";
import { ChatError, isToBeMended } from "../platform/errors.js";
import { textsOf } from "../stomp/packing.js";
import type { Database } from "../store/database.js";
import { type Groups, groupName, groupsOf, isPacked, type SubscriberGroup } from "./groups.js";

/** What sending to the subscribers of destinations needs. */
export interface SendDeps {
  readonly database: Database;
  readonly broadcaster: Broadcaster;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** How the sends of one broadcast go, and when it gives up. */
export interface SendPolicy {
  /** Groups that are sent to at a time. */
  readonly atOnce: number;
  /** After this many destinations have failed nothing more is begun. */
  readonly failuresAtMost: number;
  /** Whether the time is over: then nothing more is begun. */
  readonly isOver: () => boolean;
  /**
   * The pauses, in milliseconds, after which a send that met a passing failure is repeated. Its group waits
   * meanwhile, so the order stays.
   */
  readonly pauses: readonly number[];
  /**
   * One group of every destination comes before the second of any: a destination with very many ids must not
   * use up the others' time.
   */
  readonly fair?: true;
}

const SEND_PAUSES_MS = [50, 200, 1_000];

/** The longest that one send of a patient broadcast can take, all its repeats included. */
export const LONGEST_SEND_MS =
  SEND_PAUSES_MS.reduce((sum, wait) => sum + wait, 0) + (SEND_PAUSES_MS.length + 1) * LONGEST_CALL_MS;

/**
 * A batch that can't be shown is tried again as a whole, so the first failure ends it. A full quota is waited
 * for here: beginning again would spend it on those who have been served.
 */
const SHOWING: SendPolicy = {
  atOnce: 16,
  failuresAtMost: 1,
  isOver: () => false,
  pauses: SEND_PAUSES_MS,
};

/** Reads wait for nobody, so they go two at a time: messages must not stand behind them. */
export const ON_THE_SIDE: Omit<SendPolicy, "isOver"> = {
  atOnce: 2,
  failuresAtMost: 3,
  pauses: SEND_PAUSES_MS,
};

/**
 * Sends each destination's frames, named by its key, to the group of every subscription id in use there: in
 * order within a group, at most 16 groups at once. Throws the first failure once all that was begun has
 * ended, so nothing is on its way when the batch is tried again. `groups` says who they are, where that is known.
 */
export async function sendToAll(
  framesByKey: ReadonlyMap<string, readonly PreparedFrame[]>,
  deps: SendDeps,
  groups?: Groups,
): Promise<void> {
  const failed = await sendTo(framesByKey, SHOWING, deps, groups);
  for (const error of failed.values()) throw error;
}

/** Frames on their way to one group. */
interface Send extends SubscriberGroup {
  readonly key: string;
  readonly frames: readonly PreparedFrame[];
}

/**
 * Sends each destination's frames, named by its key, to the group of every subscription id in use there, in
 * order within a group. A destination that fails keeps no other from being served, as far as the policy goes.
 * Returns the keys that were not served, or not in whole, each with the first reason. Throws when the ids in
 * use can't be read.
 */
export async function sendTo(
  framesByKey: ReadonlyMap<string, readonly PreparedFrame[]>,
  policy: SendPolicy,
  deps: SendDeps,
  known?: Groups,
): Promise<ReadonlyMap<string, unknown>> {
  const failed = new Map<string, unknown>();
  const groups = known ?? (await groupsOf(deps.database, [...framesByKey.keys()]));
  await inParallel(policy.atOnce, sendsOf(framesByKey, groups, policy), async (send) => {
    try {
      await sendInOrder(send, failed.size, policy, deps);
    } catch (error) {
      if (!failed.has(send.key)) failed.set(send.key, error);
    }
  });
  return failed;
}

function sendsOf(
  framesByKey: ReadonlyMap<string, readonly PreparedFrame[]>,
  groups: Groups,
  { fair }: SendPolicy,
): readonly Send[] {
  const sends = [...framesByKey].flatMap(([key, frames]) =>
    (groups.get(key) ?? []).map((group, index) => ({ index, key, frames, ...group })),
  );
  return fair ? sends.sort((a, b) => a.index - b.index) : sends;
}

async function sendInOrder(
  { lane, wire, frames }: Send,
  failures: number,
  { failuresAtMost, isOver, pauses }: SendPolicy,
  { broadcaster }: SendDeps,
): Promise<void> {
  if (failures >= failuresAtMost)
    throw new ChatError("UNAVAILABLE", "It was not tried after other failures.");
  const group = groupName(lane, wire);
  const texts = frames.map((frame) => frame(wire));
  for (const text of textsOf(texts, isPacked(lane))) {
    if (isOver()) throw new ChatError("UNAVAILABLE", "It was not tried: its time was over.");
    await retrying(pauses, () => broadcaster.sendToGroup(group, text), isTransientFailure);
  }
}

/** Whether the same send may succeed after a pause. */
const isTransientFailure = (error: unknown): boolean =>
  error instanceof ChatError && error.retryable && !isToBeMended(error);
