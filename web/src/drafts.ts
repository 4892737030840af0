import { keptByTab } from "./kept.js";

const keyOf = (userId: number, roomId: number) => `nonstop-draft ${userId} ${roomId}`;
const listeners = new Set<() => void>();

/** The text that the user has begun to write in the room; empty when there is none. */
export const draftIn = (userId: number, roomId: number): string => keptByTab.get(keyOf(userId, roomId)) ?? "";

/** Keeps the draft until the tab is closed. An empty text removes it. */
export function keepDraft(userId: number, roomId: number, text: string): void {
  if (text === "") keptByTab.remove(keyOf(userId, roomId));
  else keptByTab.set(keyOf(userId, roomId), text);
  for (const changed of listeners) changed();
}

/** Calls `changed` after each change of a draft, until the returned function is called. */
export function onDrafts(changed: () => void): () => void {
  listeners.add(changed);
  return () => listeners.delete(changed);
}
