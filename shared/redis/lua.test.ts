import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sourceFolder } from "../platform/sourceFolder.js";
import { locateInFiles, readScript } from "./lua.js";
import { readScripts } from "./scripts.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lua-"));
  writeFileSync(join(folder, "part.lua"), "-- a part\nlocal two = 2\n");
  writeFileSync(join(folder, "whole.lua"), "local one = 1\n--#include part.lua\nreturn one + two\n");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a script holds what it includes in place of the line that says so", () => {
  const { lua } = readScript(folder, "whole");
  expect(lua).toBe("local one = 1\n-- a part\nlocal two = 2\nreturn one + two");
});

test.each([
  ["user_script:1: oh", "whole.lua:1: oh"],
  ["ERR user_script:3: oh script: 0a, on @user_script:3.", "ERR part.lua:2: oh script: 0a, on part.lua:2."],
  [
    "ERR Error running script (call to f_0a): @user_script:4: oh",
    "ERR Error running script (call to f_0a): whole.lua:3: oh",
  ],
  ["user_script:99: oh", "whole.lua: oh"],
  ["READONLY You can't write", "READONLY You can't write"],
])("of an error the file and its line are named: %s", (message, located) => {
  expect(locateInFiles(message, readScript(folder, "whole"))).toBe(located);
});

test("a file that is missing is named, also where it is included", () => {
  expect(() => readScript(folder, "none")).toThrow("none.lua");
  rmSync(join(folder, "part.lua"));
  expect(() => readScript(folder, "whole")).toThrow("part.lua");
});

test("every file of the folder is a script or part of one", () => {
  const lua = sourceFolder("redis/lua");
  const files = readdirSync(lua).sort();
  const scripts = Object.keys(readScripts()).map((name) => `${name}.lua`);
  const parts = files.flatMap((file) =>
    [...readFileSync(join(lua, file), "utf8").matchAll(/^--#include (\S+)$/gm)].map(([, part]) => part),
  );
  expect(files).toEqual([...new Set([...scripts, ...parts])].sort());
});
