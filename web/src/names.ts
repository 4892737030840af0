/** Characters that are not drawn, or change the direction of the text beside them. */
const UNSEEN = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF]/gu;
/**
 * Characters that look empty, though some count as letters or symbols: joiners, selectors, fillers, empty
 * Braille.
 */
const BLANK = /[\s\p{Z}\p{M}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/**
 * A name as it is shown: on one line, and without characters that change the direction of other text.
 * Undefined when it would look empty.
 */
export function shownName(name: string | null | undefined): string | undefined {
  const shown = (name ?? "").replace(/\s+/g, " ").replace(UNSEEN, "").trim();
  return shown.replace(BLANK, "") === "" ? undefined : shown;
}
