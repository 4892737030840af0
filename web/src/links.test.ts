import { describe, expect, test } from "vitest";
import { isAddress, type Piece, piecesOf } from "./links.js";

/** Text as itself, links as [text, where to (if it isn't the same)], code as {code}, {block}. */
const plain = (piece: Piece) => {
  if (piece.kind === "text") return piece.text;
  if (piece.kind !== "link") return { [piece.kind]: piece.text };
  return piece.href === piece.text ? [piece.text] : [piece.text, piece.href];
};

describe("addresses in a text", () => {
  test.each([
    ["no address", ["no address"]],
    ["", []],
    ["https://a.example", [["https://a.example"]]],
    ["http://a.example:8080/b", [["http://a.example:8080/b"]]],
    ["see https://a.example/b?c=d#e now", ["see ", ["https://a.example/b?c=d#e"], " now"]],
    ["(https://a.example/b).", ["(", ["https://a.example/b"], ")."]],
    ["https://a.example/b_(c), d", [["https://a.example/b_(c)"], ", d"]],
    ["https://a.example https://b.example", [["https://a.example"], " ", ["https://b.example"]]],
    ["봐요: https://a.example/가나다!", ["봐요: ", ["https://a.example/가나다"], "!"]],
    [
      "javascript:alert(1) data:text/html,x file:///etc https://",
      ["javascript:alert(1) data:text/html,x file:///etc https://"],
    ],
    ['<a href="https://a.example/">', ['<a href="', ["https://a.example/"], '">']],
    ["go to www.a.example/b.", ["go to ", ["www.a.example/b", "https://www.a.example/b"], "."]],
    ["awww.cute www. wwwx", ["awww.cute www. wwwx"]],
    [
      "write to ann.lee+x@mail.a.example!",
      ["write to ", ["ann.lee+x@mail.a.example", "mailto:ann.lee+x@mail.a.example"], "!"],
    ],
    ["a@b @ann ann@ x@y.z1 ann@localhost", ["a@b @ann ann@ x@y.z1 ann@localhost"]],
    ["https://a.example\u202E/moc", [["https://a.example"], "\u202E/moc"]],
  ])("%j", (text, expected) => {
    expect(piecesOf(text).map(plain)).toEqual(expected);
    expect(
      piecesOf(text)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(text);
  });

  test.each([
    ["https://a.example/b", undefined],
    ["HTTPS://A.Example:443/b", undefined],
    ["www.a.example", undefined],
    ["https://bank.example@evil.example/", "evil.example"],
    ["https://user:word@evil.example/", "evil.example"],
    ["https://аpple.com/", "xn--pple-43d.com"],
    ["http://0x7f.1/", "127.0.0.1"],
    ["ann@a.example", undefined],
  ])("%j says where it leads: %s", (text, host) =>
    expect(piecesOf(text)[0]).toMatchObject({ kind: "link", host }),
  );
});

describe("code in a text", () => {
  test.each([
    ["use `npm ci` here", ["use ", { code: "npm ci" }, " here"]],
    ["```\na\n  b\n```", [{ block: "a\n  b" }]],
    ["so:\n```js\nlet a = `b`;\n```\nthen", ["so:\n", { block: "let a = `b`;" }, "then"]],
    ["```a b```", [{ block: "a b" }]],
    ["`https://a.example` https://b.example", [{ code: "https://a.example" }, " ", ["https://b.example"]]],
    ["one ` alone, ``, and `over\nlines`", ["one ` alone, ``, and `over\nlines`"]],
    ["``` not closed", ["``` not closed"]],
  ])("%j", (text, expected) => expect(piecesOf(text).map(plain)).toEqual(expected));
});

/** The shortest time of several, in milliseconds. */
function timeOf(text: string): number {
  const times = Array.from({ length: 10 }, () => {
    const start = performance.now();
    piecesOf(text);
    return performance.now() - start;
  });
  return Math.min(...times);
}

// Sixteen times the text takes about sixteen times as long. A pattern that looks from each letter at each
// letter takes 256 times as long.
test.each<(length: number) => string>([
  (length) => `https://a${".".repeat(length / 2)}x${")".repeat(length / 2)}`,
  (length) => "`".repeat(length),
  (length) => "``` ".repeat(length / 4),
  (length) => "a.".repeat(length / 2),
  (length) => "a@".repeat(length / 2),
  (length) => "www.".repeat(length / 4),
  (length) => `${"a".repeat(length / 2)}@${"b.".repeat(length / 4)}`,
])("a text made to be hard to read takes no longer than its length asks for, case %#", async (textOf) => {
  const growth = () => timeOf(textOf(80_000)) / timeOf(textOf(5_000));
  await expect.poll(growth).toBeLessThan(64);
});

test("an address made to be hard to trim is trimmed", () => {
  const text = `https://a${".".repeat(2_400)}x${")".repeat(2_500)}`;
  expect(piecesOf(text)[0]?.text).toBe(text.slice(0, -2_500));
});

test.each([
  ["https://a.example/b.png", true],
  ["https://a.example/b.png and more", false],
  ["http://a.example/b.png", false],
  ["https://", false],
  ["a", false],
])("%j is nothing but an address: %s", (text, expected) => expect(isAddress(text)).toBe(expected));
