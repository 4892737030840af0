import type { Room, RoomMessage } from "@nonstop/chat-client";
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { isAtEnd, putBack, type View, viewOf } from "./logView.js";
import { keepAnchor } from "./scrollAnchor.js";
import { useSettling } from "./settling.js";

interface Scrolling {
  readonly isAtEnd: boolean;
  /** What the log begins with is in view. */
  readonly isSettled: boolean;
  /** What the log begins with lies further back than the first page, and is being loaded. */
  readonly isFar: boolean;
  readonly toEnd: () => void;
  readonly onScroll: () => void;
}

/**
 * Scrolls a room's log, which is in one of three states:
 * - `settling`: it loads what it begins with and scrolls there once: to the message that it showed before a
 *   reload, the line of new messages, or the end.
 * - `following`: its end stays in view when messages come.
 * - `held`: the messages in view stay where they are when older ones are put before them, pictures load, or
 *   rows that were far away get their real height instead of a guessed one.
 *
 * The user's scrolling leads from `held` to `following` and back.
 */
export function useScrolling(
  log: RefObject<HTMLDivElement | null>,
  room: Room,
  messages: readonly RoomMessage[],
  me: number,
): Scrolling {
  const [isEndSeen, setEndSeen] = useState(true);
  /** Undefined while the log is settling. */
  const view = useRef<View>(undefined);
  const show = useCallback(
    (next: View) => {
      view.current = next;
      setEndSeen(isAtEnd(log.current!));
    },
    [log],
  );

  /** Scrolls back to the last view; false when its message is gone. */
  const hold = useCallback((): boolean => {
    const kept = view.current && putBack(log.current!, view.current);
    if (kept) show(kept);
    else setEndSeen(isAtEnd(log.current!));
    return kept !== undefined;
  }, [log, show]);

  const toEnd = useCallback(() => {
    log.current!.scrollTop = log.current!.scrollHeight;
    show(viewOf(log.current!));
  }, [log, show]);

  const step = useSettling(log, room, messages, me, show);
  const isSettled = step === "settled";
  useNewMessages(messages, isSettled, hold, toEnd);
  useNewHeights(log, isSettled, hold);

  const onScroll = useCallback(() => {
    if (!view.current) return;
    const element = log.current!;
    // The ResizeObserver is told of a new height only later. Until then the row at the top is not the one
    // that the user saw.
    if (element.scrollHeight !== view.current.height) hold();
    // Otherwise `hold` itself has scrolled.
    if (element.scrollTop !== view.current.scrollTop) show(viewOf(element));
    keepAnchor(me, room.roomId, view.current.state === "held" ? view.current.anchor : "end");
  }, [log, show, hold, me, room]);

  return { isAtEnd: isEndSeen, isSettled, isFar: step === "far", toEnd, onScroll };
}

/** Follows or holds when other messages are drawn. The user's own new message leads to the end. */
function useNewMessages(
  messages: readonly RoomMessage[],
  isSettled: boolean,
  hold: () => boolean,
  toEnd: () => void,
): void {
  const drawn = useRef<readonly RoomMessage[]>([]);
  useLayoutEffect(() => {
    const before = drawn.current;
    drawn.current = messages;
    if (!isSettled) return;
    const isOwn = messages.length > before.length && messages.at(-1)?.state === "sending";
    const isHeld = hold();
    if (isOwn || (!isHeld && isFurtherDown(before, messages))) toEnd();
  }, [messages, isSettled, hold, toEnd]);
}

/** After a long absence the log begins again further down; of a very long log the oldest messages go. */
function isFurtherDown([before]: readonly RoomMessage[], [now]: readonly RoomMessage[]): boolean {
  return before?.state === "stored" && now?.state === "stored" && now.seq > before.seq;
}

/**
 * Follows or holds when a height changes: pictures load, the window and the composer change their size, rows
 * that come near get their real height.
 */
function useNewHeights(log: RefObject<HTMLElement | null>, isSettled: boolean, hold: () => void): void {
  useEffect(() => {
    if (!isSettled) return;
    const element = log.current!;
    const observer = new ResizeObserver(() => hold());
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, [log, isSettled, hold]);
}
