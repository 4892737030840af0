import { z } from "zod";
import { hasDirection, hasStray, isVisible, withoutStray } from "./invisible.js";

/**
 * The rules for text that clients write. Text is normalized to NFC, so that texts that look alike are alike.
 * Its length is counted in code points after that. A text needs something visible. Names lose their invisible
 * characters (`invisible.ts`). Ids that clients choose stay unchanged, because clients must find them again.
 */

/** C0, DEL and C1, except tab and newline. */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
/** All of C0, DEL and C1, and Unicode's two separators that end a line. */
const CONTROL_OR_LINE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

const WELL_FORMED = "must be well-formed Unicode, without lone surrogates";
const NO_CONTROL = "must have no control characters but tab and newline";
const ONE_LINE = "must be one line without control characters";
const NO_DIRECTION = "must have no characters that change the direction of text";
const SOMETHING_VISIBLE = "must have something visible";

const DEVICE_CHARACTERS = 64;

/**
 * Whether a text has at most this many code points. It counts them only if the UTF-16 length leaves a doubt.
 */
export function atMost(text: string, characters: number): boolean {
  if (text.length <= characters) return true;
  return text.length <= 2 * characters && [...text].length <= characters;
}

const wellFormed = () => z.string().refine((text) => text.isWellFormed(), WELL_FORMED);
const without = (forbidden: RegExp) => (text: string) => !forbidden.test(text);
const fits = (characters: number) =>
  [(text: string) => atMost(text, characters), `must have at most ${characters} characters`] as const;

/**
 * Normalizing sorts a row of marks in a time that grows with the square of their number. This limit is far
 * above the need of any script.
 */
const MARKS_IN_A_ROW = 100;
const MANY_MARKS = new RegExp(`(?<!\\p{M})\\p{M}{${MARKS_IN_A_ROW + 1}}`, "u");
/** Normalizing to NFC makes one code point of at most this many. */
const CODE_POINTS_OF_ONE = 4;

/**
 * Normalizes to NFC and then limits the number of code points. Text that is refused anyway is not normalized,
 * because normalizing is expensive.
 */
function normalized(text: z.ZodString, forbidden: RegExp, message: string, characters: number): z.ZodString {
  const [, tooLong] = fits(characters);
  return text
    .refine(without(forbidden), message)
    .refine(without(MANY_MARKS), {
      error: `must have at most ${MARKS_IN_A_ROW} combining marks in a row`,
      abort: true,
    })
    .refine((raw) => atMost(raw, CODE_POINTS_OF_ONE * characters), { error: tooLong, abort: true })
    .normalize("NFC")
    .refine(...fits(characters));
}

/**
 * Text of several lines: NFC, at most this many code points, no control characters except tab and newline.
 */
export const lines = (characters: number) => normalized(wellFormed(), CONTROL, NO_CONTROL, characters);

const undirected = (text: string): boolean => !hasDirection(text);

/** The same, with something visible in it. */
export const visibleLines = (characters: number) =>
  lines(characters)
    .refine((text) => text.trim() !== "", "must not be empty or only white space")
    .refine(isVisible, SOMETHING_VISIBLE);

/** Whether a text is an https URL without invisible characters. */
export function isHttpsUrl(text: string): boolean {
  return /^https:\/\/\S+$/i.test(text) && !hasStray(text) && URL.canParse(text);
}

/**
 * A name, of at most this many code points, with something visible. Characters that change the direction of
 * the text beside them are refused. White space around the name is cut off. Invisible characters without a
 * use are taken out.
 */
export const named = (characters: number) =>
  normalized(
    wellFormed().refine(undirected, NO_DIRECTION).overwrite(withoutStray).trim(),
    CONTROL,
    NO_CONTROL,
    characters,
  )
    .min(1)
    .refine(isVisible, SOMETHING_VISIBLE);

/**
 * An id that a client chooses and gets back unchanged: 1 to this many code points, no control characters
 * except tab and newline.
 */
export const opaque = (characters: number) =>
  wellFormed()
    .min(1)
    .refine(without(CONTROL), NO_CONTROL)
    .refine(...fits(characters));

/** The name that a client gives its device. */
export const DeviceId = normalized(
  wellFormed().refine(undirected, NO_DIRECTION),
  CONTROL_OR_LINE,
  ONE_LINE,
  DEVICE_CHARACTERS,
)
  .min(1)
  .refine(isVisible, SOMETHING_VISIBLE)
  .meta({ description: "1 to 64 characters on one line, one of them visible", maxLength: DEVICE_CHARACTERS });
