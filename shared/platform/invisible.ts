/**
 * Characters that can't be seen, by their Unicode properties. What nobody can see is no message and no name, and two names that differ by nothing
 * else are one to whoever reads them.
 */

/** Drawn as nothing, though no property says so: Braille's empty cell, the null notehead, hieroglyphs' blanks, the place of an object. */
const BLANK = "\\u2800\\u{1d159}\\u{13441}\\u{13442}\\ufffc";

/** Drawn as nothing by their properties, and the anchors of annotations. */
const STRAY = "\\p{Default_Ignorable_Code_Point}\\p{Noncharacter_Code_Point}\\ufff9-\\ufffb";

/** A mark is drawn on the character before it, so it counts for nothing by itself. Private and unknown characters are drawn as something, if only a box. */
const VISIBLE = new RegExp(
  `[^\\p{Default_Ignorable_Code_Point}\\p{White_Space}\\p{Cc}\\p{Cf}\\p{Cs}\\p{M}\\p{Noncharacter_Code_Point}${BLANK}]`,
  "u",
);
const BEGINNING = new RegExp(`^[${STRAY}\\p{White_Space}\\p{M}${BLANK}]+`, "u");
const GAPS = new RegExp(`[\\p{White_Space}${BLANK}]+`, "gu");

/** Whether anything of a text can be seen. */
export const isVisible = (text: string): boolean => VISIBLE.test(text);

/** Whether a text has characters that set, isolate or override the direction of what stands beside it. */
export const hasDirection = (text: string): boolean => /\p{Bidi_Control}/u.test(text);

/** Whether a text has invisible characters that have no use where they stand, or gaps that are no white space. */
export const hasStray = (text: string): boolean =>
  withoutStray(text) !== text || new RegExp(`[${BLANK}]`, "u").test(text);

/** Flags of a country's parts: a black flag, the name in tags, and their end. Other tags are hidden text. */
const TAGGED_FLAG = "\\u{1f3f4}[\\u{e0030}-\\u{e0039}\\u{e0061}-\\u{e007a}]{3,6}\\u{e007f}";
const FLAG_OR_STRAY = new RegExp(`${TAGGED_FLAG}|[${STRAY}]`, "gu");

/** Without invisible characters, but for those that change how their neighbours look. */
export function withoutStray(text: string): string {
  return text.replace(FLAG_OR_STRAY, (found, at: number) => {
    const before = text.slice(Math.max(0, at - LOOK_BACK), at);
    const after = text.slice(at + found.length, at + found.length + LOOK_AHEAD);
    return found.length > 2 || hasUse(found, before, after) ? found : "";
  });
}

/** Code units: a letter with the marks on it, and one character of two units. */
const LOOK_BACK = 16;
const LOOK_AHEAD = 2;

const NON_JOINER = "\u200c";
const JOINER = "\u200d";

/** Arabic letters that never join the one behind them (Joining_Type R and U), and so look the same with a non-joiner in between. */
const ENDS_JOINING =
  "\\u0621-\\u0625\\u0627\\u0629\\u062f-\\u0632\\u0648\\u0671-\\u0677\\u0688-\\u0699\\u06c0\\u06c3-\\u06cb\\u06cd\\u06cf\\u06d2-\\u06d5\\u06ee\\u06ef";

/** Where an invisible character changes what is seen: which one, behind what, before what. */
const USES: readonly (readonly [character: RegExp, before: RegExp, after: RegExp])[] = [
  // Emoji that are made of several.
  [/\u200d/, /(?:\p{ExtPict}\ufe0f?|\p{EMod})$/u, /^\p{ExtPict}/u],
  // An emoji that would be drawn as text, and the other way round; digits in keycaps.
  [/\ufe0f/, /(?!\p{EPres})\p{ExtPict}$/u, /^/],
  [/\ufe0e/, /(?=\p{EPres})\p{ExtPict}$/u, /^/],
  [/\ufe0f/, /[0-9#*]$/, /^\u20e3/],
  // Arabic letters that would join; marks between them are transparent.
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
  // RFC 5892 appendix A: in Indic scripts a virama joins consonants, and these say how. A non-joiner at the end joins nothing.
  if (isVirama(last)) return character === JOINER || /\p{L}/u.test(next);
  return character === JOINER && /\p{L}/u.test(last) && isVirama(next);
}

/**
 * Whether a mark is a virama, that is of canonical combining class 9. No property of regular expressions says so, but the order does in which
 * marks are normalized: behind one of class 8, before one of class 10.
 */
function isVirama(mark: string): boolean {
  const isMoved = (text: string): boolean => text.normalize("NFD") !== text;
  return /^\p{M}$/u.test(mark) && isMoved(`\u05b0${mark}`) && isMoved(`${mark}\u3099`);
}

/** Members of an emoji of several that would be drawn as text by themselves: with and without the selector it looks the same. */
const UNSELECTED =
  /(?=\p{Emoji})(?!\p{EPres})\p{ExtPict}(?=\u200d)|(?<=\u200d)(?=\p{Emoji})(?!\p{EPres})\p{ExtPict}(?![\ufe0f\p{EMod}])/gu;

/**
 * A member's name as it is shown, of at most so many code points, or nothing where nothing of it can be seen. Nobody can be asked to write it otherwise, so all that
 * would make it look like another one's without being it is taken out or made plain: control and invisible characters, other white space than
 * single spaces, marks at its beginning.
 */
export function visibleName(raw: string, characters: number): string | undefined {
  const name = cut(plain(raw.toWellFormed().replace(/\p{Cc}/gu, "")), characters);
  return isVisible(name) ? name : undefined;
}

/** Made plain until it stays as it is: what is taken out may bring together what has no use beside each other. */
function plain(text: string): string {
  const next = withoutStray(text)
    .replace(UNSELECTED, "$&\ufe0f")
    .replace(GAPS, " ")
    .replace(BEGINNING, "")
    .normalize("NFC")
    .trimEnd();
  return next === text ? text : plain(next);
}

/** Cut between what is seen as one character, unless the first is longer than that by itself. */
function cut(text: string, characters: number): string {
  const all = [...text];
  if (all.length <= characters) return text;
  let end = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const length = [...segment].length;
    if (end + length > characters) break;
    end += length;
  }
  // What had a use before something that is cut off has none now, and a selector may be needed.
  for (end ||= characters; ; end -= 1) {
    const kept = plain(all.slice(0, end).join(""));
    if ([...kept].length <= characters) return kept;
  }
}
