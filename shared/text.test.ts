import { describe, expect, test, vi } from "vitest";
import { DeviceId, lines, named, opaque } from "./text.js";

/** C0, DEL and C1. */
const CONTROLS = [...Array(32).keys(), ...Array.from({ length: 33 }, (_, index) => 0x7f + index)].map(
  (code) => String.fromCharCode(code),
);
const name = (text: string): string => `U+${text.charCodeAt(0).toString(16).padStart(4, "0")}`;
/** What no text may hold. */
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

  test("is measured in code points, after it was normalized", () => {
    expect(schema.safeParse("🙂".repeat(10)).success).toBe(true);
    expect(schema.safeParse("🙂".repeat(11)).success).toBe(false);
    // Ten of two characters each become ten of one.
    expect(schema.safeParse("e\u0301".repeat(10)).success).toBe(true);
    // One that becomes two.
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
    // Of all letters this one stands for most others.
    const composed = "\u1f82".repeat(10);
    expect([...composed.normalize("NFD")]).toHaveLength(40);
    expect(lines(10).parse(composed.normalize("NFD"))).toBe(composed);
    expect(lines(9).safeParse(composed.normalize("NFD")).success).toBe(false);
  });
});

/** What no text of one line has. */
const ONE_LINE_WITHOUT = [...CONTROLS, "\u2028", "\u2029"].map((one) => [name(one), one] as const);

describe("a name", () => {
  const schema = named(5);

  test("loses the white space around it, and is not empty then", () => {
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
