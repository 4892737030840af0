import { useCallback, useSyncExternalStore } from "react";

const ROOM = /^#\/rooms\/([1-9]\d{0,15})$/;

function onHash(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
}

/**
 * The room that the page's address names, `#/rooms/7`, and a function that goes to another room, or to none.
 * The browser's back button works.
 */
export function useRoute(): [roomId: number | undefined, goTo: (roomId: number | undefined) => void] {
  const hash = useSyncExternalStore(onHash, () => location.hash);
  const roomId = Number(ROOM.exec(hash)?.[1]);
  const goTo = useCallback((next: number | undefined) => {
    location.hash = next === undefined ? "" : `#/rooms/${next}`;
  }, []);
  return [Number.isSafeInteger(roomId) ? roomId : undefined, goTo];
}
