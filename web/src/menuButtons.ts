/** The log stands still when no scroll event has come for this time. */
const STILL_AFTER_MS = 200;
/** Where the last message in view is looked for: this far above the lower edge of the log. */
const ABOVE_EDGE_PX = 24;

/** Makes the button the one to which the Tab key leads (a roving tabindex). */
export function makeReachable(log: HTMLElement, button: HTMLElement): void {
  for (const other of log.querySelectorAll<HTMLElement>('.more[tabindex="0"]')) other.tabIndex = -1;
  button.tabIndex = 0;
}

/**
 * Makes the Tab key lead to the last message in view, until the signal is aborted. A message out of view
 * would scroll the log away from what the user reads.
 */
export function keepReachable(log: HTMLElement, signal: AbortSignal): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onScroll = () => {
    clearTimeout(timer);
    timer = setTimeout(() => chooseLast(log), STILL_AFTER_MS);
  };
  log.addEventListener("scroll", onScroll, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
}

/** The button of a message that has the focus stays the one that is reachable. */
function chooseLast(log: HTMLElement): void {
  if (log.contains(document.activeElement) && document.activeElement !== log) return;
  const { left, bottom, width } = log.getBoundingClientRect();
  const seen = document.elementsFromPoint(left + width / 2, bottom - ABOVE_EDGE_PX);
  const chunk = seen.map((one) => one.closest("[data-chunk]")).find((one) => one !== null);
  const buttons = [...(chunk?.querySelectorAll<HTMLElement>(".more") ?? [])];
  const last = buttons.findLast((one) => one.getBoundingClientRect().bottom <= bottom);
  if (last) makeReachable(log, last);
}
