import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RULES, type RuleName } from "../checker/rules.js";
import { applyPatch, parsePatch } from "./patch.js";
import { PLANTED } from "./table.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const project = fileURLToPath(new URL("../../../", import.meta.url));
const patchOf = (name: string) => parsePatch(readFileSync(join(here, `${name}.patch`), "utf8"));

/** The sources, with each patched file beside the one that it would replace. */
let copy: string;
const besides = (file: string, name: string): string => file.replace(/\.ts$/, `.${name}.ts`);

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), "nonstop-planted-"));
  cpSync(join(project, "shared"), join(copy, "shared"), { recursive: true });
  symlinkSync(join(project, "node_modules"), join(copy, "node_modules"));
  for (const file of ["package.json", "tsconfig.json"]) cpSync(join(project, file), join(copy, file));
  for (const { name } of PLANTED) {
    const patch = patchOf(name);
    const source = readFileSync(join(project, patch.file), "utf8");
    writeFileSync(join(copy, besides(patch.file, name)), applyPatch(patch, source));
  }
  const options = {
    extends: "./tsconfig.json",
    compilerOptions: { noEmit: false, outDir: "out", rootDir: "." },
  };
  const config = { ...options, include: ["shared"], exclude: ["**/*.test.ts"] };
  writeFileSync(join(copy, "tsconfig.planted.json"), JSON.stringify(config));
  const tsc = join(project, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.planted.json"], { cwd: copy, encoding: "utf8" });
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

const compiled = (file: string): string =>
  readFileSync(join(copy, "out", file.replace(/\.ts$/, ".js")), "utf8");

test.each(PLANTED)("$name compiles to other code: $breaks", ({ name }) => {
  const { file, before, after } = patchOf(name);
  expect(compiled(besides(file, name))).not.toBe(compiled(file));
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
