import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hasDirection, hasStray, isVisible, visibleName, withoutStray } from "./invisible.js";

const name = (text: string): string =>
  [...text].map((one) => `U+${one.codePointAt(0)!.toString(16).padStart(4, "0")}`).join(" ");
const named = (texts: readonly string[]): [string, string][] => texts.map((text) => [name(text), text]);
const points = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index));
const nickname = (text: string): string | undefined => visibleName(text, 100);

/** Some invisible characters of every kind. */
const INVISIBLE = [
  ..."\u00ad\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufeff\u2060\u2061\u2065\ufff0\ufffb",
  ...points(0x180b, 0x180f),
  ...points(0x200b, 0x200f),
  ...points(0x202a, 0x202e),
  ...points(0x2066, 0x206f),
  ...points(0xfe00, 0xfe0f),
  ..."\u061c\u{1bca0}\u{1d173}\u{e0001}\u{e0041}\u{e007f}\u{e0100}\u{e01ef}\u{e0fff}\ufdd0\uffff\u{10ffff}",
];
const GAPS = [..." \u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u2800\ufffc\u{1d159}\u{13441}"];

/** Texts that need characters which are invisible by themselves. */
const MADE_OF_SEVERAL = [
  "👩‍🚀",
  "👩🏽‍🚀",
  "👨‍👩‍👧‍👦",
  "🏳️‍🌈",
  "🏳️‍⚧️",
  "🏴‍☠️",
  "👩‍❤️‍💋‍👨",
  "🧑🏿‍🤝‍🧑🏻",
  "🕵🏼‍♂️",
  "🚶‍♀️‍➡️",
  "❤️",
  "❤️‍🔥",
  "☎️",
  "😀\ufe0e",
  "1️⃣",
  "#️⃣",
  "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
  "🇰🇷",
  "👍🏿",
  // Persian; Sinhala; Devanagari; Bengali; Malayalam as written before its chillu letters; Kannada;
  // Mongolian.
  "می‌خواهم",
  "بَ‌ن",
  "ශ්‍රී",
  "क्‍ष",
  "क्‌ष",
  "র‍্যাব",
  "മോഹന്‍",
  "ರ‍್ಕ",
  "ᠠ᠋",
  "ᠨ᠎ᠠ",
];
const PLAIN = [
  "Ann",
  "비",
  "ㄱ",
  "ᄀ",
  'O\'Hara \\ "x"',
  "é",
  "שלום",
  "سلام",
  "กำ",
  "नमस्ते",
  "葛",
  "\ue000",
  "★",
  "🙂",
];

describe("something is visible", () => {
  test.each(named([...MADE_OF_SEVERAL, ...PLAIN, "\u{1faef}", "\u0378"]))("in %s", (_name, text) => {
    expect(isVisible(text)).toBe(true);
    for (const invisible of INVISIBLE) expect(isVisible(`${invisible}${text}${invisible}`)).toBe(true);
  });

  test.each(
    named(["", ...INVISIBLE, ...GAPS, "\0", "\n", "\u0301", "\u20dd", "\ufe0f\u20e3", "\ud800", "\u0600"]),
  )("but not in %s, nor in several of them", (_name, text) => {
    expect(isVisible(text)).toBe(false);
    expect(isVisible(`${text} \u3164${text}\u200d\u0301`)).toBe(false);
  });
});

describe("invisible characters", () => {
  test.each(named([...MADE_OF_SEVERAL, ...PLAIN]))("stay where they have a use: %s", (_name, text) => {
    expect(withoutStray(text)).toBe(text);
    expect(nickname(text)).toBe(text.normalize("NFC"));
    expect(nickname(`a${text}b ${text}`)).toBe(`a${text}b ${text}`.normalize("NFC"));
  });

  test.each(named(INVISIBLE))("go where they have no use: %s", (_name, invisible) => {
    for (const text of ["Ann", "비", "Ann 5", "שלום", "нет"]) {
      const [first = "", ...rest] = text;
      const hidden = [text + invisible, invisible + text, first + invisible + rest.join("")];
      expect(hidden.map(withoutStray)).toEqual([text, text, text]);
      expect(hidden.map(nickname)).toEqual([text, text, text]);
      expect(hidden.map(hasStray)).toEqual([true, true, true]);
    }
  });

  test.each([
    ["a non-joiner behind a letter that joins nothing", "رضا", "ر\u200cضا"],
    ["a non-joiner before a letter that joins nothing", "سء", "س\u200cء"],
    ["a joiner between letters that join", "سلام", "س\u200dلام"],
    ["a non-joiner at a name's end", "سلام", "سلام\u200c"],
    ["a non-joiner behind a last virama", "क्", "क्\u200c"],
    ["two joiners", "ශ්\u200dරී", "ශ්\u200d\u200dරී"],
    ["a selector that changes nothing", "😀", "😀\ufe0f"],
    ["two selectors", "❤\ufe0f", "❤\ufe0f\ufe0f"],
    ["a selector behind a digit", "Ann 1", "Ann 1\ufe0f"],
    ["tags that name no flag", "🏴", "🏴\u{e0067}\u{e0062}"],
    ["tags behind another emoji", "🙂", "🙂\u{e0067}\u{e0062}\u{e0065}\u{e007f}"],
    ["a joiner at the end", "👩", "👩\u200d"],
    ["a joiner between letters and emoji", "a👩", "a\u200d👩"],
    ["a variant of an ideograph", "葛", "葛\u{e0100}"],
  ])("look alike with and without %s", (_what, plain, hidden) => {
    expect(nickname(hidden)).toBe(plain);
  });

  test("an emoji of several is one with and without the selectors of its members", () => {
    expect(nickname("🏳\u200d🌈")).toBe("🏳️‍🌈");
    expect(nickname("🕵🏼\u200d♂")).toBe("🕵🏼‍♂️");
    expect(nickname("👩\u200d❤\u200d👨")).toBe("👩‍❤️‍👨");
  });
});

describe("a member's name", () => {
  test.each(named(GAPS))("has single spaces in place of %s", (_name, gap) => {
    expect(nickname(`${gap}Ann${gap}${gap}Lee${gap}`)).toBe("Ann Lee");
  });

  test.each([
    ["control characters", "A\0n\nn\u007f\u009b", "Ann"],
    ["marks before its first letter", " \u0301\u20ddAnn", "Ann"],
    ["a character that keeps a letter from its mark", "e\u200b\u0301", "é"],
    ["a lone surrogate", "a\ud800", "a\ufffd"],
    ["an override", "\u202egnp.exe", "gnp.exe"],
  ])("loses or mends %s", (_what, raw, expected) => {
    expect(nickname(raw)).toBe(expected);
  });

  test.each(
    named(["", " ", "\u3164", "\u2800", "\u200d\ufe0f", "\u0301", "\u202e\u202c", "\u{e0041}\u{e007f}"]),
  )("is none where nothing is left: %s", (_name, raw) => {
    expect(nickname(raw)).toBeUndefined();
  });

  test("is cut between characters", () => {
    expect(visibleName("ab👩‍🚀", 4)).toBe("ab");
    expect(visibleName("ab👩‍🚀", 5)).toBe("ab👩‍🚀");
    expect(visibleName("ab c", 3)).toBe("ab");
    expect(visibleName("x\u0316\u0316\u0316\u0316", 3)).toBe("x\u0316\u0316");
  });

  test("made of any text stays as it is, is visible and changes no direction", () => {
    const character = fc.oneof(
      fc.constantFrom(...INVISIBLE, ...GAPS, ...MADE_OF_SEVERAL.flatMap((text) => [...text]), "a", "\u0301"),
      fc.string({ unit: "binary", maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(character, { maxLength: 30 }), fc.integer({ min: 1, max: 30 }), (parts, most) => {
        const once = visibleName(parts.join(""), most);
        if (once === undefined) return;
        expect(visibleName(once, most)).toBe(once);
        expect([...once].length).toBeLessThanOrEqual(most);
        expect([isVisible(once), hasDirection(once), hasStray(once)]).toEqual([true, false, false]);
      }),
      { numRuns: 10_000 },
    );
  });
});

test("these characters set directions, and no others", () => {
  const all = points(0, 0xd7ff).filter(hasDirection).map(name);
  expect(all).toEqual(
    ["\u061c", "\u200e", "\u200f", ...points(0x202a, 0x202e), ...points(0x2066, 0x2069)].map(name),
  );
});
