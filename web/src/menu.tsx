import { type KeyboardEvent, type ReactNode, useEffect, useLayoutEffect, useRef } from "react";
import { Icon, type IconName } from "./icons.js";

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Props {
  /** Where it was asked for, in pixels of the window. */
  readonly at: Point;
  readonly label: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

const FROM_EDGE_PX = 8;

/**
 * A menu as the WAI-ARIA Authoring Practices describe it ("Menu and Menubar Pattern"): the arrow keys go
 * through its items, Escape and the Tab key close it.
 */
export function Menu({ at, label, onClose, children }: Props) {
  const menu = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    moveTo(menu.current!, { x: at.x, y: at.y });
    menu.current!.querySelector("button")?.focus({ preventScroll: true });
  }, [at.x, at.y]);
  useEffect(() => {
    window.addEventListener("resize", onClose);
    return () => window.removeEventListener("resize", onClose);
  }, [onClose]);
  const onKeyDown = (event: KeyboardEvent) => {
    const isLeft = event.key === "Escape" || event.key === "Tab";
    const item = itemAfter(event.key, [...menu.current!.querySelectorAll("button")]);
    if (isLeft) onClose();
    item?.focus();
    if (isLeft || item) event.preventDefault();
  };
  return (
    <>
      <Veil onClose={onClose} />
      <div ref={menu} className="menu" role="menu" aria-label={label} tabIndex={-1} onKeyDown={onKeyDown}>
        {children}
      </div>
    </>
  );
}

/** Covers the page: a click outside of the menu closes it, and does nothing else. */
function Veil({ onClose }: Pick<Props, "onClose">) {
  return (
    <div
      className="menuVeil"
      aria-hidden="true"
      onClick={onClose}
      onContextMenu={(event) => {
        event.preventDefault();
        onClose();
      }}
    />
  );
}

/**
 * Puts the menu below the point, or above it where there is no room below, and always inside of the window.
 */
function moveTo(menu: HTMLElement, at: Point): void {
  const { offsetWidth, offsetHeight } = menu;
  const { clientWidth, clientHeight } = document.documentElement;
  const within = (wanted: number, size: number, all: number) =>
    Math.max(Math.min(wanted, all - size - FROM_EDGE_PX), FROM_EDGE_PX);
  const y = at.y + offsetHeight + FROM_EDGE_PX > clientHeight ? at.y - offsetHeight : at.y;
  menu.style.setProperty("--x", `${within(at.x, offsetWidth, clientWidth)}px`);
  menu.style.setProperty("--y", `${within(y, offsetHeight, clientHeight)}px`);
}

/** The item to which the key leads from the one that has the focus; undefined for all other keys. */
function itemAfter(key: string, items: readonly HTMLElement[]): HTMLElement | undefined {
  const focused = items.findIndex((item) => item.matches(":focus"));
  const to = {
    ArrowDown: (focused + 1) % items.length,
    ArrowUp: (focused - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  }[key];
  return to === undefined ? undefined : items[to];
}

interface ItemProps {
  readonly icon: IconName;
  readonly isDanger?: boolean;
  readonly onChoose: () => void;
  readonly children: string;
}

export function MenuItem({ icon, isDanger = false, onChoose, children }: ItemProps) {
  return (
    <button
      type="button"
      role="menuitem"
      tabIndex={-1}
      className={isDanger ? "menuItem warns" : "menuItem"}
      onClick={onChoose}
    >
      <Icon name={icon} />
      {children}
    </button>
  );
}
