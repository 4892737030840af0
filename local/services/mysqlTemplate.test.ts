import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { copyTemplate, isUsable } from "./mysqlTemplate.js";

const root = mkdtempSync(join(tmpdir(), "nonstop-template-"));
const folder = join(root, "cache");
let made: number;
let copies: number;

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  expect(isUsable(folder)).toBe(true);
  made = 0;
  copies = 0;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Makes a small data folder, with pauses in which others get their turn. */
async function make(files: string): Promise<void> {
  made += 1;
  mkdirSync(join(files, "mysql"), { recursive: true });
  writeFileSync(join(files, "ibdata1"), "tables");
  await nextTurn();
  writeFileSync(join(files, "mysql/user.frm"), "users");
}

async function copy(): Promise<string> {
  copies += 1;
  const target = mkdtempSync(join(root, "data-"));
  await copyTemplate({ folder, name: "mysql-1", make }, join(target, "files"));
  return join(target, "files");
}

const contentOf = (files: string) =>
  ["ibdata1", "mysql/user.frm"].map((name) => readFileSync(join(files, name), "utf8"));

describe("the template of a data folder", () => {
  test("is made once, and copied for each new stack", async () => {
    const [first, second] = [await copy(), await copy()];
    expect([contentOf(first), contentOf(second)]).toEqual([
      ["tables", "users"],
      ["tables", "users"],
    ]);
    expect(made).toBe(1);
    // A server writes to its own.
    writeFileSync(join(first, "ibdata1"), "changed");
    expect(contentOf(await copy())).toEqual(["tables", "users"]);
  });

  test("may be made by several at once: each gets a whole copy, one template stays", async () => {
    const all = await Promise.all([copy(), copy(), copy(), copy()]);
    expect(all.map(contentOf)).toEqual(Array.from({ length: copies }, () => ["tables", "users"]));
    expect(readdirSync(folder)).toEqual(["mysql-1"]);
  });

  test.each<[string, (template: string) => void]>([
    ["a file is missing", (template) => rmSync(join(template, "files/mysql/user.frm"))],
    ["a file is shorter", (template) => writeFileSync(join(template, "files/ibdata1"), "tab")],
    ["a file is added", (template) => writeFileSync(join(template, "files/mysql/more"), "")],
    ["its files are missing", (template) => rmSync(join(template, "files"), { recursive: true })],
    ["its list is missing", (template) => rmSync(join(template, "files.json"))],
    ["its list is half written", (template) => writeFileSync(join(template, "files.json"), '[["ibd')],
  ])("is made again when %s", async (_, damage) => {
    await copy();
    damage(join(folder, "mysql-1"));
    expect(contentOf(await copy())).toEqual(["tables", "users"]);
    expect(made).toBe(2);
    expect(readdirSync(folder)).toEqual(["mysql-1"]);
  });

  test("is made again by several at once when it is damaged", async () => {
    await copy();
    rmSync(join(folder, "mysql-1/files/ibdata1"));
    const all = await Promise.all([copy(), copy(), copy()]);
    expect(all.map(contentOf)).toEqual(Array.from({ length: 3 }, () => ["tables", "users"]));
    expect(readdirSync(folder)).toEqual(["mysql-1"]);
  });

  test("leaves nothing when its making fails", async () => {
    const failing = async (files: string) => {
      mkdirSync(files);
      throw new Error("no memory");
    };
    const target = join(root, "failed/files");
    const copied = copyTemplate({ folder, name: "mysql-1", make: failing }, target);
    await expect(copied).rejects.toThrow("no memory");
    expect([readdirSync(folder), existsSync(target)]).toEqual([[], false]);
  });

  test("is not kept half made by a process that was killed", async () => {
    const [old, young] = [
      join(folder, "mysql-1.unfinished-aaaaaa"),
      join(folder, "mysql-1.unfinished-bbbbbb"),
    ];
    for (const unfinished of [old, young]) mkdirSync(join(unfinished, "files"), { recursive: true });
    utimesSync(old, 1, 1);
    expect(contentOf(await copy())).toEqual(["tables", "users"]);
    // Another process may be at work on the young one.
    expect(readdirSync(folder).sort()).toEqual(["mysql-1", "mysql-1.unfinished-bbbbbb"]);
  });

  test("needs a folder that can be made", () => {
    writeFileSync(join(root, "file"), "");
    expect(isUsable(join(root, "file/cache"))).toBe(false);
  });
});
