import type { Member, Room } from "@nonstop/chat-client";
import { useRef } from "react";

/** Senders' pictures, by whom; the same object until one of them changes. */
export interface Pictures {
  of(userId: number): string | null | undefined;
}

/** In a group as its members have them; in a room of two, who isn't oneself is the other one. */
export function usePictures({ members }: Room, imageUrl: string | null | undefined, me: number): Pictures {
  const before = useRef<{ key: unknown; pictures: Pictures }>(undefined);
  // Members come as another list with each read.
  const key = members ? picturesOf(members) : imageUrl;
  if (before.current === undefined || !isSame(before.current.key, key))
    before.current = {
      key,
      pictures: {
        of: (userId) => (key instanceof Map ? key.get(userId) : userId === me ? undefined : imageUrl),
      },
    };
  return before.current.pictures;
}

const picturesOf = (members: readonly Member[]) =>
  new Map(members.flatMap(({ userId, profileImageUrl: url }) => (url ? [[userId, url] as const] : [])));

function isSame(a: unknown, b: unknown): boolean {
  if (!(a instanceof Map && b instanceof Map)) return a === b;
  return a.size === b.size && [...a].every(([userId, url]) => b.get(userId) === url);
}
