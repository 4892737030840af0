import { z } from "zod";

/**
 * The rules for text that clients write. It is normalized to NFC, so that what looks alike is alike; its length counts in code points, after that.
 * Ids that clients choose are not normalized, since they must be known again.
 */

/** C0, DEL and C1 but for tab and newline. */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
/** With them, and with the two separators of Unicode that end a line, too. */
const CONTROL_OR_LINE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

const WELL_FORMED = "must be well-formed Unicode, without lone surrogates";
const NO_CONTROL = "must have no control characters but tab and newline";
const ONE_LINE = "must be one line without control characters";

const DEVICE_CHARACTERS = 64;

/** Whether a text has at most so many code points; they are counted only where its UTF-16 length leaves a doubt. */
export function atMost(text: string, characters: number): boolean {
  if (text.length <= characters) return true;
  return text.length <= 2 * characters && [...text].length <= characters;
}

const wellFormed = () => z.string().refine((text) => text.isWellFormed(), WELL_FORMED);
const without = (forbidden: RegExp) => (text: string) => !forbidden.test(text);
const fits = (characters: number) =>
  [(text: string) => atMost(text, characters), `must have at most ${characters} characters`] as const;

/** Normalizing sorts marks in a time that grows with the square of their number: no more are handed to it in a row than any script needs by far. */
const MARKS_IN_A_ROW = 100;
const MANY_MARKS = new RegExp(`(?<!\\p{M})\\p{M}{${MARKS_IN_A_ROW + 1}}`, "u");
/** One code point in NFC stands for at most so many. */
const CODE_POINTS_OF_ONE = 4;

/** In NFC, at most so many code points then. What is refused isn't normalized. */
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

/** Text of several lines: NFC, at most so many code points, no control characters but tab and newline. */
export const lines = (characters: number) => normalized(wellFormed(), CONTROL, NO_CONTROL, characters);

/** A name: the same without the white space around it, and not empty. */
export const named = (characters: number) =>
  normalized(wellFormed().trim(), CONTROL, NO_CONTROL, characters).min(1);

/** An id that a client chooses and gets back as it was: 1 to so many code points, no control characters but tab and newline. */
export const opaque = (characters: number) =>
  wellFormed()
    .min(1)
    .refine(without(CONTROL), NO_CONTROL)
    .refine(...fits(characters));

/** What a client calls its device. */
export const DeviceId = normalized(wellFormed(), CONTROL_OR_LINE, ONE_LINE, DEVICE_CHARACTERS)
  .min(1)
  .meta({ description: "1 to 64 characters on one line", maxLength: DEVICE_CHARACTERS });
