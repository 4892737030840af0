import { chunkOf } from "./chunks.js";
import type { Anchor } from "./scrollAnchor.js";

/** How many pixels above the end still count as the end. */
const END_PX = 48;
/** The line of new messages is put this part of the log's height below the top. */
const LINE_AT = 0.25;
/** `checkVisibility` is false with it for what `content-visibility: auto` skips. */
const DRAWN = { contentVisibilityAuto: true };

interface Measured {
  /** Where the log was scrolled to, in pixels. */
  readonly scrollTop: number;
  /** How high its content was. */
  readonly height: number;
}

/**
 * How the log is scrolled, and how it stays so when its content changes. `following`: its end stays in view.
 * `held`: the anchor's message stays where it is.
 */
export type View =
  | (Measured & { readonly state: "following" })
  | (Measured & { readonly state: "held"; readonly anchor: Anchor });

export const isAtEnd = ({ scrollHeight, scrollTop, clientHeight }: HTMLElement): boolean =>
  scrollHeight - scrollTop - clientHeight < END_PX;

/** The view that the user has scrolled to. */
export const viewOf = (log: HTMLElement): View => (isAtEnd(log) ? following(log) : heldAtTop(log));

const measured = ({ scrollTop, scrollHeight: height }: HTMLElement): Measured => ({ scrollTop, height });
const following = (log: HTMLElement): View => ({ state: "following", ...measured(log) });
const held = (log: HTMLElement, anchor: Anchor): View => ({ state: "held", anchor, ...measured(log) });

/** A log without a stored message has nothing to hold, and follows its end. */
function heldAtTop(log: HTMLElement): View {
  const anchor = topAnchor(log);
  return anchor ? held(log, anchor) : following(log);
}

/**
 * Scrolls a log that is drawn for the first time: to the anchor from before a reload, else to the line of new
 * messages, else to the end.
 */
export function firstView(log: HTMLElement, before: Anchor | undefined): View {
  if (before && scrollToAnchor(log, before)) return held(log, before);
  log.scrollTop = log.scrollHeight;
  const line = log.querySelector(".newLine");
  const row = line?.nextElementSibling;
  if (!line || !(row instanceof HTMLElement) || !row.dataset["seq"]) return following(log);
  log.scrollTop += topIn(log, line) - log.clientHeight * LINE_AT;
  if (isAtEnd(log)) return following(log);
  // The row at the top is no good anchor: the browser has not drawn it yet, and its height will change.
  return held(log, anchorAt(log, row));
}

/**
 * Scrolls back to a view of before, plus what the user has scrolled since. Undefined when the anchor's
 * message is gone.
 */
export function putBack(log: HTMLElement, before: View): View | undefined {
  const scrolled = log.scrollTop - before.scrollTop;
  if (before.state === "following") {
    // The scroll position also falls when something at the end goes away: then the user has not scrolled.
    const isCut = log.scrollHeight - log.clientHeight < before.scrollTop;
    if (scrolled < -END_PX && !isCut) return heldAtTop(log);
    log.scrollTop = log.scrollHeight;
    return following(log);
  }
  const { seq, offset } = before.anchor;
  const anchor = { seq, offset: offset - scrolled };
  return scrollToAnchor(log, anchor) ? held(log, anchor) : undefined;
}

/** False when the anchor's message is not drawn. */
function scrollToAnchor(log: HTMLElement, { seq, offset }: Anchor): boolean {
  const chunk = log.querySelector(`[data-chunk="${chunkOf(seq)}"]`);
  const row = chunk?.querySelector(`[data-seq="${seq}"]`);
  if (!row) return false;
  const moved = topIn(log, row) - offset;
  // Less than a pixel is only the rounding of positions.
  if (Math.abs(moved) >= 1) log.scrollTop += moved;
  return true;
}

/** How many pixels below the top of the log the element begins. */
const topIn = (log: HTMLElement, inner: Element): number =>
  inner.getBoundingClientRect().top - log.getBoundingClientRect().top;

const anchorAt = (log: HTMLElement, row: HTMLElement): Anchor => ({
  seq: Number(row.dataset["seq"]),
  offset: topIn(log, row),
});

/** The first stored message in view; undefined when none is stored. */
function topAnchor(log: HTMLElement): Anchor | undefined {
  const { top } = log.getBoundingClientRect();
  const chunks = [...log.querySelectorAll("[data-chunk]")];
  const chunk = topChunk(chunks, top);
  const rows = rowsIn(chunk);
  const at = firstBelow(rows, top);
  // The very first row loses its sender's name when an older message is put before it: the next one is held.
  const isFirst = at === 0 && chunk === chunks[0];
  // A chunk may have only messages that aren't stored yet: then the last stored one of the log is held.
  const row = (isFirst && rows[1]) || rows[at] || rowsIn(log).at(-1);
  return row && anchorAt(log, row);
}

const rowsIn = (element: Element | undefined): HTMLElement[] => [
  ...(element?.querySelectorAll<HTMLElement>("[data-seq]") ?? []),
];

/** The chunk at the top of the view. It is found before its rows, so that no skipped rows are laid out. */
function topChunk(chunks: readonly Element[], top: number): Element | undefined {
  const at = firstBelow(chunks, top);
  const isSkipped = (chunk: Element | undefined) => !chunk?.firstElementChild?.checkVisibility?.(DRAWN);
  // A chunk that has just come into view is not drawn yet, and its height is a guess: the next one was seen.
  return chunks[isSkipped(chunks[at]) && !isSkipped(chunks[at + 1]) ? at + 1 : at];
}

/** The index of the first element that ends below `top`, or of the last one: a binary search. */
function firstBelow(elements: readonly Element[], top: number): number {
  let [low, high] = [0, elements.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (elements[middle]!.getBoundingClientRect().bottom <= top) low = middle + 1;
    else high = middle;
  }
  return low;
}
