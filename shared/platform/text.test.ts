import { describe, expect, test, vi } from "vitest";
import { DeviceId, isHttpsUrl, lines, named, opaque, visibleLines } from "./text.js";

/** C0, DEL and C1. */
const CONTROLS = [...Array(32).keys(), ...Array.from({ length: 33 }, (_, index) => 0x7f + index)].map(
  (code) => String.fromCharCode(code),
);
const name = (text: string): string => `U+${text.charCodeAt(0).toString(16).padStart(4, "0")}`;
/** Characters that no text may hold. */
const FORBIDDEN = CONTROLS.filter((one) => one !== "\t" && one !== "\n").map((one) => [name(one), one]);

describe("text of several lines", () => {
  const schema = lines(10);

  test.each(FORBIDDEN)("has no %s", (_name, control) => {
    const result = schema.safeParse(`a${control}b`);
    expect(result.error?.issues[0]?.message).toBe("must have no control characters but tab and newline");
  });

  test.each(["\t", "\n", "a\n\tb", "비 🙂", "a\u2028b", "\u00a0", "\u200b"])("may be %j", (text) => {
    expect(schema.parse(text)).toBe(text.normalize("NFC"));
  });

  test.each(["\ud800", "a\udc00", "\udc00\ud800"])("is well-formed, which %j is not", (text) => {
    expect(schema.safeParse(text).error?.issues[0]?.message).toBe(
      "must be well-formed Unicode, without lone surrogates",
    );
  });

  test.each([
    ["e\u0301", "\u00e9"],
    ["\u1112\u1161\u11ab", "한"],
    ["\u212b", "\u00c5"],
    ["\u0344", "\u0308\u0301"],
  ])("is normalized: %j becomes %j", (text, normalized) => {
    expect(schema.parse(text)).toBe(normalized);
  });

  test("is measured in code points after it was normalized", () => {
    expect(schema.safeParse("🙂".repeat(10)).success).toBe(true);
    expect(schema.safeParse("🙂".repeat(11)).success).toBe(false);
    // Ten pairs of characters become ten single characters.
    expect(schema.safeParse("e\u0301".repeat(10)).success).toBe(true);
    // Each of these characters becomes two.
    expect(schema.safeParse("\u0344".repeat(6)).success).toBe(false);
  });
});

describe("text that would take long to normalize", () => {
  test("has at most 100 combining marks in a row", () => {
    const schema = lines(300);
    const marks = (count: number): string => `a${"\u0316".repeat(count)}`;
    expect(schema.parse(`${marks(100)}${marks(100)}`)).toBe(`${marks(100)}${marks(100)}`);
    for (const many of [marks(101), `${marks(100)}\u0301`, "\u0316".repeat(101)])
      expect(schema.safeParse(many).error?.issues[0]?.message).toBe(
        "must have at most 100 combining marks in a row",
      );
  });

  test.each<[string, string]>([
    ["marks", "\u0316\u0301".repeat(16_000)],
    ["marks behind letters", `a${"\u0316\u0301".repeat(50)}`.repeat(300)],
    ["jamo", "\u1112\u1161\u11ab".repeat(7_000)],
    ["controls and marks", `\0${"\u0334\u0345".repeat(16_000)}`],
  ])("is refused before that: %s", (_what, text) => {
    const normalize = vi.spyOn(String.prototype, "normalize");
    expect(lines(5_000).safeParse(text).success).toBe(false);
    expect(normalize).not.toHaveBeenCalled();
    normalize.mockRestore();
  });

  test("is as long as its limit says when it is normalized, however it was written", () => {
    // No other letter stands for more characters.
    const composed = "\u1f82".repeat(10);
    expect([...composed.normalize("NFD")]).toHaveLength(40);
    expect(lines(10).parse(composed.normalize("NFD"))).toBe(composed);
    expect(lines(9).safeParse(composed.normalize("NFD")).success).toBe(false);
  });
});

/** Characters that no text of one line may hold. */
const ONE_LINE_WITHOUT = [...CONTROLS, "\u2028", "\u2029"].map((one) => [name(one), one] as const);

describe("a name", () => {
  const schema = named(5);

  test("loses the white space around it, and must not be empty after that", () => {
    expect(schema.parse(" \t a  b \n")).toBe("a  b");
    expect(schema.safeParse(" \n\u3000").success).toBe(false);
    expect(schema.safeParse("").success).toBe(false);
  });

  test("is normalized, then measured", () => {
    expect(schema.parse("e\u0301".repeat(5))).toBe("\u00e9".repeat(5));
    expect(schema.safeParse("abcdef").success).toBe(false);
  });

  test.each(FORBIDDEN)("has no %s", (_name, control) => {
    expect(schema.safeParse(`a${control}b`).error?.issues[0]?.message).toBe(
      "must have no control characters but tab and newline",
    );
  });

  test("has no lone surrogate", () => {
    expect(schema.safeParse("\ud800").success).toBe(false);
  });
});

/**
 * Characters that nobody can see by themselves: fillers, joiners, selectors, tags, directions, marks, blanks.
 */
const UNSEEN = [
  ..."\u3164\u115f\u1160\uffa0\u200b\u200d\ufe0f\u2060\ufeff\u00ad\u034f\u180e\u202e\u2066\u200e\u061c",
  ..."\u{e0041}\u{e0100}\u0301\u20dd\u2800\ufffc\u{1d159}",
].map((one) => [`U+${one.codePointAt(0)?.toString(16)}`, one] as const);
const DIRECTIONS = [..."\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"].map(
  (one) => [name(one), one] as const,
);
const UNSEEN_REFUSAL = "must have something visible";
const DIRECTION_REFUSAL = "must have no characters that change the direction of text";

describe("a visible text", () => {
  test.each(UNSEEN)("is not %s alone, as a message, a name or a device", (_name, unseen) => {
    for (const text of [unseen, `${unseen}${unseen}`, ` ${unseen}\u3164 `])
      for (const schema of [visibleLines(10), named(10), DeviceId])
        expect(schema.safeParse(text).success).toBe(false);
    expect(visibleLines(10).safeParse(`\u3164${unseen}`).error?.issues[0]?.message).toBe(UNSEEN_REFUSAL);
  });

  test.each(["👩‍🚀", "🇰🇷", "1️⃣", "ㄱ", "ᄀ", "می‌خواهم", "ශ්‍රී", "\u202eabc\u202c", "a\u3164", "!"])(
    "may be %j in a message, and stays as it is",
    (text) => {
      expect(visibleLines(10).parse(text)).toBe(text);
    },
  );

  test("that is only white space is refused with a message of its own", () => {
    expect(visibleLines(10).safeParse(" \n").error?.issues[0]?.message).toBe(
      "must not be empty or only white space",
    );
  });
});

describe("a text that is shown beside others", () => {
  test.each(DIRECTIONS)("is refused as a name or device with %s in it", (_name, direction) => {
    for (const schema of [named(10), DeviceId])
      expect(schema.safeParse(`a${direction}b`).error?.issues[0]?.message).toBe(DIRECTION_REFUSAL);
  });

  test("loses, as a name, the invisible characters without a use, and keeps the others", () => {
    expect(named(10).parse("\u200b A\u3164nn\u{e0041} \ufeff")).toBe("Ann");
    expect(named(20).parse("👩‍🚀 می‌خواهم")).toBe("👩‍🚀 می‌خواهم");
    expect(named(10).parse("e\u200b\u0301")).toBe("\u00e9");
    // Invisible characters between the marks don't hide how many marks there are.
    expect(named(300).safeParse(`a${`${"\u0316".repeat(60)}\u200b`.repeat(2)}`).success).toBe(false);
  });
});

describe("an image's URL", () => {
  test.each(["https://example.com/a.png", "HTTPS://example.com/비.png?é#x", "https://example.com/👩‍🚀"])(
    "may be %j",
    (url) => {
      expect(isHttpsUrl(url)).toBe(true);
    },
  );

  test.each([
    "http://example.com/",
    "https://",
    "https://example.com/a b",
    " https://example.com/",
    ...UNSEEN.filter(([, one]) => !/\p{M}/u.test(one) || one === "\u034f").flatMap(([, one]) => [
      `https://example.com/a${one}b`,
      `https://exa${one}mple.com/`,
    ]),
  ])("is not %j", (url) => {
    expect(isHttpsUrl(url)).toBe(false);
  });
});

describe("a client's id", () => {
  const schema = opaque(3);

  test.each(["e\u0301 ", " ", "\u212b", "🙂🙂🙂"])("stays as it is: %j", (id) => {
    expect(schema.parse(id)).toBe(id);
  });

  test.each(["", "abcd", "🙂🙂🙂🙂", "\ud800", "\udc00\ud800"])("is not %j", (text) => {
    expect(schema.safeParse(text).success).toBe(false);
  });

  test.each(FORBIDDEN)("has no %s", (_name, control) => {
    expect(schema.safeParse(`a${control}`).success).toBe(false);
  });
});

describe("a device's id", () => {
  test("has 1 to 64 characters on one line", () => {
    expect(DeviceId.parse("책상 위")).toBe("책상 위");
    expect(DeviceId.safeParse("x".repeat(64)).success).toBe(true);
    expect(DeviceId.safeParse("x".repeat(65)).success).toBe(false);
    expect(DeviceId.safeParse("").success).toBe(false);
  });

  test("is normalized: two spellings are one device", () => {
    expect(DeviceId.parse("\u1112\u1161\u11ab")).toBe(DeviceId.parse("한"));
  });

  test.each(ONE_LINE_WITHOUT)("has no %s", (_name, control) => {
    expect(DeviceId.safeParse(`a${control}b`).error?.issues[0]?.message).toBe(
      "must be one line without control characters",
    );
  });
});
