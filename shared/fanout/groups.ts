import type { Queryable } from "../store/database.js";
import { listSubscriptionIds, type SubscriptionId } from "../store/subscriptionIds.js";

/**
 * The socket service's groups. A group send carries the same bytes to all its connections, while a MESSAGE
 * must carry each receiver's own subscription id, and many clients read only the first frame of a WebSocket
 * message. So a group is a destination, a subscription id, and whether its members take several frames a
 * message. The first and the last of these together are a lane.
 */

/**
 * The lane of a destination's subscribers, by the destination's key: `r1`, or `r1p` for those who asked for
 * several frames a message.
 */
export const laneOf = (key: string, packed: boolean): string => (packed ? `${key}p` : key);

export const isPacked = (lane: string): boolean => lane.endsWith("p");

/** The key of a lane's destination. */
export const keyOfLane = (lane: string): string => (isPacked(lane) ? lane.slice(0, -1) : lane);

/** Subscribers who are served by one send: a lane, and their subscription id as it stands on the wire. */
export interface SubscriberGroup {
  readonly lane: string;
  readonly wire: string;
}

/** By the keys of their destinations. */
export type Groups = ReadonlyMap<string, readonly SubscriberGroup[]>;

/**
 * The groups in which each of these destinations, named by their keys, has subscribers. A destination without
 * any is left out. One query.
 */
export async function groupsOf(db: Queryable, keys: readonly string[]): Promise<Groups> {
  const ids = await listSubscriptionIds(db, keys);
  return new Map([...ids].map(([key, used]) => [key, used.map((one) => groupOf(key, one))]));
}

const groupOf = (key: string, { wire, packed }: SubscriptionId): SubscriberGroup => ({
  lane: laneOf(key, packed),
  wire,
});

/** The group of the connections that want the server's heart-beats. */
export const HEART_BEATS = "heart-beats";

/**
 * The group for a lane and a subscription id as it stands on the wire. An id of plain characters stands
 * as it is; any other is base64url behind a `~`, which no plain id contains, so no two ids share a group.
 */
export function groupName(lane: string, subscriptionWire: string): string {
  if (/^[\w.-]+$/.test(subscriptionWire)) return `${lane}:${subscriptionWire}`;
  return `${lane}:~${Buffer.from(subscriptionWire).toString("base64url")}`;
}
