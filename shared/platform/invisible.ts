/**
 * Invisible characters, by their Unicode properties. A text that nobody can see is no message and no name.
 * Two names that differ only in invisible characters are one name to a reader.
 */

/**
 * Characters drawn as nothing, though no property says so: Braille's empty cell, the null notehead,
 * hieroglyphs' blanks, the object replacement character.
 */
const BLANK = "\\u2800\\u{1d159}\\u{13441}\\u{13442}\\ufffc";

/** Characters drawn as nothing by their properties, and the anchors of annotations. */
const STRAY = "\\p{Default_Ignorable_Code_Point}\\p{Noncharacter_Code_Point}\\ufff9-\\ufffb";

/** Marks, control, format and surrogate characters, and others drawn as nothing by their properties. */
const UNDRAWN = "\\p{Default_Ignorable_Code_Point}\\p{Noncharacter_Code_Point}\\p{Cc}\\p{Cf}\\p{Cs}\\p{M}";

/**
 * A mark is drawn on the character before it, so it is not visible by itself. Private and unknown characters
 * are drawn as something, if only as a box.
 */
const VISIBLE = new RegExp(`[^${UNDRAWN}\\p{White_Space}${BLANK}]`, "u");
const BEGINNING = new RegExp(`^[${STRAY}\\p{White_Space}\\p{M}${BLANK}]+`, "u");
const GAPS = new RegExp(`[\\p{White_Space}${BLANK}]+`, "gu");

/** Whether anything of a text can be seen. */
export const isVisible = (text: string): boolean => VISIBLE.test(text);

/** Whether a text has characters that set, isolate or override the direction of the text beside them. */
export const hasDirection = (text: string): boolean => /\p{Bidi_Control}/u.test(text);

/**
 * Whether a text has invisible characters without a use where they stand, or gaps that are no white space.
 */
export const hasStray = (text: string): boolean =>
  withoutStray(text) !== text || new RegExp(`[${BLANK}]`, "u").test(text);

/** Flags of a country's parts: a black flag, the name in tags, and their end. Other tags are hidden text. */
const TAGGED_FLAG = "\\u{1f3f4}[\\u{e0030}-\\u{e0039}\\u{e0061}-\\u{e007a}]{3,6}\\u{e007f}";
const FLAG_OR_STRAY = new RegExp(`${TAGGED_FLAG}|[${STRAY}]`, "gu");

/** The text without invisible characters, except those that change how their neighbours look. */
export function withoutStray(text: string): string {
  return text.replace(FLAG_OR_STRAY, (found, at: number) => {
    const before = text.slice(Math.max(0, at - LOOK_BACK), at);
    const after = text.slice(at + found.length, at + found.length + LOOK_AHEAD);
    return found.length > 2 || hasUse(found, before, after) ? found : "";
  });
}

/** Code units. Before: a letter with the marks on it. After: one character of two units. */
const LOOK_BACK = 16;
const LOOK_AHEAD = 2;

const NON_JOINER = "\u200c";
const JOINER = "\u200d";

/**
 * Arabic letters that never join the letter behind them (Joining_Type R and U). A non-joiner behind them
 * changes nothing.
 */
const ENDS_JOINING =
  "\\u0621-\\u0625\\u0627\\u0629\\u062f-\\u0632\\u0648\\u0671-\\u0677\\u0688-\\u0699" +
  "\\u06c0\\u06c3-\\u06cb\\u06cd\\u06cf\\u06d2-\\u06d5\\u06ee\\u06ef";

/**
 * The uses of invisible characters that change what is seen: the character, the text before it, the text
 * after it.
 */
const USES: readonly (readonly [character: RegExp, before: RegExp, after: RegExp])[] = [
  // Emoji that are made of several emoji.
  [/\u200d/, /(?:\p{ExtPict}\ufe0f?|\p{EMod})$/u, /^\p{ExtPict}/u],
  // An emoji that would be drawn as text, and the other way round. Digits in keycaps.
  [/\ufe0f/, /(?!\p{EPres})\p{ExtPict}$/u, /^/],
  [/\ufe0e/, /(?=\p{EPres})\p{ExtPict}$/u, /^/],
  [/\ufe0f/, /[0-9#*]$/, /^\u20e3/],
  // Arabic letters that would join. Marks between them are transparent.
  [
    /\u200c/,
    new RegExp(`(?![${ENDS_JOINING}])(?=\\p{L})\\p{Script=Arabic}\\p{M}*$`, "u"),
    /^(?!\u0621)(?=\p{L})\p{Script=Arabic}/u,
  ],
  // Mongolian letters' shapes.
  [/[\u180b-\u180f]/, /(?=\p{L})\p{Script=Mongolian}$/u, /^/],
];

function hasUse(character: string, before: string, after: string): boolean {
  if (USES.some((use) => use[0].test(character) && use[1].test(before) && use[2].test(after))) return true;
  if (character !== JOINER && character !== NON_JOINER) return false;
  const [last = "", next = ""] = [[...before].at(-1), [...after][0]];
  // RFC 5892 appendix A: in Indic scripts a virama joins consonants, and the joiner or non-joiner says how. A
  // non-joiner at the end has nothing to change.
  if (isVirama(last)) return character === JOINER || /\p{L}/u.test(next);
  return character === JOINER && /\p{L}/u.test(last) && isVirama(next);
}

/**
 * Whether a mark is a virama, which means that its canonical combining class is 9. No property of regular
 * expressions tells that class. The order of marks in normalized text does: class 9 stands behind class 8 and
 * before class 10.
 */
function isVirama(mark: string): boolean {
  const isMoved = (text: string): boolean => text.normalize("NFD") !== text;
  return /^\p{M}$/u.test(mark) && isMoved(`\u05b0${mark}`) && isMoved(`${mark}\u3099`);
}

/** An emoji that is drawn as text by itself. */
const TEXT_EMOJI = "(?=\\p{Emoji})(?!\\p{EPres})\\p{ExtPict}";
/**
 * Members of an emoji of several that are drawn as text by themselves, and have no selector. The whole emoji
 * looks the same with and without the selector.
 */
const UNSELECTED = new RegExp(
  `${TEXT_EMOJI}(?=\\u200d)|(?<=\\u200d)${TEXT_EMOJI}(?![\\ufe0f\\p{EMod}])`,
  "gu",
);

/**
 * A member's name as it is shown, of at most this many code points, or nothing if nothing of it is visible.
 * The name comes from a token, so nobody can be asked to change it. Characters that would make it look like
 * another member's name are taken out or made plain: control and invisible characters, white space other than
 * single spaces, marks at its beginning.
 */
export function visibleName(raw: string, characters: number): string | undefined {
  const name = cut(plain(raw.toWellFormed().replace(/\p{Cc}/gu, "")), characters);
  return isVisible(name) ? name : undefined;
}

/**
 * Makes a text plain until it stays as it is: a removal may bring together characters that have no use
 * together.
 */
function plain(text: string): string {
  const next = withoutStray(text)
    .replace(UNSELECTED, "$&\ufe0f")
    .replace(GAPS, " ")
    .replace(BEGINNING, "")
    .normalize("NFC")
    .trimEnd();
  return next === text ? text : plain(next);
}

/** Cuts a text between the characters that a reader sees, unless the first of them is too long by itself. */
function cut(text: string, characters: number): string {
  const all = [...text];
  if (all.length <= characters) return text;
  let end = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const length = [...segment].length;
    if (end + length > characters) break;
    end += length;
  }
  // An invisible character that had a use before the cut text has none now, and a selector may be needed.
  for (end ||= characters; ; end -= 1) {
    const kept = plain(all.slice(0, end).join(""));
    if ([...kept].length <= characters) return kept;
  }
}
