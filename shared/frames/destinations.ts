/**
 * Destinations as clients write them in SUBSCRIBE and SEND, and the short keys under which the stores and the
 * groups know them.
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
