/** The window's event that a file was dropped or pasted, and refused. */
export const REFUSED_FILE = "nonstop-file";

const isFile = (data: DataTransfer | null): boolean => data?.types.includes("Files") ?? false;
const takesText = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest("textarea, input") !== null;

/**
 * Refuses files and addresses that are dropped on the page: the browser would leave the page and open them.
 * Text may be dropped into a field. A pasted file is refused with the same event, if no text came with it.
 */
export function keepFilesOut(): void {
  const refuse = (event: DragEvent) => {
    if (!isFile(event.dataTransfer) && takesText(event.target)) return;
    event.preventDefault();
    if (event.type === "drop" && isFile(event.dataTransfer)) window.dispatchEvent(new Event(REFUSED_FILE));
  };
  window.addEventListener("dragover", refuse);
  window.addEventListener("drop", refuse);
  window.addEventListener("paste", ({ clipboardData }) => {
    const hasText = clipboardData?.types.includes("text/plain");
    if (isFile(clipboardData) && !hasText) window.dispatchEvent(new Event(REFUSED_FILE));
  });
}
