/** Puts text into the clipboard. Rejects when the browser does not allow it. */
export async function copy(text: string): Promise<void> {
  // `navigator.clipboard` is there in a secure context only (https, localhost).
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
  if (!isDone) throw new Error("The browser did not copy.");
}
