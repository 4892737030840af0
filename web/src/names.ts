/** What takes no place on the screen, or turns around the text beside it. */
const UNSEEN = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF]/gu;
/** Blank, though some of it counts as a letter or a symbol: joiners, selectors, fillers, empty Braille. */
const BLANK = /[\s\p{Z}\p{M}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** A name as it is shown, on one line: nothing in it turns other text around. What would look empty is undefined. */
export function shownName(name: string | null | undefined): string | undefined {
  const shown = (name ?? "").replace(/\s+/g, " ").replace(UNSEEN, "").trim();
  return shown.replace(BLANK, "") === "" ? undefined : shown;
}
