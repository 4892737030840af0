import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RULES, type RuleName } from "../checker/rules.js";
import { compiledOf, compilePlanted, patchOf } from "./compile.js";
import { PLANTED } from "./table.js";

const here = fileURLToPath(new URL(".", import.meta.url));

let copy: string;

beforeAll(async () => {
  copy = mkdtempSync(join(tmpdir(), "nonstop-planted-"));
  await compilePlanted(
    copy,
    PLANTED.map(({ name }) => name),
  );
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

test.each(PLANTED)("$name compiles to other code: $breaks", ({ name }) => {
  const { file, before, after } = patchOf(name);
  expect(compiledOf(copy, file, name)).not.toBe(compiledOf(copy, file));
  const [lines, patched] = [before.split("\n"), after.split("\n")];
  expect(patched).toHaveLength(lines.length);
  expect(patched.filter((line, index) => line !== lines[index])).toHaveLength(1);
});

test("each patch is in the table, once", () => {
  const files = readdirSync(here).filter((name) => name.endsWith(".patch"));
  expect(PLANTED.map(({ name }) => `${name}.patch`).sort()).toEqual(files.sort());
});

/** Nothing that one line of the product breaks is found by these alone. */
const OF_MANY_LINES: readonly RuleName[] = ["refused", "answered"];

test("each rule has a planted fault that it must find", () => {
  const found = new Set([...PLANTED.map(({ rule }) => rule), ...OF_MANY_LINES]);
  expect([...found].sort()).toEqual(Object.keys(RULES).sort());
});
