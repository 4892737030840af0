import { isSystem, type RoomMessage } from "@nonstop/chat-client";
import { type RefObject, useCallback, useEffect, useState } from "react";
import { keyOf } from "./arrange.js";

const LONG_PRESS_MS = 450;
/** A finger never holds quite still. */
const STILL_PX = 10;
const REACHABLE_AFTER_MS = 200;

/** A menu that is open: whose, and where. */
export interface OpenMenu {
  readonly key: string;
  readonly message: RoomMessage;
  /** What gets the focus back. */
  readonly opener: HTMLElement | undefined;
  readonly x: number;
  readonly y: number;
}

/**
 * The menu of one of the log's messages, opened by its button, by a right click or a long press on it. The buttons are one stop of the
 * Tab key: from there the arrow keys go from message to message.
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
    const ends = [onButtons(element, setAt), onPresses(element, setAt), keepReachable(element)];
    return () => {
      for (const end of ends) end();
    };
  }, [log]);
  // It may be stored meanwhile, or be gone.
  const message = at && messages.findLast((one) => !isSystem(one) && keyOf(one, me) === at.key);
  return [message && { ...at, message }, close];
}

type Open = (at: Omit<OpenMenu, "message">) => void;

const rowOf = (target: EventTarget | null): HTMLElement | null | undefined =>
  target instanceof Element ? target.closest<HTMLElement>(".row[data-key]") : undefined;

const buttonOf = (row: HTMLElement): HTMLElement | undefined =>
  row.querySelector<HTMLElement>(".more") ?? undefined;

function listen<K extends keyof HTMLElementEventMap>(
  element: HTMLElement,
  listeners: { readonly [Name in K]: (event: HTMLElementEventMap[Name]) => void },
): () => void {
  const all = Object.entries(listeners) as [K, EventListener][];
  for (const [name, listener] of all) element.addEventListener(name, listener);
  return () => {
    for (const [name, listener] of all) element.removeEventListener(name, listener);
  };
}

/** A click, and the keys that go from one button to another. */
function onButtons(element: HTMLElement, open: Open): () => void {
  return listen(element, {
    click: ({ target }) => {
      const button = target instanceof Element ? target.closest<HTMLElement>(".more") : null;
      const row = rowOf(button);
      if (!button || !row) return;
      const { left, bottom } = button.getBoundingClientRect();
      open({ key: row.dataset["key"]!, opener: button, x: left, y: bottom + 4 });
    },
    keydown: (event) => {
      const { target, key } = event;
      if (!(target instanceof HTMLElement) || !target.matches(".more")) return;
      const all = [...element.querySelectorAll<HTMLElement>(".more")];
      const at = all.indexOf(target);
      const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[key];
      if (to === undefined) return;
      event.preventDefault();
      all[to]?.focus();
    },
    focusin: ({ target }) => {
      if (target instanceof HTMLElement && target.matches(".more")) makeReachable(element, target);
    },
  });
}

/** A right click of the mouse, a long press of a finger. */
function onPresses(element: HTMLElement, open: Open): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let from = { x: 0, y: 0 };
  const cancel = () => clearTimeout(timer);
  const openAt = (target: Element, x: number, y: number) => {
    const row = rowOf(target);
    if (row) open({ key: row.dataset["key"]!, opener: buttonOf(row), x, y });
  };
  const ends = listen(element, {
    contextmenu: (event) => {
      const { target, clientX, clientY } = event;
      if (!(target instanceof Element) || !target.closest(".bubble")) return;
      // The browser's own menu has more to offer for an address, and for what is selected.
      const isTouch = (event as PointerEvent).pointerType === "touch";
      if (!isTouch && (target.closest("a") || !getSelection()?.isCollapsed)) return;
      event.preventDefault();
      cancel();
      openAt(target, clientX, clientY);
    },
    pointerdown: ({ target, pointerType, clientX: x, clientY: y }) => {
      cancel();
      if (pointerType !== "touch" || !(target instanceof Element) || !target.closest(".bubble")) return;
      from = { x, y };
      // Some browsers know no other sign of a long press.
      timer = setTimeout(() => {
        openAt(target, x, y);
        swallowClick();
      }, LONG_PRESS_MS);
    },
    pointermove: ({ clientX, clientY }) => {
      if (Math.hypot(clientX - from.x, clientY - from.y) > STILL_PX) cancel();
    },
    pointerup: cancel,
    pointercancel: cancel,
  });
  return () => {
    cancel();
    ends();
  };
}

/** The finger is still down: lifting it is no click on what is below it now. */
function swallowClick(): void {
  const swallow = (event: Event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  document.addEventListener("click", swallow, { capture: true, once: true });
  const end = () => setTimeout(() => document.removeEventListener("click", swallow, { capture: true }), 50);
  document.addEventListener("pointerup", end, { once: true });
  document.addEventListener("pointercancel", end, { once: true });
}

function makeReachable(element: HTMLElement, button: HTMLElement): void {
  for (const other of element.querySelectorAll<HTMLElement>('.more[tabindex="0"]')) other.tabIndex = -1;
  button.tabIndex = 0;
}

/** The Tab key leads to the last message that is seen: it must not scroll away from where one reads. */
function keepReachable(element: HTMLElement): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const choose = () => {
    if (element.contains(document.activeElement) && document.activeElement !== element) return;
    const { left, bottom, width } = element.getBoundingClientRect();
    const seen = document.elementsFromPoint(left + width / 2, bottom - 24);
    const near = seen.map((one) => one.closest<HTMLElement>("[data-chunk]")).find((one) => one !== null);
    const buttons = [...(near?.querySelectorAll<HTMLElement>(".more") ?? [])];
    const last = buttons.findLast((one) => one.getBoundingClientRect().bottom <= bottom);
    if (last) makeReachable(element, last);
  };
  const end = listen(element, {
    scroll: () => {
      clearTimeout(timer);
      timer = setTimeout(choose, REACHABLE_AFTER_MS);
    },
  });
  return () => {
    clearTimeout(timer);
    end();
  };
}
