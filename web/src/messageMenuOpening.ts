import { isSystem, type RoomMessage } from "@nonstop/chat-client";
import { type RefObject, useCallback, useEffect, useState } from "react";
import { keyOf } from "./arrange.js";
import { keepReachable, makeReachable } from "./menuButtons.js";

const LONG_PRESS_MS = 450;
/** A finger never holds quite still: a press may move this many pixels. */
const STILL_PX = 10;
/** A click that comes within this time after the finger was lifted belongs to the long press. */
const CLICK_WITHIN_MS = 50;
const BELOW_BUTTON_PX = 4;

/** A menu that is open. */
export interface OpenMenu {
  /** The message's (`keyOf`). */
  readonly key: string;
  readonly message: RoomMessage;
  /** The button that gets the focus back. */
  readonly opener: HTMLElement | undefined;
  /** Where it was asked for, in pixels of the window. */
  readonly x: number;
  readonly y: number;
}

/**
 * The menu of one of the log's messages: opened by its button, or by a right click or a long press on its
 * bubble. All the buttons are one stop of the Tab key; from there the arrow keys go from message to message.
 */
export function useMessageMenu(
  log: RefObject<HTMLElement | null>,
  messages: readonly RoomMessage[],
  me: number,
): [menu: OpenMenu | undefined, close: () => void] {
  const [at, setAt] = useState<Omit<OpenMenu, "message">>();
  const close = useCallback(() => setAt(undefined), []);
  useEffect(() => {
    const element = log.current!;
    const ended = new AbortController();
    onButtons(element, setAt, ended.signal);
    onRightClick(element, setAt, ended.signal);
    onLongPress(element, setAt, ended.signal);
    keepReachable(element, ended.signal);
    return () => ended.abort();
  }, [log]);
  // The message may have been stored, or have gone, since the menu was opened.
  const message = at && messages.findLast((one) => !isSystem(one) && keyOf(one, me) === at.key);
  return [message && { ...at, message }, close];
}

type Open = (at: Omit<OpenMenu, "message">) => void;

function openAt(target: Element, x: number, y: number, open: Open): void {
  const row = target.closest<HTMLElement>(".row[data-key]");
  const opener = row?.querySelector<HTMLElement>(".more") ?? undefined;
  if (row) open({ key: row.dataset["key"]!, opener, x, y });
}

/** The bubble that was clicked or touched, or something in it. */
const inBubble = (target: EventTarget | null): Element | undefined =>
  target instanceof Element && target.closest(".bubble") ? target : undefined;

const isButton = (target: EventTarget | null): target is HTMLElement =>
  target instanceof HTMLElement && target.matches(".more");

/** A click on a button opens its menu; the arrow keys, Home and End lead from a button to another one. */
function onButtons(element: HTMLElement, open: Open, signal: AbortSignal): void {
  const onClick = ({ target }: Event) => {
    const button = target instanceof Element ? target.closest(".more") : null;
    if (!button) return;
    const { left, bottom } = button.getBoundingClientRect();
    openAt(button, left, bottom + BELOW_BUTTON_PX, open);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!isButton(event.target)) return;
    const all = [...element.querySelectorAll<HTMLElement>(".more")];
    const at = all.indexOf(event.target);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    all[to]?.focus();
  };
  const onFocusIn = ({ target }: Event) => {
    if (isButton(target)) makeReachable(element, target);
  };
  element.addEventListener("click", onClick, { signal });
  element.addEventListener("keydown", onKeyDown, { signal });
  element.addEventListener("focusin", onFocusIn, { signal });
}

/** A right click of the mouse. Some browsers also send `contextmenu` for a long press. */
function onRightClick(element: HTMLElement, open: Open, signal: AbortSignal): void {
  const onContextMenu = (event: PointerEvent) => {
    const target = inBubble(event.target);
    if (!target) return;
    // The browser's own menu has more to offer for an address, and for selected text.
    const isTouch = event.pointerType === "touch";
    if (!isTouch && (target.closest("a") || !getSelection()?.isCollapsed)) return;
    event.preventDefault();
    openAt(target, event.clientX, event.clientY, open);
  };
  element.addEventListener("contextmenu", onContextMenu, { signal });
}

/** A long press of a finger, by a timer: not all browsers send `contextmenu` for it. */
function onLongPress(element: HTMLElement, open: Open, signal: AbortSignal): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let from = { x: 0, y: 0 };
  const cancel = () => clearTimeout(timer);
  const onDown = ({ target, pointerType, clientX: x, clientY: y }: PointerEvent) => {
    cancel();
    const pressed = inBubble(target);
    if (pointerType !== "touch" || !pressed) return;
    from = { x, y };
    timer = setTimeout(() => {
      openAt(pressed, x, y, open);
      swallowClick();
    }, LONG_PRESS_MS);
  };
  const onMove = ({ clientX, clientY }: PointerEvent) => {
    if (Math.hypot(clientX - from.x, clientY - from.y) > STILL_PX) cancel();
  };
  element.addEventListener("pointerdown", onDown, { signal });
  element.addEventListener("pointermove", onMove, { signal });
  element.addEventListener("pointerup", cancel, { signal });
  element.addEventListener("pointercancel", cancel, { signal });
  // Then the browser's own sign of a long press has opened the menu.
  element.addEventListener("contextmenu", cancel, { signal });
  signal.addEventListener("abort", cancel);
}

/** The finger is still down. When it is lifted, the browser must not click what lies below it now. */
function swallowClick(): void {
  const over = new AbortController();
  const { signal } = over;
  const swallow = (event: Event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  const end = () => setTimeout(() => over.abort(), CLICK_WITHIN_MS);
  document.addEventListener("click", swallow, { capture: true, once: true, signal });
  document.addEventListener("pointerup", end, { once: true, signal });
  document.addEventListener("pointercancel", end, { once: true, signal });
}
