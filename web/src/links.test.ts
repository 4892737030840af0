import { describe, expect, it } from "vitest";
import { isAddress, piecesOf } from "./links.js";

describe("a text in pieces", () => {
  it.each([
    ["no address", ["no address"]],
    ["", [""]],
    ["https://a.example", [["https://a.example"]]],
    ["see https://a.example/b?c=d#e now", ["see ", ["https://a.example/b?c=d#e"], " now"]],
    ["(https://a.example/b).", ["(", ["https://a.example/b"], ")."]],
    ["https://a.example/b_(c), d", [["https://a.example/b_(c)"], ", d"]],
    ["https://a.example https://b.example", [["https://a.example"], " ", ["https://b.example"]]],
    ["봐요: https://a.example/가나다!", ["봐요: ", ["https://a.example/가나다"], "!"]],
    ["http://a.example javascript:alert(1) https://", ["http://a.example javascript:alert(1) https://"]],
    ['<a href="https://a.example/">', ['<a href="', ["https://a.example/"], '">']],
  ])("%j", (text, expected) => {
    const pieces = piecesOf(text).map(({ text: piece, href }) => (href === undefined ? piece : [href]));
    expect(pieces).toEqual(expected);
    expect(
      piecesOf(text)
        .map(({ text: piece }) => piece)
        .join(""),
    ).toBe(text);
  });
});

it("an address made to be hard to trim takes no time", () => {
  const text = `https://a${".".repeat(2_400)}x${")".repeat(2_500)}`;
  expect(piecesOf(text)[0]?.text).toBe(text.slice(0, -2_500));
});

it.each([
  ["https://a.example/b.png", true],
  ["https://a.example/b.png and more", false],
  ["http://a.example/b.png", false],
  ["https://", false],
  ["a", false],
])("%j is nothing but an address: %s", (text, expected) => expect(isAddress(text)).toBe(expected));
