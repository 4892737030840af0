import { afterEach, expect, test, vi } from "vitest";
import { draftIn, keepDraft, onDrafts } from "./drafts.js";

afterEach(() => {
  vi.unstubAllGlobals();
});

test("a draft is kept until it is sent", () => {
  const items = new Map([["nonstop-draft 1 8", "from before"]]);
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => items.set(key, value),
    removeItem: (key: string) => items.delete(key),
  });
  keepDraft(1, 7, "Hel");
  expect(draftIn(1, 7)).toBe("Hel");
  expect(draftIn(1, 8)).toBe("from before");
  keepDraft(1, 7, "");
  expect(draftIn(1, 7)).toBe("");
  expect([...items.keys()]).toEqual(["nonstop-draft 1 8"]);
});

test("in a browser that keeps nothing a draft is known until the page is closed", () => {
  vi.stubGlobal("sessionStorage", {
    getItem: () => {
      throw new DOMException("denied", "SecurityError");
    },
    setItem: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  });
  keepDraft(4, 7, "Hel");
  expect(draftIn(4, 7)).toBe("Hel");
});

test("each change of a draft is heard of, until it isn't wanted any more", () => {
  const heard: string[] = [];
  const end = onDrafts(() => heard.push(draftIn(5, 7)));
  keepDraft(5, 7, "H");
  keepDraft(5, 7, "");
  end();
  keepDraft(5, 7, "He");
  expect(heard).toEqual(["H", ""]);
});
