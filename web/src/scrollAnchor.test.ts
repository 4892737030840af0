import { afterEach, expect, it, vi } from "vitest";
import { draftIn, keepDraft, keepPlace, placeIn } from "./scrollAnchor.js";

/** As much of a tab's storage as the page uses. */
function storageOf(content: Record<string, string>) {
  const items = new Map(Object.entries(content));
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => items.set(key, value),
    removeItem: (key: string) => items.delete(key),
  };
}
afterEach(() => {
  vi.unstubAllGlobals();
});

it("a place is kept for each user and room by itself", () => {
  vi.stubGlobal("sessionStorage", storageOf({}));
  keepPlace(1, 7, { seq: 12, offset: -30.5 });
  keepPlace(1, 8, "end");
  expect(placeIn(1, 7)).toEqual({ seq: 12, offset: -30.5 });
  expect(placeIn(1, 8)).toBe("end");
  expect(placeIn(2, 7)).toBeUndefined();
});

it.each([
  "",
  "{",
  "null",
  "7",
  '"start"',
  "[]",
  '{"seq":1}',
  '{"seq":"1","offset":2}',
  '{"seq":null,"offset":0}',
])("what is no place is none: %s", (text) => {
  vi.stubGlobal("sessionStorage", storageOf({ "nonstop-place 3 9": text }));
  expect(placeIn(3, 9)).toBeUndefined();
});

it("a draft is kept until it is sent", () => {
  vi.stubGlobal("sessionStorage", storageOf({ "nonstop-draft 1 8": "from before" }));
  keepDraft(1, 7, "Hel");
  expect(draftIn(1, 7)).toBe("Hel");
  expect(draftIn(1, 8)).toBe("from before");
  keepDraft(1, 7, "");
  expect(draftIn(1, 7)).toBe("");
});

it("in a browser that keeps nothing they are known until the page is closed", () => {
  vi.stubGlobal("sessionStorage", {
    getItem: () => {
      throw new DOMException("denied", "SecurityError");
    },
    setItem: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  });
  expect(placeIn(4, 7)).toBeUndefined();
  keepPlace(4, 7, "end");
  expect(placeIn(4, 7)).toBe("end");
  keepDraft(4, 7, "Hel");
  expect(draftIn(4, 7)).toBe("Hel");
});
