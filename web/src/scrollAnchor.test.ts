import { afterEach, expect, test, vi } from "vitest";
import { anchorIn, keepAnchor } from "./scrollAnchor.js";

/** As much of a tab's storage as the page uses. */
function storageOf(content: Record<string, string>) {
  const items = new Map(Object.entries(content));
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => items.set(key, value),
  };
}
afterEach(() => {
  vi.unstubAllGlobals();
});

test("an anchor is kept for each user and room by itself", () => {
  vi.stubGlobal("sessionStorage", storageOf({}));
  keepAnchor(1, 7, { seq: 12, offset: -30.5 });
  keepAnchor(1, 8, "end");
  expect(anchorIn(1, 7)).toEqual({ seq: 12, offset: -30.5 });
  expect(anchorIn(1, 8)).toBe("end");
  expect(anchorIn(2, 7)).toBeUndefined();
});

test.each(['{"seq":12,"offset":-30.5}', '"end"'])("an anchor from before a reload is found: %s", (text) => {
  vi.stubGlobal("sessionStorage", storageOf({ "nonstop-anchor 3 7": text }));
  expect(JSON.stringify(anchorIn(3, 7))).toBe(text);
});

test.each([
  "",
  "{",
  "null",
  "7",
  '"start"',
  "[]",
  '{"seq":1}',
  '{"seq":"1","offset":2}',
  '{"seq":null,"offset":0}',
  '{"seq":0,"offset":0}',
])("what is no anchor is none: %s", (text) => {
  vi.stubGlobal("sessionStorage", storageOf({ "nonstop-anchor 3 9": text }));
  expect(anchorIn(3, 9)).toBeUndefined();
});

test("in a browser that keeps nothing an anchor is known until the page is closed", () => {
  vi.stubGlobal("sessionStorage", {
    getItem: () => {
      throw new DOMException("denied", "SecurityError");
    },
    setItem: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  });
  expect(anchorIn(4, 7)).toBeUndefined();
  keepAnchor(4, 7, "end");
  expect(anchorIn(4, 7)).toBe("end");
});
