import type { Room, RoomMessage } from "@nonstop/chat-client";
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { chunkOf } from "./chunks.js";
import { keepPlace, type Place, placeIn } from "./scrollAnchor.js";

/** How many pixels above the end still count as the end. */
const END_PX = 48;
/** Of what lies further back than so many messages only the newest page is shown at first. */
const FARTHEST = 20_000;
/** Where the line of new messages is put: this part of the height below the top. */
const LINE_AT = 0.25;

const seqOf = (message: RoomMessage | undefined) => (message?.state === "stored" ? message.seq : undefined);

/** What is seen, and stays where it is when something above it changes its height. */
interface Anchor {
  readonly place: Place;
  /** Where the log was scrolled to when it was noted, and how high its content was. */
  readonly scrollTop: number;
  readonly height: number;
}

/**
 * Where a room's log is scrolled to: first to the place from before a reload, the line of new messages, or the end; it stays at the
 * end when messages come, and otherwise what is seen stays where it is: when older ones are put before, pictures load, or what was
 * far away, and only guessed at, gets its real height.
 */
export function useScrolling(
  log: RefObject<HTMLDivElement | null>,
  room: Room,
  messages: readonly RoomMessage[],
  me: number,
) {
  const [isAtEnd, setAtEnd] = useState(true);
  const [isSettled, setSettled] = useState(false);
  /** Whether what is needed for the first place is loaded, as far as it can be. */
  const [loading, setLoading] = useState<"far" | "done">();
  /** What was drawn last. */
  const drawn = useRef({ first: undefined as number | undefined, count: 0 });
  const anchor = useRef<Anchor>({ place: "end", scrollTop: 0, height: 0 });

  /** What is seen now is what stays from now on. */
  const note = useCallback(() => {
    const element = log.current!;
    anchor.current = anchorAt(element, isEndOf(element) ? "end" : topOf(element));
    setAtEnd(isEndOf(element));
  }, [log]);

  /** Puts what was seen back to where it was; false when it is not there any more. */
  const hold = useCallback(() => {
    const element = log.current!;
    const held = putBack(element, anchor.current);
    if (held) anchor.current = held;
    setAtEnd(isEndOf(element));
    return held !== undefined;
  }, [log]);

  const toEnd = useCallback(() => {
    log.current!.scrollTop = log.current!.scrollHeight;
    note();
  }, [log, note]);

  useLayoutEffect(() => {
    const element = log.current!;
    if (room.status !== "ready" && messages.length === 0) return;
    const first = seqOf(messages[0]);
    const { first: firstBefore, count } = drawn.current;
    if (!isSettled) {
      // What was loaded is drawn a moment later.
      if (room.status !== "ready" || loading === "far" || messages !== room.messages) return;
      if (loading === undefined && farther(room, me) !== undefined) {
        setLoading("far");
        loadFar(room, me).then(() => setLoading("done"));
        return;
      }
      anchor.current = anchorAt(element, settle(element, room, me));
      setAtEnd(isEndOf(element));
      setSettled(true);
    } else {
      const wroteMyself = messages.length > count && messages.at(-1)?.state === "sending";
      // After a long absence the log begins anew further down, and of a very long one the oldest go.
      const isElsewhere = first !== undefined && firstBefore !== undefined && first > firstBefore;
      const isHeld = hold();
      if (wroteMyself || (isElsewhere && !isHeld)) toEnd();
    }
    drawn.current = { first, count: messages.length };
  }, [log, room, messages, me, isSettled, loading, hold, toEnd]);

  // Heights change: pictures load, the window and the composer change their size, what comes near is measured.
  useEffect(() => {
    const element = log.current!;
    const observer = new ResizeObserver(() => {
      if (isSettled) hold();
    });
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, [log, isSettled, hold]);

  const onScroll = useCallback(() => {
    const element = log.current!;
    if (!isSettled) return;
    // A height that has changed in the same moment is heard of only later: what is at the top now is not what was seen.
    if (element.scrollHeight !== anchor.current.height) hold();
    // The page itself may have scrolled, to where what was seen is.
    if (element.scrollTop !== anchor.current.scrollTop) note();
    keepPlace(me, room.roomId, anchor.current.place);
  }, [log, note, hold, isSettled, me, room]);

  return { isAtEnd, isSettled, isSettling: !isSettled && loading === "far", toEnd, onScroll };
}

/** The `seq` that must be loaded to begin where one was, or with what is new; undefined when it is there. */
function farther(room: Room, me: number): number | undefined {
  const place = placeIn(me, room.roomId);
  const to = place && place !== "end" ? place.seq : room.unreadFrom;
  const first = seqOf(room.messages[0]);
  if (to === undefined || first === undefined || !room.hasOlder) return undefined;
  return to < first && first - to <= FARTHEST ? to : undefined;
}

/** In so many goes as it takes: one loads some thousand. Never rejects; what could not be loaded is not there. */
async function loadFar(room: Room, me: number): Promise<void> {
  try {
    for (let to = farther(room, me); to !== undefined; to = farther(room, me)) {
      const before = seqOf(room.messages[0]);
      await room.loadOlder(to);
      if (seqOf(room.messages[0]) === before) return;
    }
  } catch {
    // The top of the log offers to try again.
  }
}

/** Scrolls to the place from before a reload, else to the line of new messages, else to the end; returns what is held there. */
function settle(element: HTMLElement, room: Room, me: number): Place {
  const place = placeIn(me, room.roomId);
  if (place && place !== "end" && toPlace(element, place)) return place;
  const line = element.querySelector<HTMLElement>(".newLine");
  element.scrollTop = element.scrollHeight;
  const row = rowBehind(line);
  if (!line || !row) return "end";
  element.scrollTop += topIn(element, line) - element.clientHeight * LINE_AT;
  if (isEndOf(element)) return "end";
  // The line itself: what lies above it was not drawn yet, and will move.
  return { seq: Number(row.dataset["seq"]), offset: topIn(element, row) };
}

function rowBehind(line: Element | null): HTMLElement | undefined {
  const row = line?.nextElementSibling;
  return row instanceof HTMLElement && row.dataset["seq"] ? row : undefined;
}

const isEndOf = ({ scrollHeight, scrollTop, clientHeight }: HTMLElement): boolean =>
  scrollHeight - scrollTop - clientHeight < END_PX;

const anchorAt = ({ scrollTop, scrollHeight: height }: HTMLElement, place: Place): Anchor => ({
  place,
  scrollTop,
  height,
});

/** Scrolls to what was seen, less what one has scrolled since; undefined when it is not there any more. */
function putBack(element: HTMLElement, { place, scrollTop }: Anchor): Anchor | undefined {
  const scrolled = element.scrollTop - scrollTop;
  if (place === "end") {
    // One may have scrolled up in this very moment. Or something at the end went away, and the scroll position with it.
    const isCut = element.scrollHeight - element.clientHeight < scrollTop;
    if (scrolled < -END_PX && !isCut) return anchorAt(element, topOf(element));
    element.scrollTop = element.scrollHeight;
    return anchorAt(element, "end");
  }
  const now = { seq: place.seq, offset: place.offset - scrolled };
  return toPlace(element, now) ? anchorAt(element, now) : undefined;
}

/** Scrolls so that the message is there; false when there is no such message. */
function toPlace(element: HTMLElement, { seq, offset }: Exclude<Place, "end">): boolean {
  const chunk = element.querySelector<HTMLElement>(`[data-chunk="${chunkOf(seq)}"]`);
  const row = chunk?.querySelector<HTMLElement>(`[data-seq="${seq}"]`);
  if (!row) return false;
  const moved = topIn(element, row) - offset;
  // Less is only the rounding of positions.
  if (Math.abs(moved) >= 1) element.scrollTop += moved;
  return true;
}

/** How far below the top of what is seen it begins. */
const topIn = (element: HTMLElement, inner: Element): number =>
  inner.getBoundingClientRect().top - element.getBoundingClientRect().top;

/** The first row that is seen, and how far below the top it begins. */
function topOf(element: HTMLElement): Place {
  const { top } = element.getBoundingClientRect();
  const chunks = [...element.querySelectorAll("[data-chunk]")];
  // First the chunk: looking into one that is far away would lay it out.
  const first = chunks.indexOf(firstBelow(chunks, top)!);
  const isSkipped = (chunk: Element | undefined) => !chunk?.firstElementChild?.checkVisibility?.(DRAWN);
  // One that has just come into view was not drawn yet, and its height is a guess: what was seen is behind it.
  const chunk = chunks[isSkipped(chunks[first]) && !isSkipped(chunks[first + 1]) ? first + 1 : first];
  const rows = [...(chunk?.querySelectorAll("[data-seq]") ?? [])];
  const at = rows.indexOf(firstBelow(rows, top)!);
  // The first one of all loses its name when another comes before it.
  const isFirst = at === 0 && chunk === chunks[0];
  // A chunk may have nothing but what is on its way: then the last that is stored.
  const row = (isFirst && rows[1]) || rows[at] || [...element.querySelectorAll("[data-seq]")].at(-1);
  if (!row) return "end";
  return { seq: Number((row as HTMLElement).dataset["seq"]), offset: topIn(element, row) };
}

const DRAWN = { contentVisibilityAuto: true };

/** The first that ends below `top`, or the last one; they are in their order, so halving finds it. */
function firstBelow(elements: readonly Element[], top: number): Element | undefined {
  let [low, high] = [0, elements.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (elements[middle]!.getBoundingClientRect().bottom <= top) low = middle + 1;
    else high = middle;
  }
  return elements[low];
}
