import type { Member, Room } from "@nonstop/chat-client";
import { useRef } from "react";

/** The pictures of a room's senders. It is the same object until one of the pictures changes. */
export interface Pictures {
  of(userId: number): string | null | undefined;
}

/** What the pictures are made of: each member's in a group, the other user's in a room of two. */
type Source = Map<number, string> | string | null | undefined;

/** `imageUrl` is the other user's picture in a room of two. */
export function usePictures({ members }: Room, imageUrl: string | null | undefined, me: number): Pictures {
  const made = useRef<{ readonly source: Source; readonly pictures: Pictures }>(undefined);
  // The client makes a new list of members after each read.
  const source = members ? picturesOf(members) : imageUrl;
  if (made.current === undefined || !isSame(made.current.source, source))
    made.current = { source, pictures: { of: (userId) => pictureIn(source, userId, me) } };
  return made.current.pictures;
}

function pictureIn(source: Source, userId: number, me: number): string | null | undefined {
  if (source instanceof Map) return source.get(userId);
  return userId === me ? undefined : source;
}

const picturesOf = (members: readonly Member[]): Map<number, string> =>
  new Map(members.flatMap(({ userId, profileImageUrl: url }) => (url ? [[userId, url] as const] : [])));

function isSame(a: Source, b: Source): boolean {
  if (!(a instanceof Map && b instanceof Map)) return a === b;
  return a.size === b.size && [...a].every(([userId, url]) => b.get(userId) === url);
}
