/**
 * Destinations as clients write them, the short keys under which stores know them, and the service's groups.
 * A group send carries the same bytes to all its connections, while a MESSAGE must carry each receiver's own subscription id, and many clients read
 * only the first frame of a WebSocket message. So a group is a destination, a subscription id, and whether its members take several frames a
 * message; the first and the last of these together are a lane.
 */

export type Destination =
  | { readonly kind: "room"; readonly roomId: number }
  | { readonly kind: "roomRead"; readonly roomId: number }
  | { readonly kind: "userErrors" }
  | { readonly kind: "userSession" }
  | { readonly kind: "userRooms" };

const ROOM = /^\/sub\/chat\/room\/([1-9]\d{0,15})(\/read)?$/;

/** Where a client may SEND to. */
export const SEND_MESSAGE = "/pub/chat/message";
export const SEND_READ = "/pub/chat/read";
export const SEND_TOKEN = "/pub/session/token";

/** The destination of a SUBSCRIBE, or nothing if there is none of that name. */
export function parseDestination(text: string): Destination | undefined {
  if (text === "/user/queue/errors") return { kind: "userErrors" };
  if (text === "/user/queue/session") return { kind: "userSession" };
  if (text === "/user/queue/rooms") return { kind: "userRooms" };
  const [, digits, read] = ROOM.exec(text) ?? [];
  const roomId = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(roomId)) return undefined;
  return read ? { kind: "roomRead", roomId } : { kind: "room", roomId };
}

/** The destination as it stands in frames. */
export function destinationText(destination: Destination): string {
  switch (destination.kind) {
    case "room":
      return `/sub/chat/room/${destination.roomId}`;
    case "roomRead":
      return `/sub/chat/room/${destination.roomId}/read`;
    case "userErrors":
      return "/user/queue/errors";
    case "userSession":
      return "/user/queue/session";
    case "userRooms":
      return "/user/queue/rooms";
  }
}

/** The destination's short key: `r1`, `rr1` for rooms, `e7`, `s7`, `q7` for the queues of user 7. */
export function destinationKey(destination: Destination, userId: number): string {
  switch (destination.kind) {
    case "room":
      return `r${destination.roomId}`;
    case "roomRead":
      return `rr${destination.roomId}`;
    case "userErrors":
      return `e${userId}`;
    case "userSession":
      return `s${userId}`;
    case "userRooms":
      return `q${userId}`;
  }
}

/** The lane of a destination's subscribers, by the destination's key: `r1`, or `r1p` for those who asked for several frames a message. */
export const laneOf = (key: string, packed: boolean): string => (packed ? `${key}p` : key);

export const isPacked = (lane: string): boolean => lane.endsWith("p");

/** The key of a lane's destination. */
export const keyOfLane = (lane: string): string => (isPacked(lane) ? lane.slice(0, -1) : lane);

/** Subscribers who are served by one send: a lane, and their subscription id as it stands on the wire. */
export interface SubscriberGroup {
  readonly lane: string;
  readonly wire: string;
}

/** The groups of a destination's subscribers, from the ids in use there. */
export const subscriberGroups = (
  key: string,
  ids: readonly { readonly wire: string; readonly packed: boolean }[] = [],
): readonly SubscriberGroup[] => ids.map(({ wire, packed }) => ({ lane: laneOf(key, packed), wire }));

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

/** The name of the lock that keeps a user's subscribing to a room and their removal from it apart. */
export const membershipLock = (roomId: number, userId: number): string => `membership ${roomId} ${userId}`;
