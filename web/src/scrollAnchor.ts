import { keptByTab } from "./kept.js";

/** Where one has scrolled to in a room: to the end, or with this message so many pixels below the top. */
export type Place = { readonly seq: number; readonly offset: number } | "end";

const keyOf = (userId: number, roomId: number) => `nonstop-place ${userId} ${roomId}`;

/** What was kept before a reload. */
export function placeIn(userId: number, roomId: number): Place | undefined {
  try {
    const place = JSON.parse(keptByTab.get(keyOf(userId, roomId)) ?? "null") as Place | null;
    if (place === "end") return place;
    return place && place.seq > 0 && Number.isFinite(place.seq) && Number.isFinite(place.offset)
      ? place
      : undefined;
  } catch {
    return undefined;
  }
}

export function keepPlace(userId: number, roomId: number, place: Place): void {
  keptByTab.set(keyOf(userId, roomId), JSON.stringify(place));
}

/** What one has begun to write in a room. */
export const draftIn = (userId: number, roomId: number): string =>
  keptByTab.get(`nonstop-draft ${userId} ${roomId}`) ?? "";

export function keepDraft(userId: number, roomId: number, text: string): void {
  const key = `nonstop-draft ${userId} ${roomId}`;
  if (text === "") keptByTab.remove(key);
  else keptByTab.set(key, text);
  for (const changed of hearing) changed();
}

const hearing = new Set<() => void>();

/** Hears of each draft that changes, until what it returns is called. */
export function onDrafts(changed: () => void): () => void {
  hearing.add(changed);
  return () => hearing.delete(changed);
}
