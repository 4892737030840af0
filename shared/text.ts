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

/** Text of several lines: NFC, at most so many code points, no control characters but tab and newline. */
export const lines = (characters: number) =>
  wellFormed()
    .refine(without(CONTROL), NO_CONTROL)
    .normalize("NFC")
    .refine(...fits(characters));

/** A name: one line in NFC, 1 to so many code points, without the white space around it. */
export const named = (characters: number) =>
  wellFormed()
    .trim()
    .refine(without(CONTROL_OR_LINE), ONE_LINE)
    .normalize("NFC")
    .min(1)
    .refine(...fits(characters));

/** An id that a client chooses and gets back as it was: one line of 1 to so many code points. */
export const opaque = (characters: number) =>
  wellFormed()
    .min(1)
    .refine(without(CONTROL_OR_LINE), ONE_LINE)
    .refine(...fits(characters));

/** What a client calls its device. */
export const DeviceId = wellFormed()
  .refine(without(CONTROL_OR_LINE), ONE_LINE)
  .normalize("NFC")
  .min(1)
  .refine(...fits(DEVICE_CHARACTERS))
  .meta({ description: "1 to 64 characters on one line", maxLength: DEVICE_CHARACTERS });
