import { z } from "zod";

/**
 * The rules for text that clients write. It is normalized to NFC, so that what looks alike is alike; its length counts in code points, after that.
 * Ids that clients choose are not normalized, since they must be known again.
 */

/** C0, DEL and C1 but for tab and newline. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const CONTROL_OR_LINE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

const DEVICE_CHARACTERS = 64;

/** Whether a text has at most so many code points; they are counted only where its UTF-16 length leaves a doubt. */
export function atMost(text: string, characters: number): boolean {
  if (text.length <= characters) return true;
  return text.length <= 2 * characters && [...text].length <= characters;
}

const wellFormed = (text: string): boolean => text.isWellFormed();
const NO_CONTROL = "must have no control characters but tab and newline";
const WELL_FORMED = "must be well-formed Unicode, without lone surrogates";

const clean = (forbidden: RegExp, message: string) =>
  z
    .string()
    .refine(wellFormed, WELL_FORMED)
    .refine((text) => !forbidden.test(text), message)
    .normalize("NFC");

const fits = (characters: number) =>
  [(text: string) => atMost(text, characters), `must have at most ${characters} characters`] as const;

/** Text of several lines: NFC, at most so many code points, no control characters but tab and newline. */
export const lines = (characters: number) => clean(CONTROL, NO_CONTROL).refine(...fits(characters));

/** A name: the same, without the white space around it, and not empty. */
export const named = (characters: number) =>
  clean(CONTROL, NO_CONTROL)
    .trim()
    .min(1)
    .refine(...fits(characters));

/** An id that a client chooses and gets back as it was: 1 to so many code points, no control characters but tab and newline. */
export const opaque = (characters: number) =>
  z
    .string()
    .min(1)
    .refine(wellFormed, WELL_FORMED)
    .refine((text) => !CONTROL.test(text), NO_CONTROL)
    .refine(...fits(characters));

/** What a client calls its device. */
export const DeviceId = clean(CONTROL_OR_LINE, "must be one line without control characters")
  .min(1)
  .refine(...fits(DEVICE_CHARACTERS))
  .meta({ description: "1 to 64 characters on one line", maxLength: DEVICE_CHARACTERS });
