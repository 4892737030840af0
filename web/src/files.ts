/** A file or an address that is dropped on the page would take its place. Told of as an event of the window. */
export const REFUSED_FILE = "nonstop-file";

const isFile = (data: DataTransfer | null): boolean => data?.types.includes("Files") ?? false;
const takesText = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest("textarea, input") !== null;

/** Nothing that is dropped or pasted leads away from the page; text may be dropped where one writes. */
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
