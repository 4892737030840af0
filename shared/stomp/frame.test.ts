import { describe, expect, test } from "vitest";
import { quote } from "./frame.js";
import { parseFrames } from "./parser.js";

describe("a frame", () => {
  test("gives the first of repeated headers, and goes through the others in order", () => {
    const [frame] = parseFrames("MESSAGE\nfoo:1\nbar:x\nfoo:2\n\n\0", "1.2");
    expect(frame!.headers.get("foo")).toBe("1");
    expect(frame!.headers.get("Foo")).toBeUndefined();
    expect([...frame!.headers]).toEqual([
      ["foo", "1"],
      ["bar", "x"],
    ]);
  });

  test("is not misled by a value that looks like a header's name", () => {
    const [frame] = parseFrames("SEND\na:b\nb:c\n\n\0", "1.2");
    expect(frame!.headers.get("b")).toBe("c");
    expect(frame!.headers.get("c")).toBeUndefined();
    expect(frame!.headers.get("constructor")).toBeUndefined();
  });

  test("gives its body back as the bytes that came in", () => {
    const body = Buffer.from("\ufeff안녕 🙂\0é", "utf8");
    const head = Buffer.from(`SEND\ncontent-length:${body.length}\n\n`);
    const [frame] = parseFrames(Buffer.concat([head, body, Buffer.from([0])]), "1.2");
    expect(Buffer.from(frame!.body)).toEqual(body);
  });
});

test("a quotation is short and shows control characters", () => {
  expect(quote("a\n\0")).toBe('"a\\n\\u0000"');
  expect(quote("x".repeat(41))).toBe(`"${"x".repeat(40)}…"`);
  expect(quote("x".repeat(40))).toBe(`"${"x".repeat(40)}"`);
});
