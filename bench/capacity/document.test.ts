import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import { filled, parts } from "./document.js";

test.each([
  ["docs/capacity.md", ["commands", "sizes", "formulae", "counts", "limits", "prices"]],
  ["docs/deploy.md", ["commands", "costs"]],
])("%s has the tables that `npm run capacity -- --documents` writes", (path, names) => {
  const text = readFileSync(join(projectRoot, path), "utf8");
  const places = [...text.matchAll(/<!-- capacity: (\w+) -->/g)].map(([, name]) => name);
  expect(places).toEqual(names);
  expect(text).toBe(filled(text));
});

test("a place is filled whatever stood in it, and one of a wrong name is refused", () => {
  const all = new Map([["sizes", "| table |"]]);
  const text = "before\n\n<!-- capacity: sizes -->\nold\n<!-- end -->\n\nafter\n";
  const now = "before\n\n<!-- capacity: sizes -->\n\n| table |\n\n<!-- end -->\n\nafter\n";
  expect(filled(text, all)).toBe(now);
  expect(filled(now, all)).toBe(now);
  expect(() => filled(text.replace("sizes", "size"), all)).toThrow("there is no part size");
});

test("no plan of the documents has a problem", () => {
  expect(parts().get("sizes")).not.toContain("none is large enough");
});
