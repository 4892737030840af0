import type { Room, RoomMessage } from "@nonstop/chat-client";
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { keepPlace, type Place, placeIn } from "./place.js";

/** How many pixels above the end still count as the end. */
const END_PX = 48;
/** Of what lies further back than so many messages only the newest page is shown at first. */
const FARTHEST = 3_000;
/** Where the line of new messages is put: this part of the height below the top. */
const LINE_AT = 0.25;

const seqOf = (message: RoomMessage | undefined) => (message?.state === "stored" ? message.seq : undefined);

/**
 * Where a room's log is scrolled to: first to the place from before a reload, the line of new messages, or the end; it stays at the
 * end when messages come, and where it is when older ones are put before.
 */
export function useScrolling(
  log: RefObject<HTMLDivElement | null>,
  room: Room,
  messages: readonly RoomMessage[],
  me: number,
) {
  const [isAtEnd, setAtEnd] = useState(true);
  const [isSettled, setSettled] = useState(false);
  /** What was drawn last. */
  const drawn = useRef({ height: 0, first: undefined as number | undefined, count: 0 });
  const end = useRef(true);
  /** Whether what is needed for the first place is loaded, as far as it can be. */
  const [isLoaded, setLoaded] = useState<boolean>();
  const place = useRef<Place>(undefined);

  const look = useCallback(() => {
    const element = log.current!;
    end.current = element.scrollHeight - element.scrollTop - element.clientHeight < END_PX;
    setAtEnd(end.current);
  }, [log]);

  const toEnd = useCallback(() => {
    log.current!.scrollTop = log.current!.scrollHeight;
    look();
  }, [log, look]);

  useLayoutEffect(() => {
    const element = log.current!;
    if (room.status !== "ready" && messages.length === 0) return;
    const first = seqOf(messages[0]);
    const { height, first: firstBefore, count } = drawn.current;
    // Looked at now: one may have scrolled since the last event told.
    const wasAtEnd = height - element.scrollTop - element.clientHeight < END_PX;
    if (!isSettled) {
      if (room.status !== "ready" || isLoaded === false) return;
      const to = isLoaded ? undefined : farther(room, me);
      if (to !== undefined) {
        setLoaded(false);
        const done = () => setLoaded(true);
        room.loadOlder(to).then(done, done);
        return;
      }
      settle(element, room, me);
      setSettled(true);
    } else if (first !== undefined && firstBefore !== undefined && first < firstBefore) {
      // What is seen stays where it is.
      element.scrollTop = wasAtEnd ? element.scrollHeight : element.scrollTop + element.scrollHeight - height;
    } else {
      const wroteMyself = messages.length > count && messages.at(-1)?.state === "sending";
      // After a long absence the log begins anew further down, and of a very long one the oldest go.
      const isElsewhere = first !== undefined && firstBefore !== undefined && first > firstBefore;
      const isLost = isElsewhere && !(place.current && toPlace(element, place.current));
      if (wasAtEnd || wroteMyself || isLost) element.scrollTop = element.scrollHeight;
    }
    drawn.current = { height: element.scrollHeight, first, count: messages.length };
    look();
  }, [log, room, messages, me, isSettled, isLoaded, look]);

  // Pictures load, the window and the composer change their size.
  useEffect(() => {
    const element = log.current!;
    let width = element.clientWidth;
    const observer = new ResizeObserver(() => {
      if (end.current) element.scrollTop = element.scrollHeight;
      // Every text above has other lines now.
      else if (element.clientWidth !== width && place.current) toPlace(element, place.current);
      width = element.clientWidth;
      drawn.current.height = element.scrollHeight;
    });
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, [log]);

  const onScroll = useCallback(() => {
    look();
    if (!isSettled) return;
    place.current = end.current ? "end" : topOf(log.current!);
    keepPlace(me, room.roomId, place.current);
  }, [look, isSettled, me, room, log]);

  const isSettling = !isSettled && isLoaded === false;
  return { isAtEnd, isSettled, isSettling, toEnd, onScroll };
}

/** The `seq` that must be loaded to begin where one was, or with what is new; undefined when it is there. */
function farther(room: Room, me: number): number | undefined {
  const place = placeIn(me, room.roomId);
  const to = place && place !== "end" ? place.seq : room.unreadFrom;
  const first = seqOf(room.messages[0]);
  if (to === undefined || first === undefined || !room.hasOlder) return undefined;
  return to < first && first - to <= FARTHEST ? to : undefined;
}

/** Scrolls to the place from before a reload, else to the line of new messages, else to the end. */
function settle(element: HTMLElement, room: Room, me: number): void {
  const place = placeIn(me, room.roomId);
  if (place && toPlace(element, place)) return;
  const line = element.querySelector<HTMLElement>(".newLine");
  element.scrollTop = line ? line.offsetTop - element.clientHeight * LINE_AT : element.scrollHeight;
}

/** Scrolls to the place; false when its message is not there. */
function toPlace(element: HTMLElement, place: Place): boolean {
  if (place === "end") return false;
  const row = element.querySelector<HTMLElement>(`[data-seq="${place.seq}"]`);
  if (row) element.scrollTop = row.offsetTop - place.offset;
  return row !== null;
}

/** The first row that is seen, and how far below the top it begins. */
function topOf(element: HTMLElement): { seq: number; offset: number } {
  const rows = element.querySelectorAll<HTMLElement>("[data-seq]");
  // Rows are in their order: halving finds it.
  let [low, high] = [0, rows.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    const row = rows[middle]!;
    if (row.offsetTop + row.offsetHeight <= element.scrollTop) low = middle + 1;
    else high = middle;
  }
  const row = rows[low];
  return { seq: Number(row?.dataset["seq"] ?? 0), offset: (row?.offsetTop ?? 0) - element.scrollTop };
}
