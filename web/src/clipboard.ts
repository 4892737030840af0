/** Puts text into the clipboard; rejects where the browser does not let it. */
export async function copy(text: string): Promise<void> {
  // Only pages that are secure have it.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  if (!isDone) throw new Error("the browser did not copy");
}
